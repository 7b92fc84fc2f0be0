// What the daemon and its machine do now.

import { h, marked } from "../dom.js";
import { checkName, findingText, mendText } from "./findings.js";
import { bytes, hourAndMinute, moment, number, percent } from "./format.js";
import { whyNotServed } from "./standby.js";
import { loadStyles } from "./style-sheet.js";
import { clipsInWork, clusterNow } from "./work-now.js";

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 600;
const HEIGHT = 120;
const FAST_MS = 3_000;
const SLOW_MS = 20_000;
const CHECKS_MS = 60_000;

export async function mount(root, context) {
  await loadStyles("views");
  const view = new StateView(root, context);
  view.start();
  return () => view.close();
}

class StateView {
  constructor(root, context) {
    Object.assign(this, { root, ...context });
    this.timers = [];
    this.sections = {};
  }

  start() {
    const section = (name) => {
      const content = h("div", { class: "section-content", "aria-busy": "true" }, h("p", { class: "hint" }, this.words("state.looking")));
      this.sections[name] = content;
      return h("section", { class: `card state-${name}` }, h("h2", {}, this.words(`state.${name}`)), content);
    };
    this.root.replaceChildren(
      h("h1", {}, this.words("state.title")),
      h("div", { class: "state-cards" },
        ...["daemon", "speed", "folders", "disks", "models", "checks"].map(section)));
    this.repeat("daemon", FAST_MS, () => this.daemon());
    this.repeat("folders", FAST_MS, () => this.folders());
    this.repeat("speed", SLOW_MS, () => this.speed());
    this.repeat("disks", SLOW_MS, () => this.disks());
    this.repeat("models", CHECKS_MS, () => this.models());
    this.repeat("checks", CHECKS_MS, () => this.checks());
  }

  close() {
    this.isClosed = true;
    this.timers.forEach(clearTimeout);
  }

  // Draw a part now and again after each answer; not while the page is in the background.
  repeat(name, pause, draw) {
    const turn = async () => {
      const isGood = document.hidden || (await this.drawOnce(name, draw));
      if (!this.isClosed) {
        this.timers.push(setTimeout(turn, isGood ? pause : FAST_MS));
        this.timers = this.timers.slice(-12);
      }
    };
    turn();
  }

  async drawOnce(name, draw) {
    const place = this.sections[name];
    let isGood = true;
    try {
      const content = await draw();
      const isOpen = place.querySelector("details")?.open;
      keepingFrames(place, () => place.replaceChildren(...content));
      const details = place.querySelector("details");
      if (details && isOpen !== undefined) {
        details.open = isOpen;
      }
    } catch (error) {
      isGood = false;
      place.replaceChildren(h("p", { class: "notice" }, error.detail || String(error)));
    }
    place.removeAttribute("aria-busy");
    return isGood;
  }

  async daemon() {
    const status = await this.api.get("/api/v1/status");
    const stages = Object.entries(status.stages).filter(([, count]) => count);
    const rows = [
      ["state.version", status.version],
      ["state.device", status.device ?? "–"],
      ["state.queued", number(status.queued)],
      ["state.running", number(status.running)],
      ["state.done", number(status.done)],
      ["state.failed", number(status.failed)],
    ];
    if (stages.length) {
      rows.push(["state.stages", stages.map(([name, count]) => `${this.nameOf("stage", name)} ${number(count)}`).join(" · ")]);
    }
    return [
      h("p", {}, h("span", { class: `badge is-${status.state}` }, this.words(`state.is_${status.state}`))),
      facts(rows, this.words),
      ...clipsInWork(status.clips, this.words),
      ...clusterNow(status.cluster, this.words),
    ];
  }

  async folders() {
    const { folders } = await this.api.get("/api/v1/folders");
    if (!folders.length) {
      return [h("p", { class: "hint" }, this.words("state.no_folders"))];
    }
    const cells = folders.map((one) => h("tr", {},
      h("th", { scope: "row" }, one.name, " ", h("span", { class: "hint" }, `…/${one.place}`)),
      h("td", {}, h("span", { class: `badge is-${one.state}` }, this.words(`state.${one.state}`)),
        one.reason ? h("p", { class: "reason" }, whyNotServed(one.reason)) : ""),
      ...[one.waiting, one.queued, one.running].map((count) => h("td", { class: "number" }, number(count)))));
    const heads = ["folder", "folder_state", "waiting", "queued", "running"];
    return [table(heads.map((name) => this.words(`state.${name}`)), cells)];
  }

  async speed() {
    const { since, minutes } = await this.api.get("/api/v1/speed?minutes=60");
    const counts = minutes.map((one) => one.done + one.failed);
    const most = Math.max(...counts, 1);
    const total = counts.reduce((sum, one) => sum + one, 0);
    const lately = counts.slice(-11, -1).reduce((sum, one) => sum + one, 0) / 10;
    const begin = new Date(since);
    const text = this.words("state.speed_text", { total: number(total), rate: number(lately, 1), most: number(Math.max(...counts)) });
    return [
      h("p", {}, text),
      chart(minutes, most, text),
      h("p", { class: "bar axis", "aria-hidden": "true" },
        h("span", {}, hourAndMinute(begin)), h("span", {}, hourAndMinute(new Date(begin.getTime() + 3_600_000)))),
    ];
  }

