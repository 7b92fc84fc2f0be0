// A result beside its original, with knobs, downloads and the clipboard.

import { h } from "../dom.js";
import { alphaOf, discard, ended, makeVersion, photoCanvas, queryOf, saveAs } from "./cut-pictures.js";
import { Grounds } from "./grounds.js";
import { Knobs } from "./knobs.js";
import { viewBox } from "./matte-preview.js";
import { Viewer, zoomBar } from "./viewer.js";

const GRIP_PX = 28;
const FAINT = 8; // below this alpha a result has no colours of its own

export class CutResult {
  constructor(context, picture, onNew) {
    Object.assign(this, { ...context, picture, onNew, share: 0.5, turn: 0, box: null, made: new Map() });
    this.base = alphaOf(picture.cut);
    this.alpha = this.base;
    this.shown = new OffscreenCanvas(picture.width, picture.height);
    this.before = photoCanvas(this.picture);
    this.worker = new Worker("/static/views/matte-worker.js", { type: "module" });
    this.worker.addEventListener("message", ({ data }) => this.adjusted(data));
    this.worker.postMessage({ alpha: this.base, width: picture.width, height: picture.height, scale: picture.width / picture.fullWidth });
    this.knobs = new Knobs(this.words, picture.id, (isEdge) => this.changed(isEdge));
    this.grounds = new Grounds(this.words, () => this.viewer.draw());
    this.build();
    this.changed(true);
    if (!this.isNeutral) {
      this.compose();
    }
  }

  build() {
    const { words, picture } = this;
    this.viewer = new Viewer({
      label: words("cut.viewer", { name: picture.name }),
      paint: (context, view) => this.paint(context, view),
      over: (context, view) => this.paintDivider(context, view),
    });
    this.viewer.drag = this.dividerDrag();
    this.slider = h("input", {
      type: "range", id: "cut-slider", min: 0, max: 100, step: 1, value: 50, "aria-label": words("cut.slider"),
      "aria-valuetext": words("cut.slider_at", { share: 50 }), oninput: () => this.slide(this.slider.value / 100),
    });
    this.status = h("p", { class: "hint status-line", role: "status" }, "");
    this.download = h("button", { class: "button primary", type: "button", onclick: () => this.save() }, words("cut.download"));
    this.copy = h("button", { class: "button", type: "button", onclick: () => this.toClipboard() }, words("cut.copy"));
    this.touch = h("button", { class: "button", type: "button", onclick: () => this.navigate(`#/touch/${picture.id}`) }, words("cut.touch"));
    const another = h("button", { class: "button wide", type: "button", onclick: this.onNew }, words("cut.another"));
    const smaller = picture.width < picture.fullWidth && h("p", { class: "hint" }, words("cut.smaller", { width: picture.width, height: picture.height }));
    this.element = h("div", { class: "cut-layout" },
      h("section", { class: "card stage-card", "aria-label": words("cut.stage") },
        this.viewer.element,
        this.before && h("div", { class: "slider-line" }, h("span", {}, words("cut.original")), this.slider, h("span", {}, words("cut.result"))),
        h("div", { class: "bar tools" }, this.grounds.element, zoomBar(this.viewer, words)), smaller),
      h("section", { class: "card side-card", "aria-label": words("cut.settings") },
        h("h2", { class: "file-name" }, picture.name),
        h("p", { class: "hint" }, `${picture.fullWidth} × ${picture.fullHeight}`),
        h("div", { class: "dock" }, h("div", { class: "bar actions" }, this.download, this.copy, this.touch), this.status),
        another, this.knobs.element));
    this.viewer.show(picture.width, picture.height, picture.fullWidth);
  }

  get isNeutral() {
    return Object.keys(this.knobs.options()).length === 0;
  }

  // --- what is seen ----------------------------------------------------------------------

  changed(isEdge) {
    if (isEdge) {
      this.turn += 1;
      this.ask();
    } else {
      this.reframe();
    }
    this.viewer.draw();
  }

  // One question at a time: while a knob is turned only the last position counts.
  ask() {
    if (!this.isAsking) {
      this.isAsking = true;
      this.asked = this.turn;
      this.element?.setAttribute("data-preview", "busy");
      this.worker.postMessage({ knobs: this.knobs.edge, turn: this.turn });
    }
  }

  adjusted({ alpha, turn }) {
    this.isAsking = false;
    this.alpha = alpha;
    this.compose();
    if (turn !== this.turn) {
      this.ask();
    } else {
      this.element.setAttribute("data-preview", "ready");
    }
  }

  // The result with the alpha of the knobs. Where the result had no colour it gets the photo's.
  compose() {
    const { cut, photo, width, height } = this.picture;
    const pixels = new Uint8ClampedArray(cut);
    for (let place = 0; place < this.alpha.length; place += 1) {
      const level = this.alpha[place];
      pixels[4 * place + 3] = level;
      if (photo && level > this.base[place] && this.base[place] < FAINT) {
        pixels[4 * place] = photo[4 * place];
        pixels[4 * place + 1] = photo[4 * place + 1];
        pixels[4 * place + 2] = photo[4 * place + 2];
      }
    }
    this.shown.getContext("2d").putImageData(new ImageData(pixels, width, height), 0, 0);
    this.reframe();
    this.viewer.draw();
  }

  get dividerX() {
    const { canvas } = this.viewer;
    return this.before ? this.share * canvas.width : 0;
  }

  // Find what a crop leaves, in pixels of the picture; it may be larger than the picture.
  reframe() {
    const { frame } = this.knobs;
    this.box = frame && viewBox(this.alpha, this.picture.width, this.picture.height, frame);
    this.viewer.include(this.box);
  }

