// Cut out one picture: choose it, wait, look at the result.

import { h } from "../dom.js";
import { discard, ended, load, newKey, saveAs, upload } from "./cut-pictures.js";
import { CutResult } from "./cut-result.js";
import { isReadable } from "./dropped-files.js";
import { samplePicture } from "./sample.js";
import { loadStyles } from "./style-sheet.js";

const SIDE_PX = 2560; // more would make the knobs slow; files are made by the server
const FINAL = new Set([400, 404, 410, 413, 422]); // the same request would be refused again
const files = new Map(); // by id: the person's own file needs no download

export async function mount(root, context) {
  await loadStyles("cut");
  const view = new CutView(root, context);
  view.start();
  return () => view.close();
}

class CutView {
  constructor(root, context) {
    Object.assign(this, { root, context, ...context, result: null, isClosed: false });
    this.onPaste = (event) => this.paste(event);
    this.onDrag = (event) => this.drag(event);
  }

  start() {
    document.addEventListener("paste", this.onPaste);
    for (const kind of ["dragover", "drop", "dragleave"]) {
      document.addEventListener(kind, this.onDrag);
    }
    if (this.params.id) {
      this.open(this.params.id);
    } else {
      this.showEmpty();
    }
  }

  close() {
    this.isClosed = true;
    document.removeEventListener("paste", this.onPaste);
    for (const kind of ["dragover", "drop", "dragleave"]) {
      document.removeEventListener(kind, this.onDrag);
    }
    this.stop?.abort();
    this.result?.close();
  }

  // --- in --------------------------------------------------------------------------------

  // `again`: does once more what went wrong.
  showEmpty(problem = "", again = null) {
    this.clear();
    const input = h("input", { type: "file", id: "cut-file", accept: "image/*,.heic,.avif,.tif,.tiff,.jxl,.dng", class: "visually-hidden", onchange: () => input.files[0] && this.take(input.files[0]) });
    const sample = h("button", { class: "button", type: "button", onclick: async () => this.take(await samplePicture()) }, this.words("cut.sample"));
    this.root.replaceChildren(
      h("h1", { class: "hero" }, this.words("cut.title")),
      h("p", { class: "hero-text" }, this.words("cut.text")),
      problem && h("div", { class: "card problem" }, h("p", { class: "reason", role: "alert" }, problem),
        again && h("button", { class: "button primary", type: "button", onclick: again }, this.words("cut.again"))),
      h("div", { class: "drop-area card" },
        h("img", { src: "/static/icon.svg", alt: "", width: 72, height: 72 }),
        h("p", { class: "drop-text" }, this.words("cut.drop")),
        h("div", { class: "bar" }, input, h("label", { class: "button primary", for: "cut-file" }, this.words("cut.choose")), sample),
        h("p", { class: "hint paste-text" }, this.words("cut.paste"))));
  }

  paste(event) {
    const file = [...(event.clipboardData?.files ?? [])].find((one) => one.type.startsWith("image/"));
    if (file) {
      event.preventDefault();
      this.take(file);
    }
  }

  drag(event) {
    if (![...(event.dataTransfer?.types ?? [])].includes("Files")) {
      return;
    }
    event.preventDefault();
    this.root.classList.toggle("is-over", event.type === "dragover");
    const [file] = event.type === "drop" ? event.dataTransfer.files : [];
    if (file) {
      this.take(file);
    }
  }

  // --- on the way ------------------------------------------------------------------------

  clear() {
    this.stop?.abort();
    this.result?.close();
    this.result = null;
  }

  // The key makes sure that a picture which is sent again is not taken twice.
  async take(file, key = newKey()) {
    await this.run(file.name, () => this.take(file, key), async (tell, signal, sent) => {
      tell("uploading", 0);
      const id = await this.send(file, { key, onProgress: (share) => tell("uploading", share), signal });
      sent.id = id;
      tell("waiting", 0);
      await ended(this.api, id, { onState: (state) => this.tellState(tell, state), signal });
      files.clear(); // one picture at a time stays in memory
      files.set(id, file);
      return id;
    });
  }

  // A file that was changed or removed since it was chosen looks like a lost connection.
  async send(file, options) {
    try {
      return await upload(this.api, file, options);
    } catch (error) {
      if (error.status === 0 && !(await isReadable(file))) {
        throw Object.assign(new Error("changed"), { isSpent: true, detail: this.words("cut.changed") });
      }
      throw error;
    }
  }

