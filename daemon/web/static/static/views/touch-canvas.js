// The picture under the brush: result, original and strokes, put together where they change.

import { alphaOf, photoCanvas } from "./cut-pictures.js";
import { Painting } from "./brush.js";

export class TouchCanvas {
  constructor(picture) {
    this.picture = picture;
    this.base = alphaOf(picture.cut);
    this.painting = new Painting(picture.width, picture.height);
    this.canvas = new OffscreenCanvas(picture.width, picture.height);
    this.changed = null; // the rectangle that is to be computed anew
    this.update({ left: 0, top: 0, right: picture.width, bottom: picture.height });
    this.ghost = photoCanvas(this.picture);
  }

  // Have a rectangle computed anew: once for all that changes until it is shown.
  update(changed) {
    if (changed === null || changed.left >= changed.right) {
      return;
    }
    const before = this.changed ?? changed;
    this.changed = {
      left: Math.min(before.left, changed.left),
      top: Math.min(before.top, changed.top),
      right: Math.max(before.right, changed.right),
      bottom: Math.max(before.bottom, changed.bottom),
    };
  }

  get shown() {
    if (this.changed) {
      this.compute(this.changed);
      this.changed = null;
    }
    return this.canvas;
  }

  // As the server will: restored parts have the photo's own pixels.
  compute(changed) {
    const { cut, photo, width } = this.picture;
    const { left, top, right, bottom } = changed;
    const part = new ImageData(right - left, bottom - top);
    for (let row = top, to = 0; row < bottom; row += 1) {
      for (let column = left; column < right; column += 1, to += 4) {
        const place = row * width + column;
        const own = photo ? photo[4 * place + 3] / 255 : 1; // the photo's own transparency
        const kept = (this.base[place] * (255 - this.painting.strength[place])) / 255;
        const added = this.painting.restored[place] * own;
        const share = photo && added > 0 ? added / (kept + added) : 0; // as in compositing
        for (let channel = 0; channel < 3; channel += 1) {
          const colour = cut[4 * place + channel];
          part.data[to + channel] = share ? colour + (photo[4 * place + channel] - colour) * share : colour;
        }
        part.data[to + 3] = kept + added;
      }
    }
    this.canvas.getContext("2d").putImageData(part, left, top);
  }

  close() {
    this.canvas.width = 1;
    if (this.ghost) {
      this.ghost.width = 1;
    }
  }
}
