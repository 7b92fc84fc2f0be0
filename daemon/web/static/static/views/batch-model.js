// A batch: which pictures, what became of them, and the sending of those that wait.
// It goes on while another view is shown, and a reload of the page finds it again.

import { local } from "../stores.js";
import { isReadable } from "./dropped-files.js";

const STORE = "cvunetd.batch";
const AT_ONCE = 3;
const LOOK_UP = 200;
const LOOK_UP_MS = 400;
const POLL_MS = 2_000;
const QUIET_POLL_MS = 10_000;
const SAVE_MS = 1_000;
const UPLOADS = "web";
const RATE_S = 120;
const LONGEST_WAIT_S = 30;
// Refusals that pass, or that a person ends elsewhere; all others are about the picture itself.
const PASSING = new Set([0, 408, 409, 425, 429, 500, 502, 503, 504, 507]);
const SPENT = new Set(["empty", "changed"]); // the same file would be refused again
const KEY_NEEDED = new Set([401, 403]);
// After these nothing was taken by this try, so other options may be sent with the same key, unless an
// earlier try may have been taken.
const NOT_TAKEN = new Set([401, 403, 429, 507]);
// Names that are no pictures: what systems leave in folders, and files beside pictures.
const LITTER = /^(\.|~\$|thumbs\.db$|desktop\.ini$|ehthumbs)/i;
const OTHERS =
  /\.(aae|avi|bat|cmd|css|csv|db|dll|docx?|exe|gz|html?|ini|js|json|lnk|log|m4v|md|mkv|mov|mp[34]|pdf|pp3|pptx?|ps1|py|rar|sh|sql|tar|thm|txt|url|wav|webm|xlsx?|xml|xmp|ya?ml|zip|7z)$/i;

const CHANGING = new Set(["done", "doubtful", "failed"]); // judged in Review, tried again or rejected in History

export const SETTLED = new Set(["done", "doubtful", "failed", "refused"]);

export function isPictureName(path) {
  const parts = path.split("/");
  const name = parts.at(-1);
  return !parts.some((part) => LITTER.test(part)) && !OTHERS.test(name);
}

export function folderOf(path) {
  return path.includes("/") ? path.slice(0, path.lastIndexOf("/")) : "";
}

function randomText() {
  const numbers = crypto.getRandomValues(new Uint32Array(4));
  return Array.from(numbers, (one) => one.toString(16).padStart(8, "0")).join("");
}

// What a picture that was refused begins with once more: another key, because the first one may be spent.
function anew() {
  return { reason: "", id: null, key: randomText(), asked: null, isUnsure: false };
}

function newContent() {
  return { id: randomText(), options: {}, items: [], leftOut: 0 };
}

export class Batch extends EventTarget {
  constructor(api, storage = local) {
    super();
    this.api = api;
    this.storage = storage;
    this.isPaused = false;
    this.trouble = "";
    this.sending = 0;
    this.wanted = new Set();
    this.sleepers = new Set();
    this.ends = [];
    this.heardAt = 0;
    this.isStoreFull = false;
    this.daemon = "running";
    this.standby = "";
    Object.assign(this, newContent());
    this.load();
    this.byId = new Map(this.items.filter((one) => one.id).map((one) => [one.id, one]));
    window.addEventListener("online", () => this.wake());
    window.addEventListener("beforeunload", (event) => {
      this.saveNow();
      if (this.items.some((one) => one.state === "waiting" || one.state === "sending")) {
        event.preventDefault();
      }
    });
    this.askForAll({ isOfAll: true });
    this.poll();
  }

  // --- what is in it ---------------------------------------------------------------------

  // Add local files: [{path, file}]. Those that were added before, and have no file since a
  // reload, get it back.
  addFiles(found) {
    const known = new Map(this.items.map((one) => [this.mark(one.path, one.size, one.mtime), one]));
    const added = [];
    for (const { path, file } of found) {
      if (!isPictureName(path)) {
        this.leftOut += 1;
        continue;
      }
      const earlier = known.get(this.mark(path, file.size, file.lastModified));
      if (earlier) {
        earlier.file = file;
        if (earlier.state === "missing") {
          this.change(earlier, { state: "waiting" });
        }
        continue;
      }
      added.push(this.item({ path, size: file.size, mtime: file.lastModified, file }));
    }
    this.append(added);
    return added.length;
  }

