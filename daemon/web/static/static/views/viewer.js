// A canvas that shows a picture, fitted, enlarged and moved: by wheel, fingers, mouse and keys.

import { h } from "../dom.js";

const LARGEST = 16;
const STEP = 1.25;
const MOVE_PX = 48;

export class Viewer {
  // `paint(context, view)` draws in pixels of the picture. `label` is told to screen readers.
  constructor({ label, paint, over = () => null }) {
    Object.assign(this, { paint, over, size: [1, 1], bounds: [0, 0, 1, 1], zoom: 1, offset: [0, 0], isFitted: true, pointers: new Map() });
    this.canvas = h("canvas", { class: "viewer-canvas", role: "img", tabindex: "0", "aria-label": label });
    this.element = h("div", { class: "viewer" }, this.canvas);
    this.watcher = new ResizeObserver(() => this.resize());
    this.watcher.observe(this.element);
    this.canvas.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    this.canvas.addEventListener("keydown", (event) => this.key(event));
    this.canvas.addEventListener("pointerdown", (event) => this.down(event));
    this.canvas.addEventListener("pointermove", (event) => this.move(event));
    for (const kind of ["pointerup", "pointercancel"]) {
      this.canvas.addEventListener(kind, (event) => this.up(event));
    }
    this.drag = null; // set by users: {begin(point, event) -> bool, move(point, event), end(event)}
    this.onZoom = () => null;
  }

  // Show a picture of another size (pixels); `pixelsPerPixel`: of the screen's for 1:1.
  show(width, height, fullWidth = width) {
    this.size = [width, height];
    this.bounds = [0, 0, width, height];
    this.whole = width / fullWidth; // zoom at which a pixel of the file is one of the screen
    this.fit();
  }

  // Leave room for a box that may be larger than the picture; null for none.
  include(box) {
    const [width, height] = this.size;
    const [left, top] = box ? [Math.min(0, box.left), Math.min(0, box.top)] : [0, 0];
    const right = box ? Math.max(width, box.left + box.width) : width;
    const bottom = box ? Math.max(height, box.top + box.height) : height;
    this.bounds = [left, top, right - left, bottom - top];
    if (this.isFitted) {
      this.fit();
    }
  }

  resize() {
    const { clientWidth, clientHeight } = this.element;
    this.ratio = window.devicePixelRatio || 1;
    this.canvas.width = Math.max(1, Math.round(clientWidth * this.ratio));
    this.canvas.height = Math.max(1, Math.round(clientHeight * this.ratio));
    if (this.isFitted) {
      this.fit();
    } else {
      this.changed();
    }
  }

  fit() {
    const { width, height } = this.canvas;
    const [left, top, wide, high] = this.bounds;
    this.zoom = Math.min(width / wide, height / high, Math.max(1, 2 * (this.ratio || 1)));
    this.offset = [(width - this.zoom * wide) / 2 - this.zoom * left, (height - this.zoom * high) / 2 - this.zoom * top];
    this.isFitted = true;
    this.changed();
  }

  // One pixel of the file for one of the screen.
  actualSize() {
    this.zoomTo(1 / this.whole, [this.canvas.width / 2, this.canvas.height / 2]);
  }

  get percent() {
    return Math.round(100 * this.zoom * this.whole);
  }

  zoomTo(zoom, [x, y]) {
    const next = Math.min(LARGEST / this.whole, Math.max(0.02, zoom));
    const place = this.toPicture([x, y]);
    this.zoom = next;
    this.offset = [x - place[0] * next, y - place[1] * next];
    this.isFitted = false;
    this.keepInSight();
    this.changed();
  }

  zoomBy(factor, point = [this.canvas.width / 2, this.canvas.height / 2]) {
    this.zoomTo(this.zoom * factor, point);
  }

  keepInSight() {
    const frame = [this.canvas.width, this.canvas.height];
    this.offset = this.offset.map((offset, axis) => {
      const begin = this.bounds[axis] * this.zoom;
      const side = this.bounds[axis + 2] * this.zoom;
      return side <= frame[axis] ? (frame[axis] - side) / 2 - begin : Math.min(-begin, Math.max(frame[axis] - side - begin, offset));
    });
  }

  panBy(x, y) {
    this.offset = [this.offset[0] + x, this.offset[1] + y];
    this.isFitted = false;
    this.keepInSight();
    this.changed();
  }

