// Touch up a result: erase what is too much, restore what is missing.

import { h } from "../dom.js";
import { theBatch } from "./batch-model.js";
import { discard, ended, load, makeVersion, newKey } from "./cut-pictures.js";
import { loadStyles } from "./style-sheet.js";
import { Grounds } from "./grounds.js";
import { inheritKnobs } from "./knobs.js";
import { TouchCanvas } from "./touch-canvas.js";
import { Viewer, zoomBar } from "./viewer.js";

const SIDE_PX = 4096; // the largest mask that the server takes
const VIEWS = ["batch", "history"]; // from where a picture may come, besides Cut and Review
const SETTLED = new Set(["already_judged", "picture_failed"]); // somebody else was faster
const kept = { tool: "erase", size: 40, hardness: 70 }; // for the next picture

export async function mount(root, context) {
  await loadStyles("cut");
  const view = new TouchView(root, context);
  view.start();
  return () => view.close();
}

class TouchView {
  constructor(root, context) {
    Object.assign(this, { root, ...context });
    this.stop = new AbortController();
    this.onKey = (event) => this.key(event);
    this.onKeyUp = (event) => this.keyUp(event);
    this.onLeave = (event) => this.hasStrokes && event.preventDefault();
  }

  async start() {
    const { words } = this;
    this.root.replaceChildren(h("h1", {}, words("touch.title")), h("p", { class: "card", role: "status" }, words("touch.loading")));
    try {
      this.picture = await load(this.api, this.params.id ?? "", { side: SIDE_PX, signal: this.stop.signal });
      if (!this.picture.cut) {
        throw Object.assign(new Error("unseen"), { detail: words("touch.unseen") });
      }
    } catch (error) {
      if (error.name !== "AbortError") {
        this.root.replaceChildren(h("h1", {}, words("touch.title")),
          h("p", { class: "card reason", role: "alert" }, error.detail ?? String(error)),
          h("a", { class: "button", href: "#/cut" }, words("shell.cut")));
      }
      return;
    }
    if (this.stop.signal.aborted) {
      return;
    }
    this.canvas = new TouchCanvas(this.picture);
    this.painting = this.canvas.painting;
    this.build();
    this.protect(() => this.hasStrokes, () => this.agreed());
    document.addEventListener("keydown", this.onKey);
    document.addEventListener("keyup", this.onKeyUp);
    addEventListener("beforeunload", this.onLeave);
  }

  close() {
    this.stop.abort();
    document.removeEventListener("keydown", this.onKey);
    document.removeEventListener("keyup", this.onKeyUp);
    removeEventListener("beforeunload", this.onLeave);
    this.viewer?.close();
    this.grounds?.close();
    this.canvas?.close();
    return this.deleteExtras(); // the next view waits for it, so that Review does not show them
  }

  get hasStrokes() {
    return this.painting && !this.painting.isEmpty && !this.isSaved;
  }

  // --- what is seen ----------------------------------------------------------------------

  build() {
    const { words, picture } = this;
    this.viewer = new Viewer({ label: words("touch.viewer", { name: picture.name }), paint: (context, view) => this.paint(context, view) });
    this.viewer.drag = { begin: (point, event) => this.begin(point, event), move: (point, event) => this.move(point, event), end: (event, isCancelled) => this.end(isCancelled) };
    this.viewer.onHover = (point) => { this.pointer = point; this.viewer.draw(); };
    this.viewer.canvas.addEventListener("pointerleave", () => { this.pointer = null; this.viewer.draw(); });
    this.viewer.over = (context) => this.paintBrush(context);
    this.grounds = new Grounds(words, () => this.viewer.draw());
    const isGhost = h("input", { type: "checkbox", id: "touch-ghost", onchange: () => { this.isGhost = isGhost.checked; this.viewer.draw(); } });
    this.ghostInput = isGhost;
    this.tools = ["erase", "restore"].map((name) => h("button", { class: "button", type: "button", onclick: () => this.use(name) }, words(`touch.${name}`)));
    this.undoButton = this.step("↶", "touch.undo", () => this.undo());
    this.redoButton = this.step("↷", "touch.redo", () => this.redo());
    this.saveButton = h("button", { class: "button primary", type: "button", onclick: () => this.save() }, words("touch.save"));
    this.status = h("p", { class: "hint status-line", role: "status" }, "");
    this.root.replaceChildren(h("h1", {}, words("touch.title")),
      h("div", { class: "cut-layout touch" },
        h("section", { class: "card stage-card", "aria-label": picture.name }, this.viewer.element,
          h("div", { class: "bar tools" }, this.grounds.element, zoomBar(this.viewer, words))),
        h("section", { class: "card side-card brush-tools", "aria-label": words("touch.tools") },
          h("div", { class: "dock" },
            h("div", { class: "brush-bar", role: "group", "aria-label": words("touch.tools") },
              ...this.tools, this.undoButton, this.redoButton, this.saveButton),
            this.status),
          this.range("size", 1, 400), this.range("hardness", 0, 100),
          picture.photo ? h("label", { class: "bar", for: "touch-ghost" }, isGhost, words("touch.ghost")) : h("p", { class: "hint" }, words("touch.no_original")),
          h("button", { class: "button", type: "button", onclick: () => this.leave() }, words("touch.back")),
          this.keysCard())));
    this.use(kept.tool);
    this.mark();
    this.viewer.show(picture.width, picture.height, picture.fullWidth);
  }