  async disks() {
    const { disks, min_free_bytes: least } = await this.api.get("/api/v1/disks");
    return disks.map((one) => {
      const used = 1 - one.free_bytes / one.total_bytes;
      const isLow = one.free_bytes < 2 * least;
      const text = this.words("state.free", { free: bytes(one.free_bytes), total: bytes(one.total_bytes) });
      return h("div", { class: "disk" },
        h("p", {}, h("strong", {}, one.name), " ", text, " ", isLow ? h("span", { class: "badge is-failed" }, this.words("state.low")) : ""),
        h("meter", { min: 0, max: 1, low: isLow ? 0 : 0.8, high: isLow ? 0 : 0.95, optimum: 0, value: used, "aria-label": `${one.name}: ${percent(used)}` }));
    });
  }

  async models() {
    const { models } = await this.api.get("/api/v1/models");
    return models.map((one) => {
      const others = Object.entries(one).filter(([name, value]) => name !== "name" && isPlain(value));
      return h("div", { class: "model" },
        h("h3", {}, one.name),
        h("dl", { class: "facts" }, ...others.flatMap(([name, value]) => [
          h("dt", {}, this.nameOf("model", name)), h("dd", {}, typeof value === "boolean" ? this.words(`state.model_${name}_${value}`) : String(value))])));
    });
  }

  // A name of the API; one that a later server adds is shown as it is.
  nameOf(kind, name) {
    const key = `state.${kind}_${name}`;
    const text = this.words(key);
    return text === key ? name.replaceAll("_", " ") : text;
  }

  async checks() {
    const answer = await this.api.get("/api/v1/checks");
    const bad = answer.findings.filter((one) => one.result === "fail" || one.result === "warn");
    const good = answer.findings.filter((one) => !bad.includes(one));
    bad.sort((one, other) => one.result.localeCompare(other.result));
    const line = (one) => h("li", {},
      h("span", { class: `badge is-${one.result}` }, this.words(`state.${one.result}`)), " ",
      h("strong", {}, checkName(one.check)), " ", findingText(one.text),
      one.mend ? h("p", { class: "mend" }, h("code", {}, mendText(one.mend))) : "");
    return [
      h("p", {}, this.words(bad.length ? "state.findings" : "state.no_findings", { count: bad.length })),
      bad.length ? h("ul", { class: "checks" }, ...bad.map(line)) : "",
      h("details", {}, h("summary", {}, this.words("state.passed", { count: number(good.length) })),
        h("ul", { class: "checks" }, ...good.map(line))),
      h("p", { class: "hint" }, ...marked(this.words("state.checked", { time: moment(answer.checked_at) }))),
    ].filter(Boolean);
  }
}

// Draw anew without losing what a person does with a wide table: its focus, and how far it is scrolled.
function keepingFrames(place, draw) {
  const framesOf = () => [...place.querySelectorAll(".table-frame")];
  const before = framesOf().map((frame) => ({ left: frame.scrollLeft, hasFocus: frame === document.activeElement }));
  draw();
  framesOf().forEach((frame, number) => {
    const { left = 0, hasFocus = false } = before[number] ?? {};
    frame.scrollLeft = left;
    if (hasFocus) {
      frame.focus({ preventScroll: true });
    }
  });
}

function isPlain(value) {
  return ["string", "number", "boolean"].includes(typeof value) && value !== "";
}

function facts(rows, words) {
  return h("dl", { class: "facts" }, ...rows.flatMap(([key, value]) => [h("dt", {}, words(key)), h("dd", {}, value)]));
}

function table(heads, rows) {
  return h("div", { class: "table-frame", tabindex: "0", role: "region", "aria-label": heads[0] },
    h("table", {}, h("thead", {}, h("tr", {}, ...heads.map((text, place) => h("th", { scope: "col", class: place < 2 ? "" : "number-head" }, text)))), h("tbody", {}, ...rows)));
}

// One bar for each minute; failed ones on top.
function chart(minutes, most, text) {
  const make = (tag, attributes) => {
    const one = document.createElementNS(SVG, tag);
    Object.entries(attributes).forEach(([name, value]) => one.setAttribute(name, value));
    return one;
  };
  const svg = make("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: "chart", role: "img", "aria-label": text, preserveAspectRatio: "none" });
  const step = WIDTH / minutes.length;
  minutes.forEach(({ done, failed }, place) => {
    const heights = [done, failed].map((count) => (count / most) * (HEIGHT - 4));
    let top = HEIGHT;
    ["chart-done", "chart-failed"].forEach((name, part) => {
      top -= heights[part];
      if (heights[part]) {
        svg.append(make("rect", { x: place * step + 0.5, y: top, width: step - 1, height: heights[part], class: name }));
      }
    });
  });
  svg.append(make("line", { x1: 0, y1: HEIGHT, x2: WIDTH, y2: HEIGHT, class: "chart-axis" }));
  return svg;
}
