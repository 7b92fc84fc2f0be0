// How results are made, for all pictures of a batch.

import { h } from "../dom.js";

const CHOICES = {
  preset: ["", "none", "marketplace", "square", "portrait"],
  format: ["", "png", "webp", "webp-lossless", "avif", "tiff", "jpeg"],
  background: ["", "none", "ffffff", "000000", "own"],
  content: ["", "cutout", "alpha", "both"],
};

export async function optionFields(api, words, batch) {
  const models = await modelNames(api);
  const chosen = { ...batch.options };
  const fields = Object.entries(CHOICES).map(([name, values]) => select(words, name, values, chosen));
  if (models.length > 1) {
    fields.push(select(words, "model", ["", ...models], chosen));
  }
  const colour = h("input", { type: "color", id: "option-colour", value: "#c0d8f0" });
  const colourField = h(
    "div",
    { class: "field" },
    h("label", { for: "option-colour" }, words("batch.colour")),
    colour,
  );
  if (chosen.background && !CHOICES.background.includes(chosen.background)) {
    colour.value = `#${chosen.background}`;
    fields[2].querySelector("select").value = "own";
  }
  fields.splice(3, 0, colourField);
  const box = h(
    "details",
    { class: "card options", open: Object.keys(chosen).length > 0 },
    h("summary", {}, words("batch.options")),
    h("div", { class: "fields" }, ...fields),
    h("p", { class: "hint" }, words("batch.options_hint")),
  );
  const read = () => {
    const options = {};
    for (const field of box.querySelectorAll("select")) {
      if (field.value) {
        options[field.name] = field.value === "own" ? colour.value.slice(1) : field.value;
      }
    }
    colourField.hidden = box.querySelector('[name="background"]').value !== "own";
    return options;
  };
  box.addEventListener("input", () => batch.setOptions(read()));
  read();
  return box;
}

async function modelNames(api) {
  try {
    const { models } = await api.get("/api/v1/models");
    return models.map((one) => one.name);
  } catch {
    return []; // the choice is only left out: the server has its own
  }
}

function select(words, name, values, chosen) {
  const id = `option-${name}`;
  const list = h(
    "select",
    { id, name },
    ...values.map((value) => h("option", { value }, label(words, name, value))),
  );
  list.value = values.includes(chosen[name]) ? chosen[name] : "";
  return h("div", { class: "field" }, h("label", { for: id }, words(`batch.option_${name}`)), list);
}

function label(words, name, value) {
  if (!value) {
    return words("batch.as_set");
  }
  const translated = ["preset", "background", "content"];
  return translated.includes(name) ? words(`batch.${name}_${value}`) : value;
}
