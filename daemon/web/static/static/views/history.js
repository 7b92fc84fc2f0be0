// What was done: output folders of all hot folders, a search by name, and what can be done with
// each picture afterwards.

import { h } from "../dom.js";
import { daysUntil, moment, number } from "./format.js";
import { showPicture } from "./picture-dialog.js";
import { confirmed } from "./question.js";
import { saveFile, saveZip } from "./save-file.js";
import { loadStyles } from "./style-sheet.js";
import { Thumbnails } from "./thumbnails.js";

const DROPS = 20;
const STRIP = 8;
const PAGE = 60;
const TYPING_MS = 300;

export async function mount(root, context) {
  await loadStyles("views");
  const view = new HistoryView(root, context);
  view.start();
  return () => view.close();
}

class HistoryView {
  constructor(root, context) {
    Object.assign(this, { root, ...context });
    this.thumbnails = new Thumbnails(context.api);
    this.asked = 0;
  }

  start() {
    this.text = h("input", { type: "search", id: "history-text", autocomplete: "off", maxlength: 200 });
    this.state = h("select", { id: "history-state" },
      ...["", "done", "doubtful", "failed"].map((value) =>
        h("option", { value }, this.words(`history.state_${value || "any"}`))));
    this.folder = h("select", { id: "history-folder" }, h("option", { value: "" }, this.words("history.any_folder")));
    const form = h("form", { class: "card bar search", role: "search" },
      field(this.words("history.search"), this.text),
      field(this.words("history.state"), this.state),
      field(this.words("history.folder"), this.folder));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.show();
    });
    form.addEventListener("input", () => {
      clearTimeout(this.typing);
      this.typing = setTimeout(() => this.show(), TYPING_MS);
    });
    this.results = h("div", { class: "results" });
    this.more = h("button", { class: "button", type: "button", hidden: true }, this.words("history.more"));
    this.more.addEventListener("click", () => this.showMore());
    this.notice = h("p", { class: "notice", role: "status", hidden: true });
    this.root.replaceChildren(h("h1", {}, this.words("history.title")), form, this.notice, this.results, this.more);
    this.fillFolders();
    this.show();
  }

  close() {
    clearTimeout(this.typing);
    this.isClosed = true;
    this.thumbnails.close();
  }

  async fillFolders() {
    try {
      const { folders } = await this.api.get("/api/v1/folders");
      this.folder.append(...folders.map((one) => h("option", { value: one.name }, one.name)));
    } catch {
      this.folder.closest(".field").hidden = true; // without it all folders are shown
    }
  }

  query() {
    const query = {};
    const asked = { text: this.text.value.trim(), state: this.state.value, folder: this.folder.value };
    for (const [name, value] of Object.entries(asked)) {
      if (value) {
        query[name] = value;
      }
    }
    return query;
  }

  async show() {
    this.thumbnails.forget(this.results);
    this.results.replaceChildren();
    this.grid = null;
    this.next = null;
    await this.showMore();
  }

  // Show the next page; an answer that comes after another question is thrown away. A page may be
  // empty because all of it was deleted: then the one after it is shown.
  async showMore() {
    this.asked += 1;
    const asked = this.asked;
    const query = this.query();
    this.more.hidden = true;
    try {
      const isSearch = Object.keys(query).length > 0;
      let isEmpty = true;
      while (isEmpty) {
        const answer = await (isSearch ? this.search(query) : this.drops());
        if (asked !== this.asked || this.isClosed) {
          return;
        }
        isEmpty = !(isSearch ? this.drawFound : this.drawDrops).call(this, answer) && Boolean(this.next);
      }
      this.notice.hidden = true;
    } catch (error) {
      this.more.hidden = !this.next; // a click tries again
      this.tellError(error);
    }
  }

  search(query) {
    const all = new URLSearchParams({ ...query, limit: PAGE });
    if (this.next) {
      all.set("before", this.next);
    }
    return this.api.get(`/api/v1/pictures?${all}`);
  }

  drops() {
    const before = this.next ? `&before=${this.next}` : "";
    return this.api.get(`/api/v1/drops?limit=${DROPS}${before}`);
  }

  drawFound({ pictures, next }) {
    if (!this.grid) {
      this.grid = h("ul", { class: "grid pictures", "aria-label": this.words("history.found") });
      this.results.replaceChildren(this.grid);
    }
    this.grid.append(...pictures.map((one) => this.card(one)));
    if (!this.grid.children.length && !next) {
      this.results.replaceChildren(h("p", { class: "empty" }, this.words("history.nothing_found")));
      this.grid = null;
    }
    this.announce(this.words("history.found_count", { count: this.grid?.children.length ?? 0 }));
    this.next = next;
    this.more.hidden = !next;
    return pictures.length;
  }

  drawDrops({ drops, next }) {
    const shown = drops.filter((one) => one.is_there);
    this.results.append(...shown.map((one) => this.drop(one)));
    if (!this.results.children.length && !next) {
      this.results.replaceChildren(h("p", { class: "empty" }, this.words("history.empty")));
    }
    this.next = next;
    this.more.hidden = !next;
    return shown.length;
  }

  // --- one output folder -----------------------------------------------------------------

  drop(drop) {
    const total = Object.values(drop.counts).reduce((sum, one) => sum + one, 0);
    const strip = h("ul", { class: "strip pictures", "aria-label": drop.name });
    const more = this.button("small", "history.show_all", () => this.showAll(drop, strip, more), { count: number(total) });
    more.hidden = true;
    const days = drop.expires_at ? daysUntil(drop.expires_at) : null;
    const card = h("article", { class: "card drop" },
      h("header", { class: "bar" },
        h("h2", {}, moment(drop.opened_at)),
        h("span", { class: "badge" }, drop.folder),
        ...Object.entries(drop.counts).map(([state, count]) =>
          h("span", { class: `badge is-${state}` }, `${this.words(`history.count_${state}`)} ${number(count)}`))),
      h("p", { class: "hint" }, drop.name, " · ",
        days === null ? this.words("history.open") : this.words("history.days_left", { count: days })),
      strip,
      h("div", { class: "bar" },
        more,
        this.button("small", "history.zip", () => this.zip(drop)),
        this.button("small", "history.manifest", () =>
          saveFile(this.api, `${drop.href}/manifest`, `${drop.name}-manifest.json`)),
        drop.closed_at ? "" : this.button("small", "history.close", (event) => this.closeDrop(drop, event.currentTarget)),
        this.button("small danger", "history.delete", () => this.deleteDrop(drop, card, total))));
    this.fillStrip(drop, strip, more, total);
    return card;
  }

  button(kind, key, onclick, values) {
    const one = h("button", { class: `button ${kind}`, type: "button" }, this.words(key, values));
    one.addEventListener("click", async (event) => {
      try {
        await onclick(event);
      } catch (error) {
        this.tellError(error);
      }
    });
    return one;
  }

  async fillStrip(drop, strip, more, total) {
    try {
      const { pictures } = await this.api.get(`/api/v1/pictures?drop=${drop.id}&limit=${STRIP}`);
      strip.replaceChildren(...pictures.map((one) => this.card(one)));
      more.hidden = total <= STRIP;
    } catch {
      strip.remove(); // the folder itself can be used all the same
    }
  }

  async showAll(drop, list, button) {
    list.className = "grid pictures";
    const before = list.dataset.next ? `&before=${list.dataset.next}` : "";
    const answer = await this.api.get(`/api/v1/pictures?drop=${drop.id}&limit=${PAGE}${before}`);
    const cards = answer.pictures.map((one) => this.card(one));
    if (before) {
      list.append(...cards);
    } else {
      this.thumbnails.forget(list);
      list.replaceChildren(...cards);
    }
    cards[0]?.querySelector("button")?.focus();
    list.dataset.next = answer.next || "";
    button.hidden = !answer.next;
    button.textContent = this.words("history.more");
  }

  async zip(drop) {
    await saveZip(this.api, { drop: drop.id });
    this.tell(this.words("history.zip_begun"));
  }

  async closeDrop(drop, button) {
    await this.api.post(`${drop.href}/close`);
    button.remove();
    this.tell(this.words("history.closing"));
  }

  async deleteDrop(drop, card, total) {
    const text = this.words("history.delete_drop_sure", { name: drop.name, count: total });
    if (await confirmed(text, this.words("history.delete"), this.words("history.cancel"))) {
      await this.api.send("DELETE", drop.href, {});
      const next = card.nextElementSibling ?? card.previousElementSibling;
      this.thumbnails.forget(card);
      card.remove();
      (next?.querySelector("button") ?? this.text).focus();
      this.tell(this.words("history.deleted"));
    }
  }

  // --- one picture -----------------------------------------------------------------------

  card(one) {
    const picture = one.state === "done"
      ? h("span", { class: "checker thumb" }, this.thumbnails.image(`${one.href}/thumbnail`, ""))
      : h("span", { class: "thumb placeholder is-failed", "aria-hidden": "true" });
    const state = one.is_doubtful ? "doubtful" : one.state;
    const button = h("button", { class: "picture-button", type: "button", title: one.upload ? one.name : one.source },
      picture,
      h("span", { class: "name" }, one.name),
      state === "done" ? "" : h("span", { class: `badge is-${state}` }, this.words(`history.state_${state}`)));
    const card = h("li", { class: "card picture" }, button);
    const context = { api: this.api, words: this.words, announce: (text) => this.tell(text) };
    button.addEventListener("click", () => showPicture(one, context, {
      from: "history",
      onGone: () => {
        this.thumbnails.forget(card);
        const next = card.nextElementSibling ?? card.previousElementSibling;
        card.remove();
        (next?.querySelector("button") ?? this.text).focus();
      },
      onChange: (changes) => {
        Object.assign(one, changes);
        this.thumbnails.forget(card);
        const fresh = this.card(one);
        card.replaceWith(fresh);
        fresh.querySelector("button").focus();
      },
    }));
    return card;
  }

  tell(text) {
    this.notice.textContent = text;
    this.notice.hidden = false;
  }

  tellError(error) {
    this.tell(error.detail || String(error));
  }
}

function field(text, control) {
  return h("div", { class: "field" }, h("label", { for: control.id }, text), control);
}
