// One picture, large, with everything that can be done with it.

import { h } from "../dom.js";
import { whyFailed } from "./failures.js";
import { bytes, moment, number, percent } from "./format.js";
import { confirmed } from "./question.js";
import { reasonsOf } from "./reasons.js";
import { saveFile } from "./save-file.js";
import { Stage } from "./stage.js";

// Show it until it is closed. `onGone` and `onChange` tell what became of it. `from`: the view to
// which a touch-up comes back.
export function showPicture(one, { api, words, announce }, { from, onGone, onChange }) {
  const dialog = h("dialog", { class: "dialog picture-dialog", "aria-labelledby": "picture-name" });
  const notice = h("p", { class: "notice", role: "status", hidden: true });
  const act = (work) => async () => {
    try {
      await work();
    } catch (error) {
      notice.textContent = error.detail || String(error);
      notice.hidden = false;
    }
  };
  const button = (kind, key, work) => {
    const made = h("button", { class: `button ${kind}`, type: "button" }, words(key));
    made.addEventListener("click", act(work));
    return made;
  };
  const judge = (verb, key, changes) => async () => {
    await api.post(`${one.href}/${verb}`);
    dialog.close();
    announce(words(key, { name: one.name }));
    if (changes) {
      onChange(changes);
    } else {
      onGone();
    }
  };
  const stage = one.state === "done" ? new Stage(api, words) : null;
  const doneActions = () => [
    button("primary", "picture.save", () => saveFile(api, `${one.href}/result`, nameOf(one.result, one.name))),
    one.alpha ? button("", "picture.save_mask", () => saveFile(api, `${one.href}/mask`, nameOf(one.alpha, one.name))) : "",
    one.original ? button("", "picture.save_original", () => saveFile(api, `${one.href}/original`, one.name)) : "",
    one.upload ? h("a", { class: "button", href: `#/touch/${one.upload}?from=${from}` }, words("picture.touch")) : "",
    one.is_doubtful ? button("", "picture.approve", judge("approve", "picture.approved", { is_doubtful: false })) : "",
    button("", "picture.reject", judge("reject", "picture.rejected", null)),
  ];
  const failedActions = () => [button("primary", "picture.retry", judge("retry", "picture.retried", null))];
  const remove = async () => {
    if (await confirmed(words("picture.delete_sure", { name: one.name }), words("picture.delete"), words("picture.cancel"))) {
      await api.send("DELETE", one.href, {});
      dialog.close();
      announce(words("picture.deleted", { name: one.name }));
      onGone();
    }
  };
  const close = h("button", { class: "button small", type: "button", "aria-label": words("picture.close") }, "✕");
  close.addEventListener("click", () => dialog.close());
  dialog.append(
    h("header", { class: "bar" }, h("h2", { id: "picture-name" }, one.name), close),
    stage ? stage.element : h("p", { class: "reason" }, whyFailed(one.reason)),
    notice,
    h("div", { class: "bar" },
      ...(one.state === "done" ? doneActions() : failedActions()),
      button("danger", "picture.delete", remove)),
    facts(one, words),
  );
  dialog.addEventListener("close", () => {
    stage?.close();
    dialog.remove();
  });
  dialog.addEventListener("click", (event) => event.target.closest("a") && dialog.close());
  document.body.append(dialog);
  dialog.showModal();
  stage?.show(one);
}

function nameOf(path, other) {
  return (path || other).split("/").at(-1);
}

function facts(one, words) {
  const rows = [
    ["picture.source", one.upload ? one.name : one.source],
    ["picture.folder", one.folder],
    ["picture.ended", moment(one.ended_at)],
  ];
  if (one.width) {
    rows.push(["picture.size", `${number(one.width)} × ${number(one.height)} · ${bytes(one.bytes)}`]);
  }
  if (one.confidence) {
    rows.push(["picture.score", percent(one.confidence.score)]);
  }
  if (one.is_doubtful) {
    rows.push(["picture.why", reasonsOf(one.confidence, words).join(" ")]);
  }
  return h("dl", { class: "facts" },
    ...rows.flatMap(([key, value]) => [h("dt", {}, words(key)), h("dd", {}, value)]));
}