  // Add pictures of a folder on the server: [{path, bytes}], by the number of the folder.
  addServerPictures(folder, found) {
    const known = new Set(this.items.filter((one) => one.folder === folder).map((one) => one.path));
    const added = found
      .filter((one) => !known.has(one.path))
      .map((one) => this.item({ path: one.path, size: one.bytes, mtime: 0, folder }));
    this.append(added);
    return added.length;
  }

  // `key` tells the server that it is the same picture when it is sent again; `asked` are the options
  // of the first time: with others the server would refuse the key.
  item(content) {
    return { file: null, folder: null, id: null, state: "waiting", reason: "", tries: 0, key: randomText(), asked: null, ...content };
  }

  append(added) {
    for (const one of added) {
      this.items.push(one);
      if (one.size === 0) {
        one.state = "refused";
        one.reason = "empty";
      }
    }
    this.tell(added);
    this.save();
    this.pump();
  }

  mark(path, size, mtime) {
    return `${path}\n${size}\n${mtime}`;
  }

  // The options stay, as the page shows them.
  clear() {
    Object.assign(this, newContent(), { options: this.options });
    this.byId = new Map();
    this.ends = [];
    this.wanted.clear();
    this.trouble = "";
    this.isPaused = false;
    this.saveNow();
    this.tell(null);
  }

  setOptions(options) {
    this.options = options;
    this.save();
  }

  // --- counts ----------------------------------------------------------------------------

  counts() {
    const counts = { all: this.items.length, waiting: 0, sending: 0, sent: 0, missing: 0 };
    Object.assign(counts, { done: 0, doubtful: 0, failed: 0, refused: 0, settled: 0 });
    for (const one of this.items) {
      counts[one.state] += 1;
      counts.settled += SETTLED.has(one.state);
    }
    return counts;
  }

  // Pictures a minute over the last two minutes; 0 until something is known.
  rate(now = Date.now()) {
    this.ends = this.ends.filter((moment) => now - moment < RATE_S * 1000);
    if (this.ends.length < 2) {
      return 0;
    }
    const seconds = Math.max(1, (now - this.ends[0]) / 1000);
    return (60 * (this.ends.length - 1)) / seconds;
  }

  secondsLeft(now = Date.now()) {
    const counts = this.counts();
    const left = counts.all - counts.settled - counts.missing;
    const rate = this.rate(now);
    return left && rate ? (60 * left) / rate : 0;
  }

  // --- sending ---------------------------------------------------------------------------

  pause(isPaused) {
    this.isPaused = isPaused;
    this.trouble = "";
    this.tell([]);
    this.pump();
  }

  wake() {
    [...this.sleepers].forEach((wakeUp) => wakeUp());
    this.pump();
  }

  pump() {
    while (!this.isPaused && this.sending < AT_ONCE) {
      const one = this.items.find((each) => each.state === "waiting");
      if (!one) {
        return;
      }
      this.sending += 1;
      this.change(one, { state: "sending", part: 0, asked: one.asked ?? { ...this.options } });
      this.send(one, this.id).finally(() => {
        this.sending -= 1;
        this.pump();
      });
    }
  }

  async send(one, batchId) {
    try {
      const answer = await this.request(one);
      const [taken] = answer.pictures;
      if (batchId !== this.id) {
        return;
      }
      this.trouble = "";
      this.byId.set(taken.id, one);
      this.change(one, { state: "sent", id: taken.id, tries: 0, part: 1 });
      this.wanted.add(taken.id);
    } catch (error) {
      if (batchId === this.id) {
        await this.sendingFailed(one, error);
      }
    }
  }

  // The same key for the same picture: if it was taken and only the answer was lost, the server
  // answers the same id.
  request(one) {
    const headers = { "Idempotency-Key": one.key };
    const query = new URLSearchParams(one.asked);
    const onProgress = (share) => this.change(one, { part: share }, true);
    if (one.folder !== null) {
      query.set("path", one.path);
      const path = `/api/v1/server-folders/${one.folder}/pictures?${query}`;
      return this.api.send("POST", path, { headers });
    }
    query.set("name", one.path.split("/").at(-1));
    headers["Content-Type"] = "application/octet-stream";
    return this.api.send("POST", `/api/v1/pictures?${query}`, { body: one.file, headers, onProgress });
  }

