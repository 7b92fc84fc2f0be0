// What was painted: for each pixel how strongly, and how much of that restores. With undo.
//
// Two bytes a pixel. A stroke keeps only the tiles that it has changed, so memory has a bound.

const TILE_PX = 128;
const UNDO_BYTES = 96_000_000;

export class Painting {
  constructor(width, height) {
    Object.assign(this, { width, height, undone: [], done: [], bytes: 0, isTrimmed: false });
    this.strength = new Uint8ClampedArray(width * height);
    this.restored = new Uint8ClampedArray(width * height); // strength times level: premultiplied
    this.columns = Math.ceil(width / TILE_PX);
  }

  get isEmpty() {
    return this.done.length === 0 && !this.isTrimmed; // strokes that cannot be undone any more are there
  }

  // --- strokes ---------------------------------------------------------------------------

  // A stroke covers each pixel at most as strongly as its strongest dab.
  begin() {
    this.stroke = { before: new Map(), cover: new Map() };
  }

  // Paint a disc; return the rectangle that has changed, null if none has.
  dab(x, y, radius, hardness, isRestoring) {
    const left = Math.max(0, Math.floor(x - radius));
    const top = Math.max(0, Math.floor(y - radius));
    const right = Math.min(this.width, Math.ceil(x + radius) + 1);
    const bottom = Math.min(this.height, Math.ceil(y + radius) + 1);
    if (left >= right || top >= bottom) {
      return null;
    }
    this.keepTiles(left, top, right, bottom);
    const disc = { x, y, radius, fade: Math.max(1, radius * (1 - hardness)), isRestoring };
    for (let row = top; row < bottom; row += 1) {
      for (let column = left; column < right;) {
        const end = Math.min(right, (Math.floor(column / TILE_PX) + 1) * TILE_PX);
        this.coverRow(row, column, end, disc);
        column = end;
      }
    }
    return { left, top, right, bottom };
  }

  // Cover a row of a disc inside one tile: a large brush has millions of pixels, a tile is looked up once.
  coverRow(row, left, right, { x, y, radius, fade, isRestoring }) {
    const name = Math.floor(row / TILE_PX) * this.columns + Math.floor(left / TILE_PX);
    const covered = this.stroke.cover.get(name);
    const before = this.stroke.before.get(name);
    const down = (row + 0.5 - y) ** 2;
    for (let column = left; column < right; column += 1) {
      const inside = (row % TILE_PX) * TILE_PX + (column % TILE_PX);
      if (covered[inside] === 255) {
        continue;
      }
      const reach = Math.min(1, (radius + 0.5 - Math.sqrt((column + 0.5 - x) ** 2 + down)) / fade);
      const share = reach * reach * (3 - 2 * reach);
      const level = Math.round(255 * share);
      if (reach > 0 && level > covered[inside]) {
        covered[inside] = level;
        const place = row * this.width + column;
        this.strength[place] = before.strength[inside] * (1 - share) + level;
        this.restored[place] = before.restored[inside] * (1 - share) + (isRestoring ? level : 0);
      }
    }
  }

  keepTiles(left, top, right, bottom) {
    for (let row = Math.floor(top / TILE_PX); row * TILE_PX < bottom; row += 1) {
      for (let column = Math.floor(left / TILE_PX); column * TILE_PX < right; column += 1) {
        const name = row * this.columns + column;
        if (!this.stroke.before.has(name)) {
          this.stroke.before.set(name, this.tile(name));
          this.stroke.cover.set(name, new Uint8Array(TILE_PX * TILE_PX));
        }
      }
    }
  }

  end() {
    const { before } = this.stroke;
    this.stroke = null;
    if (before.size === 0) {
      return;
    }
    this.forgetUndone();
    this.done.push(before);
    this.bytes += sizeOf(before);
    while (this.bytes > UNDO_BYTES && this.done.length > 1) {
      this.bytes -= sizeOf(this.done.shift());
      this.isTrimmed = true;
    }
  }

  // Forget a stroke that became a pinch.
  cancel() {
    const changed = this.swap(this.stroke.before);
    this.stroke = null;
    return changed;
  }

  forgetUndone() {
    this.undone.forEach((tiles) => { this.bytes -= sizeOf(tiles); });
    this.undone = [];
  }

  // --- undo ------------------------------------------------------------------------------

  undo() {
    return this.step(this.done, this.undone);
  }

  redo() {
    return this.step(this.undone, this.done);
  }

  step(from, to) {
    const tiles = from.pop();
    if (!tiles) {
      return null;
    }
    const now = new Map([...tiles.keys()].map((name) => [name, this.tile(name)]));
    const changed = this.swap(tiles);
    to.push(now);
    return changed;
  }

  tile(name) {
    const tile = { strength: new Uint8ClampedArray(TILE_PX * TILE_PX), restored: new Uint8ClampedArray(TILE_PX * TILE_PX) };
    this.eachRow(name, (place, inside, count) => {
      tile.strength.set(this.strength.subarray(place, place + count), inside);
      tile.restored.set(this.restored.subarray(place, place + count), inside);
    });
    return tile;
  }

  swap(tiles) {
    const changed = { left: this.width, top: this.height, right: 0, bottom: 0 };
    for (const [name, tile] of tiles) {
      this.eachRow(name, (place, inside, count) => {
        this.strength.set(tile.strength.subarray(inside, inside + count), place);
        this.restored.set(tile.restored.subarray(inside, inside + count), place);
      });
      const left = (name % this.columns) * TILE_PX;
      const top = Math.floor(name / this.columns) * TILE_PX;
      changed.left = Math.min(changed.left, left);
      changed.top = Math.min(changed.top, top);
      changed.right = Math.max(changed.right, Math.min(this.width, left + TILE_PX));
      changed.bottom = Math.max(changed.bottom, Math.min(this.height, top + TILE_PX));
    }
    return changed;
  }

  eachRow(name, visit) {
    const left = (name % this.columns) * TILE_PX;
    const top = Math.floor(name / this.columns) * TILE_PX;
    const count = Math.min(TILE_PX, this.width - left);
    for (let row = 0; row < Math.min(TILE_PX, this.height - top); row += 1) {
      visit((top + row) * this.width + left, row * TILE_PX, count);
    }
  }

  // --- out -------------------------------------------------------------------------------


  // Return the mask that the server lays over its alpha: grey says to what, transparency how much.
  async png() {
    const pixels = new Uint8ClampedArray(4 * this.strength.length);
    for (let place = 0; place < this.strength.length; place += 1) {
      const strength = this.strength[place];
      const level = strength ? (255 * this.restored[place]) / strength : 0;
      pixels.fill(level, 4 * place, 4 * place + 3);
      pixels[4 * place + 3] = strength;
    }
    const canvas = new OffscreenCanvas(this.width, this.height);
    canvas.getContext("2d").putImageData(new ImageData(pixels, this.width, this.height), 0, 0);
    return canvas.convertToBlob({ type: "image/png" });
  }
}

function sizeOf(tiles) {
  return tiles.size * 2 * TILE_PX * TILE_PX;
}
