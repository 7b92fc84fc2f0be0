// Doubtful results of all folders, one key for each decision.

import { h } from "../dom.js";
import { discard } from "./cut-pictures.js";
import { whyFailed } from "./failures.js";
import { number, percent } from "./format.js";
import { reasonsOf } from "./reasons.js";
import { Stage } from "./stage.js";
import { loadStyles } from "./style-sheet.js";

const PAGE = 100;
const WAIT_MS = 15_000;
const READY_MS = 500;
const READY_TRIES = 240;
const BACK_MS = [3_000, 10_000, 30_000]; // after so long a picture that is cut out again is looked for
let keptIds = []; // after touching up a person goes on with the first of these that is still doubtful

export async function mount(root, context) {
  await loadStyles("views");
  const view = new ReviewView(root, context);
  await view.start();
  return () => view.close();
}

class ReviewView {
  constructor(root, context) {
    Object.assign(this, { root, ...context });
    this.list = [];
    this.seen = new Set();
    this.place = 0;
    this.total = 0;
    this.next = null;
    this.isKnown = false; // the list was loaded
    this.last = null;
    this.cutting = new Set(); // pictures with models that work on them now
    this.onKey = (event) => this.key(event);
  }

  async start() {
    document.addEventListener("keydown", this.onKey);
    this.models = await this.modelNames();
    this.build();
    await this.load();
    const places = keptIds.map((id) => this.list.findIndex((one) => one.id === id));
    this.place = places.find((place) => place >= 0) ?? 0;
    keptIds = [];
    this.draw();
    this.timer = setInterval(() => this.list.length || this.load(), WAIT_MS);
  }

  close() {
    this.isClosed = true;
    document.removeEventListener("keydown", this.onKey);
    clearInterval(this.timer);
    this.stage.close();
  }

  async modelNames() {
    try {
      return (await this.api.get("/api/v1/models")).models.map((one) => one.name);
    } catch {
      return []; // the other decisions are possible all the same
    }
  }

  // --- what is seen ----------------------------------------------------------------------

  build() {
    this.stage = new Stage(this.api, this.words);
    this.count = h("p", { class: "hint", role: "status" }, "");
    this.name = h("h2", { class: "name" }, "");
    this.facts = h("p", { class: "hint" }, "");
    this.score = h("meter", { min: 0, max: 1, low: 0.5, high: 0.75, optimum: 1, "aria-label": this.words("review.score") });
    this.scoreText = h("span", {}, "");
    this.reasons = h("ul", { class: "reasons" });
    this.notice = h("p", { class: "notice", role: "status", hidden: true });
    this.accept = this.button("primary", "accept", "A", () => this.judge("approve"));
    this.reject = this.button("danger", "reject", "R", () => this.judge("reject"));
    this.touch = this.button("", "touch", "T", () => this.touchUp());
    this.model = this.button("", "model", "M", () => this.cutAgain());
    this.undoButton = this.button("small", "undo", "U", () => this.undo());
    this.modelList = h("select", { id: "review-model", "aria-label": this.words("review.which_model") },
      ...this.models.map((one) => h("option", { value: one }, one)));
    this.modelList.hidden = this.models.length < 2;
    const skip = [
      this.button("small", "previous", "←", () => this.go(-1)),
      this.button("small", "following", "→", () => this.go(1)),
    ];
    this.panel = h("div", { class: "card review-panel" },
      this.name, this.facts,
      h("p", { class: "score" }, this.score, " ", this.scoreText),
      this.reasons, this.notice,
      h("div", { class: "bar decisions dock" }, this.accept, this.reject, this.touch, this.model, this.modelList),
      h("div", { class: "bar" }, ...skip, this.undoButton),
      h("p", { class: "hint keys" }, this.words("review.keys")));
    this.done = h("p", { class: "empty", hidden: true }, this.words("review.nothing"));
    this.both = h("div", { class: "review", hidden: true }, this.stage.element, this.panel);
    this.root.replaceChildren(h("h1", {}, this.words("review.title")), this.count, this.done, this.both);
    this.undoButton.disabled = true;
  }

  button(kind, key, sign, onclick) {
    const one = h("button", { class: `button ${kind}`, type: "button" },
      this.words(`review.${key}`), " ", h("kbd", {}, sign));
    one.addEventListener("click", onclick);
    return one;
  }

  get one() {
    return this.list[this.place];
  }