  async sendingFailed(one, error) {
    if (KEY_NEEDED.has(error.status)) {
      this.change(one, { state: "waiting", asked: this.askedAgain(one, error.status) });
      this.isPaused = true;
      this.trouble = "key";
      this.tell([]);
      return;
    }
    const status = error.status ?? 0;
    if (!PASSING.has(status)) {
      this.change(one, { state: "refused", reason: error.detail || error.code || String(error) });
      return;
    }
    if (status === 0 && one.file && !(await isReadable(one.file))) {
      this.change(one, { state: "refused", reason: "changed" });
      return;
    }
    one.tries += 1;
    this.trouble = { 0: "connection", 429: "full", 507: "disk" }[status] ?? "server";
    const own = Math.min(LONGEST_WAIT_S, 2 ** Math.min(one.tries, 5));
    this.change(one, { state: "sending" });
    await this.rest(Number(error.retryAfter) || own);
    this.change(one, { state: "waiting", asked: this.askedAgain(one, status) });
  }

  // The options of the next try.
  askedAgain(one, status) {
    one.isUnsure ||= !NOT_TAKEN.has(status);
    return one.isUnsure ? one.asked : null;
  }

  // Wait; a connection that comes back ends it.
  rest(seconds) {
    return new Promise((resolve) => {
      const wakeUp = () => {
        clearTimeout(timer);
        this.sleepers.delete(wakeUp);
        resolve();
      };
      const timer = setTimeout(wakeUp, seconds * 1000);
      this.sleepers.add(wakeUp);
    });
  }

  // --- what became of them ---------------------------------------------------------------

  // An event of the server: only a hint that a picture is worth a question.
  hear(kind, content) {
    this.heardAt = Date.now();
    if (kind === "connected") {
      this.askForAll({ isOfAll: true }); // something may have happened while nobody listened
      return;
    }
    const one = content && this.byId.get(content.id);
    if (!one) {
      return;
    }
    if (kind === "running" || kind === "queued") {
      this.change(one, { stage: content.stage || kind });
    } else {
      this.wanted.add(one.id);
      this.lookUpSoon();
    }
  }

  // `isOfAll`: also about those that another view may change, or another person.
  askForAll({ isOfAll = false } = {}) {
    for (const one of this.items) {
      if (one.state === "sent" || (isOfAll && CHANGING.has(one.state))) {
        this.wanted.add(one.id);
      }
    }
  }

  // Ask about everything now: a person looks at it.
  refresh() {
    this.askForAll({ isOfAll: true });
    this.lookUpSoon();
  }

  lookUpSoon() {
    this.timer ??= setTimeout(() => {
      this.timer = null;
      this.lookUp();
    }, LOOK_UP_MS);
  }

  async poll() {
    let beat = 0;
    for (;;) {
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
      beat += 1;
      const isQuiet = Date.now() - this.heardAt > QUIET_POLL_MS;
      if (isQuiet || beat % 5 === 0) {
        this.askForAll();
      }
      await this.lookUp();
      const isDue = beat % 5 === 1 || this.daemon !== "running";
      if (isDue && this.items.some((one) => one.state === "sent")) {
        await this.lookAtDaemon();
      }
    }
  }

  // Why nothing gets on: pictures are safe, but nobody cuts them out now.
  async lookAtDaemon() {
    try {
      const status = await this.api.get("/api/v1/status");
      const standby = status.standby[UPLOADS] || "";
      if (status.state !== this.daemon || standby !== this.standby) {
        Object.assign(this, { daemon: status.state, standby });
        this.tell([]);
      }
    } catch (error) {
      this.noteSilence(error);
    }
  }

  // The server itself cannot be reached; what was sent is safe.
  noteSilence(error) {
    if (error.status === 0 && this.daemon !== "unreachable") {
      this.daemon = "unreachable";
      this.tell([]);
    }
  }

  async lookUp() {
    const ids = [...this.wanted].slice(0, LOOK_UP);
    if (!ids.length) {
      return;
    }
    ids.forEach((id) => this.wanted.delete(id));
    try {
      const answer = await this.api.get(`/api/v1/states?ids=${ids.join(",")}`);
      answer.pictures.forEach((found) => this.note(found));
    } catch (error) {
      this.noteSilence(error);
      ids.forEach((id) => this.wanted.add(id)); // the next poll asks again
      return;
    }
    if (this.wanted.size) {
      this.lookUpSoon();
    }
  }

