// What a cut-out is shown on: checkers, white, black, any colour, or a picture.

import { h } from "../dom.js";
import { decode } from "./cut-pictures.js";

const NAMES = ["checker", "white", "black", "colour", "picture"];
const SIDE_PX = 2048;

export class Grounds {
  constructor(words, onChange) {
    Object.assign(this, { words, onChange, name: "checker", bitmap: null });
    this.colour = h("input", { type: "color", value: "#3fa66b", "aria-label": words("ground.colour"), oninput: () => this.use("colour") });
    this.file = h("input", { type: "file", accept: "image/*", class: "visually-hidden", tabindex: "-1", "aria-label": words("ground.picture"), onchange: () => this.read() });
    this.buttons = NAMES.map((name) => h("button", { class: "button small", type: "button", "aria-pressed": "false", onclick: () => this.press(name) }, words(`ground.${name}`)));
    this.element = h("div", { class: "bar", role: "group", "aria-label": words("ground.title") }, ...this.buttons, this.colour, this.file);
    this.mark();
  }

  press(name) {
    if (name === "picture") {
      this.file.click();
    } else {
      this.use(name);
    }
  }

  async read() {
    const [file] = this.file.files;
    const found = file && (await decode(file, SIDE_PX));
    if (found) {
      this.bitmap?.close();
      this.bitmap = found.bitmap;
      this.use("picture");
    }
    this.file.value = "";
  }

  use(name) {
    this.name = name;
    this.mark();
    this.onChange();
  }

  mark() {
    this.buttons.forEach((button, place) => button.setAttribute("aria-pressed", String(NAMES[place] === this.name)));
    this.colour.hidden = this.name !== "colour";
  }

  // Paint the rectangle of a picture; the unit of checkers is a pixel of the screen.
  paint(context, width, height, zoom) {
    if (this.name === "picture") {
      const share = Math.max(width / this.bitmap.width, height / this.bitmap.height);
      const [wide, high] = [width / share, height / share];
      context.drawImage(this.bitmap, (this.bitmap.width - wide) / 2, (this.bitmap.height - high) / 2, wide, high, 0, 0, width, height);
      return;
    }
    context.fillStyle = this.name === "checker" ? checker(context, zoom) : { white: "#fff", black: "#000", colour: this.colour.value }[this.name];
    context.fillRect(0, 0, width, height);
  }

  close() {
    this.bitmap?.close();
  }
}

let tile = null;
function checker(context, zoom) {
  if (tile === null) {
    tile = new OffscreenCanvas(24, 24);
    const paint = tile.getContext("2d");
    paint.fillStyle = "#fff";
    paint.fillRect(0, 0, 24, 24);
    paint.fillStyle = "#d3d8e2";
    paint.fillRect(0, 0, 12, 12);
    paint.fillRect(12, 12, 12, 12);
  }
  const pattern = context.createPattern(tile, "repeat");
  pattern.setTransform(new DOMMatrix().scale(1 / zoom));
  return pattern;
}
