// Many pictures at once: chosen, dropped, or copied from a folder on the server.

import { h } from "../dom.js";
import { SETTLED, theBatch } from "./batch-model.js";
import { chosenFiles, droppedFiles } from "./dropped-files.js";
import { whyFailed } from "./failures.js";
import { duration, number } from "./format.js";
import { optionFields } from "./option-fields.js";
import { showPicture } from "./picture-dialog.js";
import { saveZip } from "./save-file.js";
import { serverFolders } from "./server-folders.js";
import { whyNotServed } from "./standby.js";
import { loadStyles } from "./style-sheet.js";
import { Thumbnails } from "./thumbnails.js";

const PAGE = 120;
const DRAW_MS = 250;
const DRAGS = ["dragover", "dragleave", "drop"];

export async function mount(root, context) {
  await loadStyles("views");
  const view = new BatchView(root, context);
  await view.start();
  return () => view.close();
}

class BatchView {
  constructor(root, context) {
    Object.assign(this, { root, ...context });
    this.batch = theBatch(context.api);
    this.thumbnails = new Thumbnails(context.api);
    this.cards = new Map();
    this.shown = PAGE;
    this.filter = "all";
    this.wasBusy = false;
    this.onChange = (event) => this.changed(event.detail);
    this.onDrag = (event) => this.drag(event);
    this.dirty = new Set();
  }

  async start() {
    this.batch.addEventListener("change", this.onChange);
    for (const kind of DRAGS) {
      document.addEventListener(kind, this.onDrag);
    }
    this.notice = h("p", { class: "notice", role: "status", hidden: true });
    this.root.replaceChildren(
      h("h1", {}, this.words("batch.title")),
      this.notice,
      (this.zone = this.chooser()),
      await optionFields(this.api, this.words, this.batch),
      (this.progress = h("section", { class: "card progress-card", hidden: true })),
      (this.filters = h("div", { class: "bar filters", role: "group" })),
      (this.grid = h("ul", { class: "grid pictures", "aria-label": this.words("batch.pictures") })),
      (this.more = h("button", { class: "button", type: "button", hidden: true }, "")),
    );
    this.more.addEventListener("click", () => {
      this.shown += PAGE;
      this.draw();
    });
    this.ticker = setInterval(() => this.draw(), 1000);
    this.draw();
    this.batch.refresh();
  }

  close() {
    this.batch.removeEventListener("change", this.onChange);
    for (const kind of DRAGS) {
      document.removeEventListener(kind, this.onDrag);
    }
    clearInterval(this.ticker);
    clearTimeout(this.drawing);
    this.thumbnails.close();
  }

  // --- choosing --------------------------------------------------------------------------

  chooser() {
    const input = (attributes) => {
      const field = h("input", { type: "file", multiple: true, class: "visually-hidden", ...attributes });
      field.addEventListener("change", () => {
        this.add({ found: chosenFiles(field.files), unreadable: 0 });
        field.value = "";
      });
      return field;
    };
    const files = input({ id: "batch-files", accept: "image/*,.heic,.heif,.avif,.tif,.tiff" });
    const folder = input({ id: "batch-folder" });
    folder.webkitdirectory = true;
    return h(
      "section",
      { class: "card drop-zone" },
      h("p", { class: "drop-hint" }, this.words("batch.drop")),
      h(
        "div",
        { class: "bar" },
        files,
        h("label", { class: "button primary", for: "batch-files" }, this.words("batch.choose_files")),
        folder,
        h("label", { class: "button", for: "batch-folder" }, this.words("batch.choose_folder")),
      ),
      serverFolders(this.api, this.words, (number, found) => this.addFromServer(number, found)),
    );
  }

  // Files may be dropped anywhere on the page.
  async drag(event) {
    if (![...(event.dataTransfer?.types ?? [])].includes("Files")) {
      return;
    }
    event.preventDefault();
    this.zone.classList.toggle("is-over", event.type === "dragover");
    if (event.type === "drop") {
      this.announce(this.words("batch.reading"));
      this.add(await droppedFiles(event.dataTransfer));
    }
  }

  // What a person has to know; an empty text ends it.
  tell(text) {
    this.notice.textContent = text;
    this.notice.hidden = !text;
  }

  tellError(error) {
    this.tell(error.detail || String(error));
  }

  add({ found, unreadable }) {
    const before = this.batch.leftOut;
    const added = this.batch.addFiles(found);
    const parts = [];
    if (this.batch.leftOut > before) {
      parts.push(this.words("batch.left_out", { count: this.batch.leftOut - before }));
    }
    if (unreadable) {
      parts.push(this.words("batch.unreadable", { count: unreadable }));
    }
    this.announce(this.words("batch.added", { count: added }));
    this.tell(parts.join(" "));
  }

  addFromServer(folder, found) {
    const added = this.batch.addServerPictures(folder, found);
    this.announce(this.words("batch.added", { count: added }));
  }

  // --- drawing ---------------------------------------------------------------------------