  // A button that is only a sign where there is little room.
  step(sign, key, onclick) {
    return h("button", { class: "button step-button", type: "button", onclick },
      h("span", { "aria-hidden": "true" }, sign), h("span", { class: "button-text" }, this.words(key)));
  }

  range(name, min, max) {
    const id = `touch-${name}`;
    const output = h("output", { for: id }, kept[name]);
    const input = h("input", { type: "range", id, min, max, value: kept[name], oninput: () => this.change(name, Number(input.value)) });
    this[`${name}Input`] = input;
    this[`${name}Output`] = output;
    return h("div", { class: "field" }, h("label", { for: id }, this.words(`touch.${name}`), output), input);
  }

  keysCard() {
    const rows = [["E R", "key_tools"], ["[ ]", "key_size"], ["{ }", "key_hardness"], ["Ctrl+Z, Ctrl+Shift+Z", "key_undo"], ["␣", "key_pan"], ["+ − 0 1", "key_zoom"]];
    return h("details", { class: "keys-card" }, h("summary", {}, this.words("touch.keys")),
      h("dl", { class: "keys-list" }, ...rows.flatMap(([keys, key]) => [h("dt", {}, h("kbd", {}, keys)), h("dd", {}, this.words(`touch.${key}`))])));
  }

  use(name) {
    kept.tool = name;
    this.tools.forEach((button, place) => button.setAttribute("aria-pressed", String(["erase", "restore"][place] === name)));
  }

  change(name, value) {
    const input = this[`${name}Input`];
    kept[name] = Math.max(Number(input.min), Math.min(Number(input.max), value));
    input.value = kept[name];
    this[`${name}Output`].textContent = kept[name];
    this.viewer.draw();
  }

  // While strokes are sent, and afterwards, others would be lost.
  get isClosedForStrokes() {
    return this.isSaving === true || this.isSaved === true;
  }

  // Neither undone nor saved: a stroke is half painted.
  get isHeld() {
    return this.isClosedForStrokes || Boolean(this.painting.stroke);
  }

  mark() {
    const isClosed = this.isClosedForStrokes;
    this.undoButton.disabled = isClosed || this.painting.done.length === 0;
    this.redoButton.disabled = isClosed || this.painting.undone.length === 0;
    this.saveButton.disabled = isClosed || this.painting.isEmpty;
  }

  paint(context, view) {
    const { width, height } = this.picture;
    this.grounds.paint(context, width, height, view.zoom);
    if (this.isGhost && this.canvas.ghost) {
      context.globalAlpha = 0.35;
      context.drawImage(this.canvas.ghost, 0, 0);
      context.globalAlpha = 1;
    }
    context.drawImage(this.canvas.shown, 0, 0);
  }

  // The brush's outline, dark and light, so that it is seen on anything.
  paintBrush(context) {
    if (!this.pointer) {
      return;
    }
    const radius = (kept.size / 2) * this.viewer.ratio;
    for (const [colour, wide] of [["rgb(0 0 0 / 70%)", 3], ["#fff", 1]]) {
      context.strokeStyle = colour;
      context.lineWidth = wide * this.viewer.ratio;
      context.beginPath();
      context.arc(...this.pointer, radius, 0, 7);
      context.stroke();
    }
  }

