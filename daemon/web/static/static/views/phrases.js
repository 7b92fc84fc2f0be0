// What the daemon says in English, in the language of the page: by lists of patterns with their
// Chinese forms. What no list has stays as it is.

import { language } from "../words.js";

// Return a text in Chinese; null if it is none of these, or the page is in another language. {1} of a Chinese form is
// what stands in the first brackets of its pattern; `fill` may change it.
export function inChinese(phrases, text, fill = (part) => part) {
  for (const [pattern, chinese] of isChinese() ? phrases : []) {
    const found = pattern.exec(text);
    if (found) {
      return chinese.replace(/\{(\d)\}/g, (whole, number) => fill(found[number] ?? ""));
    }
  }
  return null;
}

export function isChinese() {
  return language() === "zh";
}