  changed(items) {
    if (items === null) {
      this.thumbnails.forget(this.grid);
      this.cards.clear();
      this.grid.replaceChildren();
      this.shown = PAGE;
      this.filter = "all";
    }
    (items || []).forEach((one) => this.dirty.add(one));
    this.drawing ??= setTimeout(() => {
      this.drawing = null;
      this.draw();
    }, DRAW_MS);
  }

  draw() {
    this.drawProgress();
    this.drawFilters();
    const items = this.batch.items.filter((one) => this.isShown(one));
    const visible = items.slice(0, this.shown);
    const wanted = new Set(visible);
    const focused = this.grid.contains(document.activeElement) ? document.activeElement.closest("li") : null;
    const at = [...this.grid.children].indexOf(focused);
    for (const [one, card] of this.cards) {
      if (!wanted.has(one)) {
        this.thumbnails.forget(card);
        card.remove();
        this.cards.delete(one);
      }
    }
    visible.forEach((one, place) => {
      let card = this.cards.get(one);
      if (!card || this.dirty.has(one)) {
        const fresh = this.card(one, card);
        if (card && card !== fresh) {
          this.thumbnails.forget(card);
          card.replaceWith(fresh);
        }
        card = fresh;
        this.cards.set(one, card);
      }
      if (this.grid.children[place] !== card) {
        this.grid.insertBefore(card, this.grid.children[place] ?? null);
      }
    });
    this.dirty.clear();
    this.keepFocus(focused, at);
    this.more.hidden = items.length <= this.shown;
    this.more.textContent = this.words("batch.more", { count: number(items.length - this.shown) });
  }

  // A card with the focus that was drawn anew, or is gone, hands it to the one in its place.
  keepFocus(focused, at) {
    if (focused && !focused.isConnected) {
      const next = this.grid.children[Math.min(at, this.grid.children.length - 1)];
      (next?.querySelector("button") ?? document.getElementById("batch-files")).focus({ preventScroll: true });
    }
  }

  isShown(one) {
    const isOpen = !SETTLED.has(one.state);
    const groups = { all: true, open: isOpen, done: one.state === "done" };
    groups.doubtful = one.state === "doubtful";
    groups.failed = one.state === "failed" || one.state === "refused";
    return groups[this.filter];
  }

  drawFilters() {
    const counts = this.batch.counts();
    const groups = {
      all: counts.all,
      open: counts.all - counts.settled,
      done: counts.done,
      doubtful: counts.doubtful,
      failed: counts.failed + counts.refused,
    };
    this.filters.hidden = !counts.all;
    this.filters.setAttribute("aria-label", this.words("batch.show"));
    if (!this.filters.children.length) {
      for (const name of Object.keys(groups)) {
        const button = h("button", { class: "button small", type: "button" }, "");
        button.dataset.filter = name;
        button.addEventListener("click", () => {
          this.filter = name;
          this.shown = PAGE;
          this.draw();
        });
        this.filters.append(button);
      }
    }
    for (const button of this.filters.children) {
      const name = button.dataset.filter;
      button.textContent = `${this.words(`batch.filter_${name}`)} ${number(groups[name])}`;
      button.setAttribute("aria-pressed", String(this.filter === name));
    }
  }

  card(one, earlier) {
    const key = `${one.state}|${one.stage || ""}|${one.reason}|${one.href || ""}`;
    if (earlier && earlier.dataset.key === key) {
      const bar = earlier.querySelector("progress");
      if (bar) {
        bar.value = one.part || 0;
      }
      return earlier;
    }
    const name = one.path.split("/").at(-1);
    const isDone = one.state === "done" || one.state === "doubtful";
    const picture =
      isDone && one.href
        ? h("button", { class: "picture-button", type: "button", "aria-label": this.words("batch.open", { name }), onclick: () => this.openPicture(one) },
            h("span", { class: "checker thumb" }, this.thumbnails.image(`${one.href}/thumbnail`, "")))
        : h("div", { class: `thumb placeholder is-${one.state}`, "aria-hidden": "true" });
    const state = this.words(`batch.state_${one.stage && one.state === "sent" ? stageOf(one.stage) : one.state}`);
    const card = h(
      "li",
      { class: "card picture" },
      picture,
      h("p", { class: "name", title: one.path }, name),
      h("p", {}, h("span", { class: `badge is-${one.state}` }, state)),
      one.state === "sending" ? h("progress", { max: 1, value: one.part || 0, "aria-label": name }) : "",
      one.reason ? h("p", { class: "reason" }, this.reason(one)) : "",
    );
    card.dataset.key = key;
    return card;
  }

  async openPicture(one) {
    try {
      const picture = await this.api.get(one.href);
      this.tell("");
      showPicture(picture, { api: this.api, words: this.words, announce: (text) => this.tell(text) }, {
        from: "batch",
        onGone: () => this.batch.remove(one.id),
        onChange: ({ is_doubtful: isDoubtful }) => this.batch.change(one, { state: isDoubtful ? "doubtful" : "done" }),
      });
    } catch (error) {
      this.tellError(error);
    }
  }