  // --- painting --------------------------------------------------------------------------

  begin(point, event) {
    if (this.isClosedForStrokes || (event.button !== 0 && event.button !== 5)) {
      return false;
    }
    this.isErasing = event.button === 5 || kept.tool === "erase"; // 5: the eraser of a pen
    this.painting.begin();
    this.last = this.skipped = null;
    this.strokeTo(point, event);
    return true;
  }

  move(point, event) {
    const events = event.getCoalescedEvents?.() ?? [];
    for (const one of events.length ? events : [event]) {
      this.strokeTo(this.viewer.pointOf(one), one);
    }
  }

  // Paint discs from the last place to this one. The size is in pixels of the screen, so a fine
  // brush is had by enlarging the picture. A pen's pressure makes it smaller.
  strokeTo(point, event) {
    const [x, y] = this.viewer.toPicture(point);
    const pressure = event.pointerType === "pen" && event.pressure > 0 ? 0.25 + 0.75 * event.pressure : 1;
    const radius = Math.max(0.5, ((kept.size / 2) * this.viewer.ratio * pressure) / this.viewer.zoom);
    const from = this.last ?? { x, y, radius: 0 };
    const steps = Math.hypot(x - from.x, y - from.y) / Math.max(0.5, radius / 4);
    if (steps < 1 && radius < 1.1 * from.radius) {
      this.skipped = { x, y, radius }; // one more disc would be hardly seen, and large ones take long
      return;
    }
    const count = Math.max(1, Math.round(steps));
    for (let step = 1; step <= count; step += 1) {
      const share = step / count;
      this.dab(from.x + (x - from.x) * share, from.y + (y - from.y) * share, radius);
    }
    this.last = { x, y, radius };
    this.skipped = null;
    this.viewer.draw();
  }

  dab(x, y, radius) {
    this.canvas.update(this.painting.dab(x, y, radius, kept.hardness / 100, !this.isErasing));
  }

  end(isCancelled) {
    if (isCancelled) {
      this.canvas.update(this.painting.cancel());
      this.viewer.draw();
    } else {
      this.reachEnd();
      this.painting.end();
      this.saveKey = null;
    }
    this.mark();
  }

  // The stroke ends where the pointer was last.
  reachEnd() {
    if (this.skipped) {
      this.dab(this.skipped.x, this.skipped.y, this.skipped.radius);
      this.viewer.draw();
    }
  }

  undo() {
    this.go("undo");
  }

  redo() {
    this.go("redo");
  }

  go(way) {
    const strokes = this.painting[way === "undo" ? "done" : "undone"];
    if (!this.isHeld && strokes.length > 0) {
      this.saveKey = null;
      this.canvas.update(this.painting[way]());
      this.viewer.draw();
      this.mark();
    }
  }

  key(event) {
    if (document.querySelector("dialog[open]") || event.target.closest?.("select, input:not([type=range], [type=checkbox])")) {
      return;
    }
    const isControl = event.ctrlKey || event.metaKey;
    const name = event.key.toLowerCase();
    const actions = isControl
      ? { z: () => (event.shiftKey ? this.redo() : this.undo()), y: () => this.redo(), s: () => this.save() }
      : {
        e: () => this.use("erase"),
        r: () => this.use("restore"),
        "[": () => this.change("size", Math.round(kept.size / 1.2) - 1),
        "]": () => this.change("size", Math.round(kept.size * 1.2) + 1),
        "{": () => this.change("hardness", kept.hardness - 10),
        "}": () => this.change("hardness", kept.hardness + 10),
      };
    if (name === " " && (this.pointer || event.target === this.viewer.canvas)) {
      event.preventDefault();
      this.viewer.isSpaceDown = true;
    } else if (actions[name] && !event.altKey) {
      event.preventDefault();
      actions[name]();
    }
  }

  keyUp(event) {
    if (event.key === " " && this.viewer.isSpaceDown) {
      event.preventDefault(); // a button that has the focus would be pressed
      this.viewer.isSpaceDown = false;
    }
  }

