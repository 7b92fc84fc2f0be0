// Texts in English and Chinese. Each view registers its own.

import { local } from "./stores.js";

const LANGUAGES = ["en", "zh"];
const texts = { en: {}, zh: {} };
let current = "en";

// Add texts: {en: {key: text}, zh: {key: text}}.
export function register(more) {
  for (const language of LANGUAGES) {
    Object.assign(texts[language], more[language]);
  }
}

// Return a text. {name} is replaced by values.name. A key with the forms `key.one` and `key.other`
// is chosen by values.count, as the language's plurals want it. An unknown key is returned itself.
export function words(key, values = {}) {
  const text = form(key, values.count);
  return text.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? String(values[name]) : whole));
}

function form(key, count) {
  const known = texts[current];
  if (typeof count === "number") {
    const plural = `${key}.${new Intl.PluralRules(current).select(count)}`;
    return known[plural] ?? known[`${key}.other`] ?? known[key] ?? key;
  }
  return known[key] ?? known[`${key}.other`] ?? key;
}

export function language() {
  return current;
}

// Use a language from now on and at the next visit.
export function useLanguage(name) {
  current = LANGUAGES.includes(name) ? name : "en";
  document.documentElement.lang = current === "zh" ? "zh-CN" : "en";
}

// Return the language that was chosen here, or else the browser's.
export function preferredLanguage() {
  const kept = local.getItem("language");
  if (LANGUAGES.includes(kept)) {
    return kept;
  }
  const wanted = (navigator.languages ?? [navigator.language]).map((one) => one.slice(0, 2).toLowerCase());
  return wanted.find((one) => LANGUAGES.includes(one)) ?? "en";
}