  paint(context, view) {
    const { width, height } = this.picture;
    const split = view.toPicture([this.dividerX, 0])[0];
    const shown = union(this.box, width, height);
    if (this.before) {
      this.within(context, [0, 0, split, height], () => context.drawImage(this.before, 0, 0));
    }
    const from = this.before ? Math.max(shown.left, split) : shown.left;
    this.within(context, [from, shown.top, shown.left + shown.width - from, shown.height], () => {
      this.paintGround(context, shown, view);
      context.drawImage(this.shown, 0, 0);
    });
    this.paintFrame(context, view, shown);
  }

  within(context, [left, top, width, height], paint) {
    if (width > 0) {
      context.save();
      context.beginPath();
      context.rect(left, top, width, height);
      context.clip();
      paint();
      context.restore();
    }
  }

  paintGround(context, { left, top, width, height }, view) {
    context.save();
    context.translate(left, top);
    if (this.knobs.background === null) {
      this.grounds.paint(context, width, height, view.zoom);
    } else {
      context.fillStyle = this.knobs.background;
      context.fillRect(0, 0, width, height);
    }
    context.restore();
  }

  // A dashed line around what a crop leaves; the rest of the picture is dimmed.
  paintFrame(context, view, shown) {
    const { box } = this;
    if (!box) {
      return;
    }
    context.save();
    context.fillStyle = "rgb(20 24 34 / 55%)";
    context.beginPath();
    context.rect(shown.left, shown.top, shown.width, shown.height);
    context.rect(box.left, box.top, box.width, box.height);
    context.fill("evenodd");
    for (const [colour, offset] of [["#14182a", 0], ["#fff", 8]]) {
      context.strokeStyle = colour;
      context.lineWidth = 2 / view.zoom;
      context.setLineDash([8 / view.zoom, 8 / view.zoom]);
      context.lineDashOffset = offset / view.zoom;
      context.strokeRect(box.left, box.top, box.width, box.height);
    }
    context.restore();
  }

  paintDivider(context, view) {
    if (!this.before) {
      return;
    }
    const x = Math.round(this.dividerX);
    const y = view.canvas.height / 2;
    const unit = view.ratio;
    context.fillStyle = "#fff";
    context.shadowColor = "rgb(0 0 0 / 50%)";
    context.shadowBlur = 4 * unit;
    context.fillRect(x - unit, 0, 2 * unit, view.canvas.height);
    context.beginPath();
    context.arc(x, y, 16 * unit, 0, 7);
    context.fill();
    context.shadowBlur = 0;
    context.fillStyle = "#333";
    for (const side of [-1, 1]) {
      context.beginPath();
      context.moveTo(x + side * 10 * unit, y);
      context.lineTo(x + side * 4 * unit, y - 5 * unit);
      context.lineTo(x + side * 4 * unit, y + 5 * unit);
      context.fill();
    }
  }

  dividerDrag() {
    return {
      begin: ([x]) => this.before && Math.abs(x - this.dividerX) < GRIP_PX * this.viewer.ratio,
      move: ([x]) => this.slide(Math.max(0, Math.min(1, x / this.viewer.canvas.width))),
      end: () => null,
    };
  }

  slide(share) {
    this.share = share;
    const percent = Math.round(100 * share);
    this.slider.value = percent;
    this.slider.setAttribute("aria-valuetext", this.words("cut.slider_at", { share: percent }));
    this.viewer.draw();
  }

  // --- files -----------------------------------------------------------------------------

  // Return the file as the knobs say, made by the server from the original: {blob, path}.
  async file(more) {
    const options = this.knobs.options(more);
    if (Object.keys(options).length === 0) {
      return { blob: this.picture.blob, path: this.picture.about.picture.result };
    }
    const query = queryOf(options);
    if (!this.made.has(query)) {
      this.made.set(query, await this.makeFile(options));
    }
    return this.made.get(query);
  }

  // The server makes the file as one more picture. It is deleted there when it is here: the stored
  // result and the original stay, and the folder is not filled by tries.
  async makeFile(options) {
    const id = await makeVersion(this.api, this.picture.id, options);
    try {
      const { picture } = await ended(this.api, id);
      return { blob: await this.api.blob(`/api/v1/pictures/${id}/result`), path: picture.result };
    } finally {
      discard(this.api, id);
    }
  }

  async during(text, work) {
    const buttons = [this.download, this.copy];
    this.tell(text);
    buttons.forEach((button) => { button.disabled = true; });
    try {
      this.tell(await work());
    } catch (error) {
      this.tell(error.detail ?? this.words("cut.no_clipboard"), true);
    }
    buttons.forEach((button) => { button.disabled = false; });
  }

  tell(text, isBad = false) {
    this.status.textContent = text;
    this.status.classList.toggle("reason", isBad);
  }

  save() {
    return this.during(this.words("cut.making"), async () => {
      const { blob, path } = await this.file();
      return this.words("cut.saved", { name: saveAs(blob, this.picture.name, path) });
    });
  }

  toClipboard() {
    return this.during(this.words("cut.making"), async () => {
      const blob = this.file({ format: "png" }).then((file) => new Blob([file.blob], { type: "image/png" }));
      await navigator.clipboard.write([new ClipboardItem({ "image/png": blob })]);
      return this.words("cut.copied");
    });
  }

  close() {
    this.worker.terminate();
    this.viewer.close();
    this.grounds.close();
    this.shown.width = 1;
    if (this.before) {
      this.before.width = 1;
    }
  }
}

// The picture together with a box, which may be null.
function union(box, width, height) {
  if (!box) {
    return { left: 0, top: 0, width, height };
  }
  const [left, top] = [Math.min(0, box.left), Math.min(0, box.top)];
  const right = Math.max(width, box.left + box.width);
  return { left, top, width: right - left, height: Math.max(height, box.top + box.height) - top };
}