  // --- out -------------------------------------------------------------------------------

  async save() {
    if (this.isHeld || this.painting.isEmpty) {
      return;
    }
    this.isSaving = true;
    this.saveKey ??= newKey(); // kept until the strokes change: if an answer is lost, no second version is made
    this.mark();
    const tell = (text, isBad = false) => {
      this.status.textContent = text;
      this.status.classList.toggle("reason", isBad);
    };
    try {
      const mask = await this.painting.png();
      // Of the picture itself, not of what is shown: format, background and crop stay as they were.
      const id = await makeVersion(this.api, this.params.id, {}, {
        mask, key: this.saveKey, signal: this.stop.signal, onProgress: (share) => tell(this.words("touch.saving", { share: Math.round(100 * share) })),
      });
      tell(this.words("touch.making"));
      const made = await ended(this.api, id, { signal: this.stop.signal });
      this.isSaved = true;
      inheritKnobs(this.params.id, id);
      const trouble = await this.settleDoubts(made);
      if (this.params.from === "batch") {
        theBatch(this.api).replace(this.params.id, id);
      }
      if (trouble) { // a person has to see it
        tell(this.words("touch.still_doubtful", { reason: trouble }), true);
        this.status.append(" ", h("a", { class: "button small", href: this.placeAfter(id) }, this.words("touch.go_on")));
      } else {
        this.announce(this.words("touch.saved"));
        this.navigate(this.placeAfter(id));
      }
    } catch (error) {
      this.saveKey = error.isFailed ? null : this.saveKey; // it would only name the same failure
      if (error.name !== "AbortError") {
        tell(this.words("touch.failed", { reason: error.detail ?? String(error) }), true);
      }
    }
    this.isSaving = false;
    this.mark();
  }

  // --- where it came from -----------------------------------------------------------------

  get isFromReview() {
    return Boolean(this.params.job);
  }

  placeAfter(id) {
    if (this.isFromReview) {
      return "#/review";
    }
    return VIEWS.includes(this.params.from) ? `#/${this.params.from}` : `#/cut/${id}`;
  }

  // A person has made a better version by hand, so neither it nor the earlier result is asked about
  // in Review. Nothing is deleted: the earlier result stays in its folder. Return why one of them is
  // still asked about; empty if none is. The version is safe all the same.
  async settleDoubts(made) {
    let trouble = "";
    const judged = [made, this.picture.origin].filter((one) => one.picture.review).map((one) => `/api/v1/drops/${one.drop}/pictures/${one.picture.id}`);
    if (this.isFromReview) {
      judged.push(`/api/v1/drops/${this.params.drop}/pictures/${this.params.job}`);
    }
    for (const path of new Set(judged)) {
      try {
        await this.api.post(`${path}/approve?doubtful=true`);
      } catch (error) {
        const isSettled = SETTLED.has(error.code) || error.status === 404 || error.status === 410;
        trouble ||= isSettled ? "" : error.detail ?? String(error);
      }
    }
    return trouble;
  }

  // Pictures that were made only to be painted on: a dropped original taken in as an upload, and a
  // plain result. They would be doubtful, too, and stand in Review beside the one they come from.
  async deleteExtras() {
    const extras = new Set(this.params.made ? [this.params.id] : []);
    if (this.picture && this.picture.id !== this.params.id) {
      extras.add(this.picture.id);
    }
    await Promise.all([...extras].map((id) => discard(this.api, id)));
  }

  // The router asks about strokes that are not saved.
  leave() {
    this.navigate(this.placeAfter(this.params.id));
  }

  agreed() {
    const dialog = h("dialog", { class: "dialog", "aria-labelledby": "leave-text" },
      h("form", { method: "dialog" }, h("p", { id: "leave-text" }, this.words("touch.lose")),
        h("div", { class: "bar" },
          h("button", { class: "button", value: "stay", autofocus: true }, this.words("touch.stay")),
          h("button", { class: "button danger", value: "leave" }, this.words("touch.leave")))));
    document.body.append(dialog);
    dialog.showModal();
    return new Promise((resolve) => {
      dialog.addEventListener("close", () => {
        dialog.remove();
        resolve(dialog.returnValue === "leave");
      });
    });
  }
}
