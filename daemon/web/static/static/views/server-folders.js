// Folders on the server that the configuration allows: looked into, and their pictures taken.

import { h } from "../dom.js";
import { number } from "./format.js";

const UNREADABLE = new Set([400, 404]);
const DEEPEST = 20;

export function serverFolders(api, words, onTake) {
  const box = h("details", { class: "server-folders", hidden: true });
  new Chooser(api, words, onTake, box).start();
  return box;
}

class Chooser {
  constructor(api, words, onTake, box) {
    Object.assign(this, { api, words, onTake, box });
  }

  async start() {
    try {
      const { folders } = await this.api.get("/api/v1/server-folders");
      if (folders.length) {
        this.folders = folders;
        this.build();
      }
    } catch {
      this.box.remove(); // an older server, or no key yet
    }
  }

  build() {
    this.list = h("select", { id: "server-folder" },
      ...this.folders.map((one) => h("option", { value: String(one.id) }, one.name)));
    this.list.addEventListener("change", () => this.open(""));
    this.place = h("p", { class: "bar crumbs" });
    this.inside = h("div", { class: "bar" });
    this.deep = h("input", { type: "checkbox", id: "server-deep", checked: true });
    this.take = h("button", { class: "button primary", type: "button" }, "");
    this.take.addEventListener("click", () => this.takeAll());
    this.trouble = h("p", { class: "notice", role: "status", hidden: true });
    this.box.replaceChildren(
      h("summary", {}, this.words("batch.server")),
      h("p", { class: "hint" }, this.words("batch.server_hint")),
      h("div", { class: "field" }, h("label", { for: "server-folder" }, this.words("batch.server_folder")), this.list),
      this.place,
      this.inside,
      h("div", { class: "bar" }, this.take,
        h("span", { class: "check" }, this.deep, h("label", { for: "server-deep" }, this.words("batch.server_deep")))),
      this.trouble,
    );
    this.box.addEventListener("toggle", () => this.box.open && !this.listing && this.open(""));
    this.box.hidden = false;
  }

  async page(path, after) {
    const query = new URLSearchParams(path ? { path } : {});
    if (after) {
      query.set("after", after);
    }
    return this.api.get(`/api/v1/server-folders/${this.list.value}?${query}`);
  }

  async open(path) {
    try {
      this.listing = await this.page(path);
      this.trouble.hidden = true;
    } catch (error) {
      this.tell(error);
      return;
    }
    const parts = path ? path.split("/") : [];
    const crumbs = [this.folders[this.list.selectedIndex].name, ...parts].map((name, depth) =>
      this.link(name, parts.slice(0, depth).join("/")));
    this.place.replaceChildren(...crumbs);
    this.inside.replaceChildren(
      ...this.listing.folders.map((name) => this.link(`📁 ${name}`, path ? `${path}/${name}` : name)));
    const { total, folders } = this.listing;
    this.take.textContent = this.words("batch.server_take", { count: number(total) });
    this.take.disabled = !total && !folders.length;
  }

  link(text, path) {
    const button = h("button", { class: "button small", type: "button" }, text);
    button.addEventListener("click", () => this.open(path));
    return button;
  }

  async takeAll() {
    const folder = Number(this.list.value);
    this.take.disabled = true;
    this.unreadable = 0;
    try {
      await this.takeFrom(folder, this.listing.path, this.deep.checked ? DEEPEST : 0);
      this.trouble.textContent = this.words("batch.unreadable", { count: this.unreadable });
      this.trouble.hidden = !this.unreadable;
    } catch (error) {
      this.tell(error);
    }
    this.take.disabled = false;
  }

  async takeFrom(folder, path, depth) {
    let after = "";
    let folders = [];
    do {
      const page = await this.page(path, after);
      folders = page.folders;
      const above = path ? `${path}/` : "";
      this.onTake(folder, page.pictures.map((one) => ({ path: above + one.name, bytes: one.bytes })));
      after = page.next;
    } while (after);
    for (const name of depth ? folders : []) {
      try {
        await this.takeFrom(folder, path ? `${path}/${name}` : name, depth - 1);
      } catch (error) {
        if (!UNREADABLE.has(error.status)) {
          throw error;
        }
        this.unreadable += 1; // of another user, or gone meanwhile: the others are taken all the same
      }
    }
  }

  tell(error) {
    this.trouble.textContent = error.detail || String(error);
    this.trouble.hidden = false;
  }
}