  reason(one) {
    const own = { empty: "batch.reason_empty", changed: "batch.reason_changed", deleted: "batch.reason_deleted" };
    return own[one.reason] ? this.words(own[one.reason]) : whyFailed(one.reason);
  }

  drawProgress() {
    const batch = this.batch;
    const counts = batch.counts();
    this.progress.hidden = !counts.all;
    if (!counts.all) {
      this.wasBusy = false;
      return;
    }
    const isBusy = counts.settled + counts.missing < counts.all;
    if (this.wasBusy && !isBusy) {
      this.announce(this.words("batch.finished", { done: number(counts.done + counts.doubtful), failed: number(counts.failed + counts.refused) }));
    }
    this.wasBusy = isBusy;
    if (!this.progress.children.length) {
      this.buildProgress();
    }
    const rate = batch.rate();
    const left = batch.secondsLeft();
    const line = [this.words("batch.progress", { settled: number(counts.settled), all: number(counts.all) })];
    if (isBusy && rate) {
      line.push(this.words("batch.rate", { rate: number(rate, rate < 10 ? 1 : 0) }));
    }
    if (isBusy && left) {
      line.push(this.words("batch.left", { time: duration(left) }));
    }
    this.line.textContent = line.join(" · ");
    this.bar.max = counts.all;
    this.bar.value = counts.settled;
    this.drawTrouble(counts);
    this.pauseButton.hidden = !(counts.waiting + counts.sending);
    this.pauseButton.textContent = this.words(batch.isPaused ? "batch.go_on" : "batch.pause");
    this.zipButton.disabled = !(counts.done + counts.doubtful);
    this.retryButton.hidden = !(counts.failed + counts.refused);
    this.reviewLink.hidden = !counts.doubtful;
    this.clearButton.textContent = this.words(isBusy ? "batch.clear_busy" : "batch.clear");
  }

  drawTrouble(counts) {
    const texts = [];
    if (this.batch.trouble) {
      texts.push(this.words(`batch.trouble_${this.batch.trouble}`));
    }
    if (counts.sent && this.batch.daemon === "unreachable") {
      if (!this.batch.trouble) {
        texts.push(this.words("batch.server_away"));
      }
    } else if (counts.sent && this.batch.daemon !== "running") {
      texts.push(this.words("batch.daemon_away"));
    } else if (counts.sent && this.batch.standby) {
      texts.push(this.words("batch.standby", { reason: whyNotServed(this.batch.standby) }));
    }
    if (counts.missing) {
      texts.push(this.words("batch.missing", { count: counts.missing }));
    }
    if (this.batch.isPaused && !this.batch.trouble && counts.waiting) {
      texts.push(this.words("batch.paused", { count: counts.waiting }));
    }
    if (this.batch.isStoreFull) {
      texts.push(this.words("batch.store_full"));
    }
    const text = texts.join(" ");
    if (this.trouble.textContent !== text) {
      this.trouble.textContent = text;
      this.trouble.hidden = !text;
    }
  }

  buildProgress() {
    const button = (kind, key, onclick) => {
      const one = h("button", { class: `button ${kind}`, type: "button" }, this.words(key));
      one.addEventListener("click", onclick);
      return one;
    };
    this.line = h("p", { class: "progress-line" }, "");
    this.bar = h("progress", { class: "wide", "aria-label": this.words("batch.progress_label") });
    this.trouble = h("p", { class: "notice", role: "status", hidden: true }, "");
    this.pauseButton = button("", "batch.pause", () => this.batch.pause(!this.batch.isPaused));
    this.zipButton = button("primary", "batch.zip", () => this.zip());
    this.retryButton = button("", "batch.retry", () => this.batch.retryFailed());
    this.reviewLink = h("a", { class: "button", href: "#/review" }, this.words("batch.review"));
    this.clearButton = button("", "batch.clear", () => this.clear());
    this.originals = h("input", { type: "checkbox", id: "batch-originals" });
    this.progress.replaceChildren(
      this.line,
      this.bar,
      this.trouble,
      h(
        "div",
        { class: "bar" },
        this.zipButton,
        h("span", { class: "check" }, this.originals, h("label", { for: "batch-originals" }, this.words("batch.originals"))),
        this.pauseButton,
        this.retryButton,
        this.reviewLink,
        this.clearButton,
      ),
    );
  }

  async zip() {
    const pictures = this.batch.finished();
    try {
      const made = await saveZip(this.api, { pictures, originals: this.originals.checked, name: "pictures" });
      const begun = this.words("batch.zip_made", { count: pictures.length - made.missing });
      this.tell(made.missing ? `${begun} ${this.words("batch.zip_missing", { count: made.missing })}` : begun);
    } catch (error) {
      this.tellError(error);
    }
  }

  clear() {
    const counts = this.batch.counts();
    if (counts.waiting + counts.sending && !window.confirm(this.words("batch.clear_sure"))) {
      return;
    }
    this.batch.clear();
  }
}

function stageOf(stage) {
  return ["waiting", "queued"].includes(stage) ? "queued" : "running";
}
