// Asks for the key of a server that wants one.

import { h, marked } from "./dom.js";
import { words } from "./words.js";

// Return the key, or an empty text if the person gives none.
export function askForKey(isWrong) {
  const input = h("input", { type: "password", id: "key", autocomplete: "off", spellcheck: "false", required: true });
  const dialog = h("dialog", { class: "dialog key-dialog", "aria-labelledby": "key-title" },
    h("form", { method: "dialog" },
      h("h2", { id: "key-title" }, words("shell.key_title")),
      h("p", { class: "hint" }, ...marked(words("shell.key_text"))),
      isWrong && h("p", { class: "reason", role: "alert" }, words("shell.key_wrong")),
      h("div", { class: "field" }, h("label", { for: "key" }, words("shell.key")), input),
      h("div", { class: "bar" },
        h("button", { class: "button primary", type: "submit", value: "use" }, words("shell.key_use")),
        h("button", { class: "button", type: "button", onclick: () => dialog.close("") }, words("shell.cancel")))));
  document.body.append(dialog);
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      // A key is sent in a header: other letters come with pasting, and no request could be made.
      resolve(dialog.returnValue === "use" ? input.value.replace(/[^\x21-\x7e]/g, "") : "");
      dialog.remove();
    });
    dialog.showModal();
  });
}
