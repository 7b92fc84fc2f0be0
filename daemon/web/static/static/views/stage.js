// A large preview on checker, black or white, or the original instead.

import { h } from "../dom.js";

export const GROUNDS = ["checker", "white", "black", "original"];

export class Stage {
  constructor(api, words) {
    Object.assign(this, { api, words });
    this.ground = "checker";
    this.urls = new Map();
    this.image = h("img", { class: "stage-image", alt: "" });
    this.text = h("p", { class: "stage-text", role: "status" }, "");
    this.frame = h("div", { class: "stage-frame checker" }, this.image, this.text);
    this.buttons = GROUNDS.map((name) => {
      const button = h("button", { class: "button small", type: "button" }, words(`stage.${name}`));
      button.addEventListener("click", () => this.use(name));
      return button;
    });
    const group = h("div", { class: "bar grounds", role: "group", "aria-label": words("stage.ground") }, ...this.buttons);
    this.element = h("div", { class: "stage" }, this.frame, group);
    this.use("checker");
  }

  // Use another ground; the original is shown in place of the result.
  use(name) {
    this.ground = name;
    this.frame.className = `stage-frame ${name === "original" ? "checker" : name}`;
    this.buttons.forEach((button, place) => {
      button.setAttribute("aria-pressed", String(GROUNDS[place] === name));
    });
    this.draw();
  }

  useNext() {
    this.use(GROUNDS[(GROUNDS.indexOf(this.ground) + 1) % GROUNDS.length]);
  }

  show(one) {
    this.one = one;
    this.buttons.at(-1).hidden = !one.original;
    if (this.ground === "original" && !one.original) {
      this.use("checker");
      return;
    }
    this.draw();
  }

  async draw() {
    const one = this.one;
    if (!one) {
      return;
    }
    const path = `${one.href}/${this.ground === "original" ? "original-preview" : "preview"}`;
    this.wanted = path;
    this.image.alt = one.name;
    if (!this.urls.has(path)) {
      this.image.classList.add("is-loading");
    }
    try {
      const url = await this.urlOf(path);
      if (this.wanted === path && !this.isClosed) {
        this.image.src = url;
        this.image.hidden = false;
        this.text.textContent = "";
      }
    } catch (error) {
      if (this.wanted === path) {
        this.image.hidden = true;
        this.text.textContent = error.detail || String(error);
      }
    }
    this.image.classList.remove("is-loading");
  }

  // Fetch the next picture before it is looked at.
  prepare(one) {
    this.urlOf(`${one.href}/preview`).catch(() => null); // it is tried again when it is shown
  }

  async urlOf(path) {
    if (!this.urls.has(path)) {
      const blob = await this.api.small(path);
      if (!this.urls.has(path)) {
        this.urls.set(path, URL.createObjectURL(blob));
      }
      this.forgetOld();
    }
    return this.urls.get(path);
  }

  forgetOld() {
    for (const [path, url] of this.urls) {
      if (this.urls.size <= 6) {
        return;
      }
      if (path !== this.wanted) {
        URL.revokeObjectURL(url);
        this.urls.delete(path);
      }
    }
  }

  close() {
    this.isClosed = true;
    this.urls.forEach((url) => URL.revokeObjectURL(url));
    this.urls.clear();
  }
}
