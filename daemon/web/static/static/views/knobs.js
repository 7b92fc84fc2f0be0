// The knobs beside a result: edge, pieces, frame and file. Each change is told at once.

import { h } from "../dom.js";
import { NEUTRAL } from "./matte-preview.js";

const RANGES = [
  { name: "low", min: 0, max: 0.95, step: 0.01 },
  { name: "high", min: 0.05, max: 1, step: 0.01 },
  { name: "shift", min: -20, max: 20, step: 0.5, unit: "px" },
  { name: "feather", min: 0, max: 20, step: 0.5, unit: "px" },
  { name: "fill_holes", min: 0, max: 0.2, step: 0.005 },
];
const OPTION_NAMES = { shift: "adjust_shift_px", feather: "adjust_feather_px" };
export const DEFAULTS = { ...NEUTRAL, crop: "none", margin: 0.05, preset: "none", format: "png", background: "none", colour: "#ffffff" };
const FORMATS = ["png", "webp", "webp-lossless", "avif", "tiff", "jpeg"];
// As in daemon/config/presets.py: what the frame on the screen needs of them.
const PRESETS = {
  marketplace: { margin: 0.075, aspect: 1, isWhite: true },
  square: { margin: 0.05, aspect: 1 },
  portrait: { margin: 0.05, aspect: 0.8, align: "bottom", isWhite: true },
};
const EDGE = ["low", "high", "shift", "feather", "fill_holes", "keep"];
const kept = new Map(); // by picture: a touch-up does not lose them

export class Knobs {
  constructor(words, id, onChange) {
    this.words = words;
    this.values = { ...DEFAULTS, ...kept.get(id) };
    this.id = id;
    this.onChange = onChange;
    this.inputs = {};
    this.outputs = {};
    this.element = this.build();
    this.show();
  }

  build() {
    const { words } = this;
    this.reset = h("button", { class: "button small", type: "button", onclick: () => this.toDefaults() }, words("knob.reset"));
    return h("div", { class: "knobs" },
      h("fieldset", {}, h("legend", {}, words("knob.edge")), ...RANGES.slice(0, 4).map((one) => this.range(one))),
      h("fieldset", {}, h("legend", {}, words("knob.pieces")), this.range(RANGES[4]), this.choice("keep", ["all", "largest"])),
      h("fieldset", {}, h("legend", {}, words("knob.frame")),
        this.choice("preset", ["none", ...Object.keys(PRESETS)]),
        this.choice("crop", ["none", "subject"]),
        this.range({ name: "margin", min: 0, max: 0.45, step: 0.01 })),
      h("fieldset", {}, h("legend", {}, words("knob.file")),
        this.choice("format", FORMATS),
        this.choice("background", ["none", "colour"]),
        this.colour()),
      this.reset);
  }

  range({ name, min, max, step, unit = "" }) {
    const id = `knob-${name}`;
    const input = h("input", { type: "range", id, min, max, step, "aria-describedby": `${id}-hint`, oninput: () => this.set(name, Number(input.value)) });
    const output = h("output", { for: id }, "");
    this.inputs[name] = input;
    this.outputs[name] = (value) => { output.textContent = unit ? `${value} ${unit}` : `${Math.round(value * 1000) / 10} %`; };
    return h("div", { class: "field" },
      h("label", { for: id }, this.words(`knob.${name}`), output), input,
      h("span", { class: "visually-hidden", id: `${id}-hint` }, this.words(`knob.${name}_hint`)));
  }

  choice(name, values) {
    const id = `knob-${name}`;
    const input = h("select", { id, onchange: () => this.set(name, input.value) },
      ...values.map((value) => h("option", { value }, this.words(`knob.${name}.${value}`))));
    this.inputs[name] = input;
    return h("div", { class: "field field-row" }, h("label", { for: id }, this.words(`knob.${name}`)), input);
  }

  colour() {
    const input = h("input", { type: "color", id: "knob-colour", oninput: () => this.set("colour", input.value) });
    this.inputs.colour = input;
    return h("div", { class: "field field-row" }, h("label", { for: "knob-colour" }, this.words("knob.colour")), input);
  }

  set(name, value) {
    this.values[name] = value;
    if (name === "low" && value >= this.values.high) {
      this.values.high = Math.min(1, Math.round((value + 0.01) * 100) / 100);
    }
    if (name === "high" && value <= this.values.low) {
      this.values.low = Math.max(0, Math.round((value - 0.01) * 100) / 100);
    }
    this.show();
    this.onChange(EDGE.includes(name));
  }

  toDefaults() {
    this.values = { ...DEFAULTS };
    this.show();
    this.onChange(true);
  }

  // Bring the inputs in line with the values, and keep them.
  show() {
    const { values } = this;
    for (const [name, input] of Object.entries(this.inputs)) {
      input.value = values[name];
      this.outputs[name]?.(values[name]);
    }
    const isPreset = values.preset !== "none";
    this.inputs.crop.disabled = isPreset;
    this.inputs.margin.closest(".field").hidden = isPreset || values.crop === "none";
    this.inputs.background.disabled = values.format === "jpeg" || Boolean(PRESETS[values.preset]?.isWhite);
    this.inputs.colour.closest(".field").hidden = this.background === null || Boolean(PRESETS[values.preset]?.isWhite);
    this.reset.disabled = Object.entries(DEFAULTS).every(([name, value]) => values[name] === value);
    kept.set(this.id, values);
  }

  get edge() {
    return Object.fromEntries(EDGE.map((name) => [name, this.values[name]]));
  }

  // What `viewBox` needs; null if nothing is cropped.
  get frame() {
    const { preset, crop, margin } = this.values;
    return PRESETS[preset] ?? (crop === "subject" ? { margin } : null);
  }

  // The colour behind the result; null if it stays transparent.
  get background() {
    const { background, colour, format, preset } = this.values;
    if (PRESETS[preset]?.isWhite) {
      return "#ffffff";
    }
    return background === "colour" || format === "jpeg" ? colour : null;
  }

  // The options of a request that makes the file so; empty if the plain result is that file.
  options(more = {}) {
    const values = { ...this.values, ...more };
    const asked = {};
    for (const name of EDGE) {
      if (values[name] !== DEFAULTS[name]) {
        asked[OPTION_NAMES[name] ?? `adjust_${name}`] = values[name];
      }
    }
    if (values.preset !== "none") {
      asked.preset = values.preset;
    } else if (values.crop === "subject") {
      Object.assign(asked, { crop: "subject", crop_margin: values.margin });
    }
    if (values.format !== "png") {
      asked.format = values.format;
    }
    if (this.background !== null || more.background) {
      asked.background = (this.background ?? "#ffffff").slice(1);
    }
    return asked;
  }
}

// Give a version of a picture the same knobs.
export function inheritKnobs(from, to) {
  if (kept.has(from)) {
    kept.set(to, { ...kept.get(from) });
  }
}