  async open(id) {
    await this.run("", () => this.open(id), async () => id);
  }

  // Show the steps while `begin` gets a picture's id, then the picture. `again` tries it once more.
  async run(name, again, begin) {
    this.clear();
    const stop = new AbortController();
    this.stop = stop;
    const { signal } = stop;
    const sent = { id: null }; // what was sent for this, and is not wanted if the person cancels
    const tell = this.showSteps(name, () => {
      this.goEmpty();
      if (sent.id) {
        discard(this.api, sent.id);
      }
    });
    try {
      const id = await begin(tell, signal, sent);
      tell("opening");
      const picture = await load(this.api, id, { side: SIDE_PX, file: files.get(id), onState: (state) => this.tellState(tell, state), signal });
      if (!signal.aborted && !this.isClosed) {
        this.showResult(picture);
      }
    } catch (error) {
      if (error.name !== "AbortError" && !this.isClosed && this.stop === stop) {
        const isFinal = error.isFailed || error.isSpent || FINAL.has(error.status);
        this.showEmpty(this.words(error.isFailed ? "cut.failed" : "cut.problem", { reason: error.detail ?? String(error) }), isFinal ? null : again);
      }
    }
  }

  tellState(tell, { state, place, stage, trouble }) {
    if (trouble) {
      tell("waiting", null, this.words(`cut.trouble_${trouble.name}`, trouble));
    } else if (state === "running") {
      tell("running", null, stage ? this.words(`cut.stage_${stage.split(" ")[0]}`) : "");
    } else {
      tell("waiting", null, place ? this.words("cut.before", { count: place }) : "");
    }
  }

  showSteps(name, cancel) {
    const steps = ["uploading", "waiting", "running", "opening"];
    const bar = h("progress", { max: 1, "aria-label": this.words("cut.progress") });
    const text = h("p", { class: "step-text", role: "status" }, "");
    const list = h("ol", { class: "steps" }, ...steps.map((step) => h("li", { class: `step-${step}` }, this.words(`cut.step_${step}`))));
    this.root.replaceChildren(
      h("h1", {}, this.words("cut.working")),
      h("div", { class: "card steps-card" }, h("p", { class: "file-name" }, name), list, bar, text,
        h("button", { class: "button", type: "button", onclick: cancel }, this.words("cut.cancel"))));
    return (step, share = null, more = "") => {
      [...list.children].forEach((item, place) => {
        item.toggleAttribute("data-done", place < steps.indexOf(step));
        if (steps[place] === step) {
          item.setAttribute("aria-current", "step");
        } else {
          item.removeAttribute("aria-current");
        }
      });
      if (share === null) {
        bar.removeAttribute("value");
      } else {
        bar.value = share;
      }
      const percent = share === null ? "" : ` ${Math.round(100 * share)} %`;
      const told = `${this.words(`cut.step_${step}`)}${percent}${more ? ` – ${more}` : ""}`;
      if (text.textContent !== told) {
        text.textContent = told;
      }
    };
  }

  goEmpty() {
    history.replaceState(history.state, "", "#/cut");
    this.showEmpty();
  }

  showResult(picture) {
    history.replaceState(history.state, "", `#/cut/${picture.id}`); // a reload shows it again
    if (!picture.cut) {
      this.showUnseen(picture);
      return;
    }
    this.result = new CutResult(this.context, picture, () => this.goEmpty());
    this.root.replaceChildren(h("h1", { class: "visually-hidden" }, this.words("cut.done")), this.result.element);
    this.announce(this.words("cut.done"));
  }

  // Such as that of a clip: there is nothing to look at, so there are no settings and no brush.
  showUnseen({ name, blob, about }) {
    const save = () => saveAs(blob, name, about.picture.result);
    this.root.replaceChildren(h("h1", {}, this.words("cut.done")),
      h("div", { class: "card steps-card" }, h("p", { class: "file-name" }, name),
        h("p", { role: "status" }, this.words("cut.unseen")),
        h("div", { class: "bar" },
          h("button", { class: "button primary", type: "button", onclick: save }, this.words("cut.download")),
          h("button", { class: "button", type: "button", onclick: () => this.goEmpty() }, this.words("cut.another")))));
    this.announce(this.words("cut.done"));
  }
}