  // Load the next ones, or look for fresh ones; those that were judged here meanwhile do not come again.
  async load({ isFresh = false } = {}) {
    try {
      const before = this.next && !isFresh ? `&before=${this.next}` : "";
      const answer = await this.api.get(`/api/v1/pictures?state=doubtful&limit=${PAGE}${before}`);
      this.list.push(...answer.pictures.filter((one) => !this.seen.has(one.id)));
      answer.pictures.forEach((one) => this.seen.add(one.id));
      this.next = isFresh ? this.next : answer.next;
      this.total = Math.max(answer.doubtful, this.list.length);
      this.isKnown = true;
      this.notice.hidden = true;
      if (!this.list.length && this.next && !isFresh) {
        return this.load(); // all of this page was judged or deleted meanwhile
      }
    } catch (error) {
      this.isKnown = false;
      this.tell(error.detail || String(error));
    }
    this.draw();
  }

  draw() {
    const one = this.one;
    this.both.hidden = !one;
    this.done.hidden = Boolean(one) || !this.isKnown || Boolean(this.next);
    this.count.textContent = one
      ? this.words("review.place", { place: number(this.place + 1), total: number(Math.max(this.total, this.list.length)) })
      : "";
    this.placeNotice(one);
    if (!one) {
      if (this.last) {
        this.done.after(this.undoButton);
      }
      return;
    }
    this.name.textContent = one.name;
    this.facts.textContent = [one.model ?? "", one.folder, one.upload || one.source === one.name ? "" : one.source, `${one.width} × ${one.height}`]
      .filter(Boolean).join(" · ");
    const score = one.confidence?.score ?? 0;
    this.score.value = score;
    this.scoreText.textContent = percent(score);
    this.reasons.replaceChildren(...reasonsOf(one.confidence, this.words).map((text) => h("li", {}, text)));
    this.touch.disabled = !one.upload && !one.original;
    this.touch.title = this.touch.disabled ? this.words("review.no_original") : "";
    this.model.disabled = !one.original || this.models.length < 2;
    this.offerOther(one.model);
    this.model.title = this.models.length < 2 ? this.words("review.one_model") : this.touch.title;
    this.stage.show(one);
    const following = this.list[this.place + 1];
    if (following) {
      this.stage.prepare(following);
    }
  }

  // Beside the decisions; without a picture their panel is hidden.
  placeNotice(one) {
    if (this.panel.contains(this.notice) !== Boolean(one)) {
      (one ? this.reasons : this.count).after(this.notice);
    }
  }

  // The same model would give the same result.
  offerOther(model) {
    if (this.modelList.value === model) {
      this.modelList.value = this.models.find((one) => one !== model) ?? model;
    }
  }

  tell(text) {
    this.notice.textContent = text;
    this.notice.hidden = !text;
  }

  // --- decisions -------------------------------------------------------------------------

  judge(verb) {
    const one = this.one;
    if (one && !this.isBusy) {
      this.isBusy = true;
      this.judging = this.decide(one, verb);
    }
  }

  async decide(one, verb) {
    try {
      // A version that is not doubtful by itself needs no acceptance, and nothing to take back.
      const isSent = one.is_doubtful || verb === "reject";
      if (isSent) {
        await this.api.post(`${one.href}/${verb}${one.is_doubtful ? "?doubtful=true" : ""}`);
      }
      this.last = { one, verb, place: this.place, isSent };
      this.undoButton.disabled = false;
      this.remove(one, this.words(`review.did_${verb}`, { name: one.name }));
    } catch (error) {
      this.failed(one, error);
    }
    this.isBusy = false;
  }

  // Somebody else was faster, or the picture is gone: then it goes here, too.
  failed(one, error) {
    if (error.status === 404 || error.status === 410 || error.code === "already_judged" || error.code === "picture_failed") {
      this.remove(one, this.words("review.already", { name: one.name }));
      this.tell(this.words("review.already", { name: one.name }));
    } else {
      this.tell(error.detail || String(error));
    }
  }

  remove(one, text) {
    const at = this.list.indexOf(one);
    if (at < 0) {
      return; // it went meanwhile
    }
    this.list.splice(at, 1);
    this.total = Math.max(0, this.total - 1);
    this.place = Math.min(at < this.place ? this.place - 1 : this.place, Math.max(0, this.list.length - 1));
    this.tell("");
    this.announce(text);
    this.draw();
    if (this.list.length - this.place < 5 && this.next) {
      this.load();
    }
  }

  // Take the last decision back. A rejected original is cut out again.
  async undo() {
    await this.judging;
    const last = this.last;
    if (!last) {
      return;
    }
    this.last = null;
    this.undoButton.disabled = true;
    try {
      await this.takeBack(last);
    } catch (error) {
      this.tell(error.detail || String(error));
      if (!this.last) { // a newer decision cannot wait for an older one
        this.last = last;
        this.undoButton.disabled = false;
      }
    }
  }

