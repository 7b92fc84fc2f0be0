// A question before something that cannot be undone.

import { h } from "../dom.js";

// Return whether a person has agreed; Escape means no.
export function confirmed(text, yes, no) {
  const agree = h("button", { class: "button danger", type: "submit", value: "yes" }, yes);
  const refuse = h("button", { class: "button", type: "submit", value: "no", autofocus: true }, no);
  const label = h("p", { id: "question-text" }, text);
  const dialog = h("dialog", { class: "dialog", "aria-labelledby": "question-text" },
    h("form", { method: "dialog" }, label, h("div", { class: "bar" }, refuse, agree)));
  document.body.append(dialog);
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      resolve(dialog.returnValue === "yes");
      dialog.remove();
    });
    dialog.showModal();
    refuse.focus();
  });
}