  note(found) {
    const one = this.byId.get(found.id);
    if (!one) {
      return;
    }
    if (found.state === "unknown") {
      this.change(one, { state: "refused", reason: "deleted" });
      return;
    }
    const picture = found.picture;
    if (!picture) {
      this.change(one, { state: "sent", stage: found.state });
      return;
    }
    const state = found.state === "done" && picture.review ? "doubtful" : found.state;
    if (one.state === "sent") {
      this.ends.push(Date.now());
    }
    const href = `/api/v1/drops/${found.drop}/pictures/${picture.id}`;
    this.change(one, { state, href, reason: found.reason || "", stage: "" });
  }

  // A version of a picture takes its place: in the list, in the counts and in the zip.
  replace(id, versionId) {
    const one = this.byId.get(id);
    if (!one) {
      return;
    }
    this.byId.delete(id);
    this.byId.set(versionId, one);
    this.change(one, { id: versionId, state: "sent", stage: "queued" });
    this.wanted.add(versionId);
    this.lookUpSoon();
  }

  // A person has deleted or rejected it: it is no longer part of the batch.
  remove(id) {
    this.items = this.items.filter((one) => one.id !== id);
    this.byId.delete(id);
    this.save();
    this.tell([]);
  }

  async retryFailed() {
    for (const one of this.items.filter((each) => each.state === "failed")) {
      try {
        await this.api.post(`/api/v1/pictures/${one.id}/retry`);
        this.change(one, { state: "sent", reason: "", stage: "queued" });
      } catch (error) {
        this.change(one, { reason: error.detail || String(error) });
      }
    }
    for (const one of this.items.filter((each) => each.state === "refused")) {
      if (one.file || one.folder !== null) {
        this.change(one, { state: "waiting", ...anew() });
      } else if (!SPENT.has(one.reason)) {
        this.change(one, { state: "missing", ...anew() }); // since a reload: it has to be chosen again
      }
    }
    this.pump();
  }

  // The pictures that are in a zip, each in the folder from which it came.
  finished() {
    return this.items
      .filter((one) => one.state === "done" || one.state === "doubtful")
      .map((one) => ({ id: one.id, folder: folderOf(one.path) }));
  }

  // --- listeners and the store -----------------------------------------------------------

  change(one, changes, isSmall = false) {
    Object.assign(one, changes);
    this.tell([one]);
    if (!isSmall) {
      this.save();
    }
  }

  tell(items) {
    this.dispatchEvent(new CustomEvent("change", { detail: items }));
  }

  save() {
    this.saving ??= setTimeout(() => this.saveNow(), SAVE_MS);
  }

  saveNow() {
    clearTimeout(this.saving);
    this.saving = null;
    const rows = this.items.map((one) => [
      one.path,
      one.size,
      one.mtime,
      one.key,
      one.folder,
      one.id,
      one.state,
      one.reason,
      one.href || "",
      one.state === "sending" || one.isUnsure ? one.asked : null,
    ]);
    const content = { version: 2, id: this.id, options: this.options, leftOut: this.leftOut, rows };
    try {
      if (rows.length) {
        this.storage.setItem(STORE, JSON.stringify(content));
      } else {
        this.storage.removeItem(STORE);
      }
      this.isStoreFull = this.storage.isMemory === true;
    } catch {
      this.isStoreFull = true; // too many pictures: a reload forgets them
    }
  }

  load() {
    try {
      const content = JSON.parse(this.storage.getItem(STORE) || "null");
      if (content?.version !== 1 && content?.version !== 2) {
        return;
      }
      // Version 1 had the number of a picture in the batch, which was the end of its key.
      const keyOf = (stored) => (content.version === 1 ? `${content.id}-${stored}` : stored);
      Object.assign(this, { id: content.id, options: content.options, leftOut: content.leftOut });
      this.items = content.rows.map(([path, size, mtime, stored, folder, id, state, reason, href, asked = null]) => ({
        ...this.item({ path, size, mtime, folder, id, reason, href, key: keyOf(stored), asked }),
        isUnsure: asked !== null,
        state: stateAfterReload(state, folder),
      }));
      this.isPaused = this.items.some((one) => one.state === "waiting");
    } catch {
      Object.assign(this, newContent());
    }
  }
}

// A browser forgets local files at a reload: they have to be chosen again.
function stateAfterReload(state, folder) {
  const isUnsent = state === "waiting" || state === "sending" || state === "missing";
  if (!isUnsent) {
    return state;
  }
  return folder === null ? "missing" : "waiting";
}

let current = null;

// The one batch of this page.
export function theBatch(api) {
  if (!current) {
    current = new Batch(api);
    api.events(({ kind, data }) => current.hear(kind, data));
  }
  return current;
}