  async takeBack({ one, verb, place, isSent }) {
    const path = `${one.href}/${verb === "approve" ? "doubt" : "retry"}`;
    for (let tries = 0; isSent; tries += 1) {
      try {
        await this.api.post(path);
        break;
      } catch (error) {
        // The daemon has not carried out the decision yet.
        if (error.status !== 409 || error.code !== "picture_done") {
          throw error;
        }
        if (tries > 20) {
          throw Object.assign(new Error("late"), { detail: this.words("review.undo_late") });
        }
        await new Promise((resolve) => setTimeout(resolve, 250));
      }
    }
    this.panel.querySelector(".bar:last-of-type").append(this.undoButton);
    if (verb === "approve") {
      this.place = Math.min(place, this.list.length);
      this.list.splice(this.place, 0, one);
      this.total += 1;
    } else {
      this.seen.delete(one.id);
      this.tell(this.words("review.undid_reject", { name: one.name }));
      BACK_MS.forEach((pause) => setTimeout(() => this.isClosed || this.load({ isFresh: true }), pause));
    }
    this.announce(this.words(`review.undid_${verb}`, { name: one.name }));
    this.draw();
  }

  // Touching up needs an upload. Of a dropped picture its original is taken in once more.
  async touchUp() {
    const one = this.one;
    if (!one?.upload && !one?.original) {
      return;
    }
    if (this.isBusy) {
      return;
    }
    this.isBusy = true;
    let extra = null; // made only for the brush
    try {
      let id = one.upload;
      if (!id) {
        extra = (await this.api.post(`${one.href}/versions`)).id;
        id = extra;
        this.tell(this.words("review.opening", { name: one.name }));
        await this.ready(id, "review.touch_late");
      }
      if (!this.isClosed) {
        extra = null; // the brush's own view deletes it
        keptIds = this.list.slice(this.place).map((other) => other.id);
        const query = new URLSearchParams({ drop: one.drop, job: one.id, ...(one.upload ? {} : { made: "1" }) });
        this.navigate(`#/touch/${id}?${query}`);
      }
    } catch (error) {
      if (!this.isClosed) {
        this.failed(one, error);
      }
    }
    if (extra) {
      discard(this.api, extra); // it would be doubtful, too
    }
    this.isBusy = false;
  }

  // Cut the picture out by another model. The new result stands beside the old one, to compare.
  async cutAgain() {
    const one = this.one;
    if (!one?.original || this.models.length < 2) {
      return;
    }
    const model = this.modelList.value;
    const work = `${one.id} ${model}`;
    if (this.cutting.has(work)) {
      return;
    }
    this.cutting.add(work);
    const path = one.upload ? `/api/v1/pictures/${one.upload}` : one.href;
    try {
      const { id } = await this.api.post(`${path}/versions?${new URLSearchParams({ model })}`);
      this.announce(this.words("review.did_model", { name: one.name, model }));
      this.tell(this.words("review.did_model", { name: one.name, model }));
      const fresh = await this.ready(id);
      this.seen.add(fresh.id);
      const place = this.list.indexOf(one) + 1;
      this.list.splice(place, 0, { ...fresh, model });
      this.place = place;
      this.total += 1;
      this.tell("");
      this.announce(this.words("review.model_ready", { name: one.name, model }));
      this.draw();
    } catch (error) {
      this.failed(one, error);
    }
    this.cutting.delete(work);
  }

  // Wait until an upload is done; return what History says of it.
  async ready(id, late = "review.model_late") {
    for (let tries = 0; tries < READY_TRIES && !this.isClosed; tries += 1) {
      const found = await this.api.get(`/api/v1/pictures/${id}`);
      if (found.picture && found.state === "done") {
        return this.api.get(`/api/v1/drops/${found.drop}/pictures/${found.picture.id}`);
      }
      if (found.state === "failed") {
        throw Object.assign(new Error(found.reason), { detail: whyFailed(found.reason) });
      }
      await new Promise((resolve) => setTimeout(resolve, READY_MS));
    }
    throw Object.assign(new Error("late"), { detail: this.words(late) });
  }

  go(step) {
    const place = this.place + step;
    if (place >= 0 && place < this.list.length) {
      this.place = place;
      this.tell("");
      this.draw();
    }
    if (this.list.length - this.place < 5 && this.next) {
      this.load();
    }
  }

  key(event) {
    const isTyping = event.target.closest?.("input, select, textarea, dialog");
    if (isTyping || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) {
      return;
    }
    const actions = {
      a: () => this.judge("approve"),
      r: () => this.judge("reject"),
      t: () => this.touchUp(),
      m: () => this.cutAgain(),
      u: () => this.undo(),
      b: () => this.stage.useNext(),
      arrowright: () => this.go(1),
      arrowleft: () => this.go(-1),
    };
    const name = event.key.toLowerCase();
    const action = actions[name];
    if (event.repeat && !name.startsWith("arrow")) {
      return; // a key that is held decides once
    }
    if (action) {
      event.preventDefault();
      action();
    }
  }
}