  toPicture([x, y]) {
    return [(x - this.offset[0]) / this.zoom, (y - this.offset[1]) / this.zoom];
  }

  changed() {
    this.onZoom(this.percent);
    this.draw();
  }

  draw() {
    if (this.frame) {
      return;
    }
    this.frame = requestAnimationFrame(() => {
      this.frame = null;
      const context = this.canvas.getContext("2d");
      context.setTransform(1, 0, 0, 1, 0, 0);
      context.clearRect(0, 0, this.canvas.width, this.canvas.height);
      context.setTransform(this.zoom, 0, 0, this.zoom, ...this.offset);
      context.imageSmoothingEnabled = this.zoom * this.whole < 3;
      context.imageSmoothingQuality = "high";
      this.paint(context, this);
      context.setTransform(1, 0, 0, 1, 0, 0);
      this.over(context, this);
    });
  }

  // --- input -----------------------------------------------------------------------------

  pointOf(event) {
    const box = this.canvas.getBoundingClientRect();
    return [(event.clientX - box.left) * this.ratio, (event.clientY - box.top) * this.ratio];
  }

  wheel(event) {
    event.preventDefault();
    this.zoomBy(Math.exp(-Math.max(-80, Math.min(80, event.deltaY)) / 250), this.pointOf(event));
  }

  down(event) {
    this.canvas.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, this.pointOf(event));
    if (this.pointers.size === 1) {
      const isPan = event.button === 1 || this.isSpaceDown;
      this.isDragging = !isPan && Boolean(this.drag?.begin(this.pointOf(event), event));
    } else if (this.isDragging) { // a second finger: it is a pinch
      this.drag.end(event, true);
      this.isDragging = false;
    }
  }

  move(event) {
    const before = this.pointers.get(event.pointerId);
    const point = this.pointOf(event);
    this.onHover?.(point, event);
    if (!before) {
      return;
    }
    if (this.pointers.size === 2) {
      this.pinch(event.pointerId, before, point);
    } else if (this.isDragging) {
      this.drag.move(point, event);
    } else {
      this.panBy(point[0] - before[0], point[1] - before[1]);
    }
    this.pointers.set(event.pointerId, point);
  }

  pinch(id, before, point) {
    const [, other] = [...this.pointers].find(([name]) => name !== id);
    const distance = (one) => Math.hypot(one[0] - other[0], one[1] - other[1]) || 1;
    this.panBy((point[0] - before[0]) / 2, (point[1] - before[1]) / 2);
    this.zoomBy(distance(point) / distance(before), [(point[0] + other[0]) / 2, (point[1] + other[1]) / 2]);
  }

  up(event) {
    this.pointers.delete(event.pointerId);
    if (this.isDragging && this.pointers.size === 0) {
      this.isDragging = false;
      this.drag.end(event, event.type === "pointercancel");
    }
  }

  key(event) {
    const actions = {
      "+": () => this.zoomBy(STEP),
      "=": () => this.zoomBy(STEP),
      "-": () => this.zoomBy(1 / STEP),
      "0": () => this.fit(),
      "1": () => this.actualSize(),
      ArrowLeft: () => this.panBy(MOVE_PX, 0),
      ArrowRight: () => this.panBy(-MOVE_PX, 0),
      ArrowUp: () => this.panBy(0, MOVE_PX),
      ArrowDown: () => this.panBy(0, -MOVE_PX),
    };
    if (actions[event.key] && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      actions[event.key]();
    }
  }

  close() {
    this.watcher.disconnect();
    cancelAnimationFrame(this.frame);
    this.canvas.width = 1; // lets go of its memory at once
    this.canvas.height = 1;
  }
}

// Buttons for those who have no wheel.
export function zoomBar(viewer, words) {
  const text = h("output", { class: "zoom-text" }, "");
  viewer.onZoom = (percent) => { text.textContent = `${percent} %`; };
  const button = (sign, key, act) => h("button", { class: "button small", type: "button", title: words(key), "aria-label": words(key), onclick: act }, sign);
  return h("div", { class: "bar zoom-bar", role: "group", "aria-label": words("view.zoom") },
    button("−", "view.smaller", () => viewer.zoomBy(1 / STEP)), text,
    button("+", "view.larger", () => viewer.zoomBy(STEP)),
    button(words("view.fit_short"), "view.fit", () => viewer.fit()),
    button("1:1", "view.actual", () => viewer.actualSize()));
}
