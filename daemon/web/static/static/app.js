// The frame of the page: which view is shown, in which language and colours.

import { api } from "./api.js";
import { h } from "./dom.js";
import * as shellWords from "./shell.words.js";
import { local } from "./stores.js";
import { preferredLanguage, register, useLanguage, words } from "./words.js";

const VIEWS = ["cut", "touch", "batch", "history", "review", "state"];
const view = document.getElementById("view");
const announcer = document.getElementById("announce");
let unmount = () => null;
let turn = 0; // a view that loads slowly must not replace a later one
let guard = null; // of the view: {isNeeded(), ask()}, before something is lost
let place = 0; // of the view in the browser's history; each entry of it knows its own
let isReturning = false;
let isAsking = false;

// Tell people who do not see the page what has happened.
function announce(text) {
  announcer.textContent = "";
  requestAnimationFrame(() => { announcer.textContent = text; });
}

function navigate(target) {
  location.hash = target.startsWith("#") ? target : `#${target}`;
}

// Have `ask` asked before the view is left while `isNeeded`.
function protect(isNeeded, ask) {
  guard = { isNeeded, ask };
}

// Return the view's name and its parameters: "#/touch/abc?x=1" is touch, {id: "abc", rest: ["abc"], x: "1"}.
function route() {
  const [path, query] = location.hash.replace(/^#\/?/, "").split("?");
  const [name, ...rest] = path.split("/").map(decodeURIComponent);
  const params = { ...Object.fromEntries(new URLSearchParams(query)), rest, id: rest[0] };
  return VIEWS.includes(name) ? { name, params } : { name: "cut", params };
}

// Ask before a view is left in which something is not saved. A browser cannot be held back: it goes
// back to the view, the question is asked there, and a yes goes on.
async function follow() {
  if (isReturning) {
    isReturning = false;
    return;
  }
  if (!guard?.isNeeded()) {
    show();
    return;
  }
  const wanted = location.hash;
  const known = history.state?.place; // none: a new place, not Back or Forward
  const step = (known ?? place + 1) - place;
  isReturning = true;
  history.go(-step);
  if (await mayLeave()) {
    guard = null;
    if (known === undefined) {
      location.hash = wanted;
    } else {
      history.go(step);
    }
  }
}

// Whether nothing is lost, or the person agrees. While a question is open, another one is a no.
async function mayLeave() {
  if (!guard?.isNeeded()) {
    return true;
  }
  if (isAsking) {
    return false;
  }
  isAsking = true;
  const isAgreed = await guard.ask();
  isAsking = false;
  return isAgreed;
}

function notePlace() {
  place = history.state?.place ?? place + 1;
  history.replaceState({ place }, "");
}

async function show({ isFirst = false } = {}) {
  const { name, params } = route();
  notePlace();
  guard = null;
  turn += 1;
  for (const dialog of document.querySelectorAll("dialog[open]:not(.key-dialog)")) {
    dialog.close(); // it belongs to the view that is left by Back
  }
  const mine = turn;
  markNavigation(name, params);
  await Promise.resolve(unmount()).catch(() => null); // the old view is gone in any case
  unmount = () => null;
  view.replaceChildren();
  view.setAttribute("aria-busy", "true");
  const root = h("div", { class: `view view-${name}` });
  try {
    const [module, texts] = await Promise.all([import(`./views/${name}.js`), import(`./views/${name}.words.js`)]);
    register(texts);
    if (mine !== turn) {
      return;
    }
    view.replaceChildren(root);
    const end = await module.mount(root, { api, words, announce, navigate, params, protect });
    if (mine !== turn) {
      end?.();
      return;
    }
    unmount = end ?? unmount;
  } catch (error) {
    if (mine !== turn) {
      return;
    }
    console.error(error);
    view.replaceChildren(h("div", { class: "card" },
      h("h1", {}, words(`shell.${name}`)),
      h("p", { role: "alert" }, words("shell.missing"), " ", error.detail ?? ""),
      h("button", { class: "button", type: "button", onclick: () => show() }, words("shell.again"))));
  }
  view.removeAttribute("aria-busy");
  document.title = `${words(`shell.${name}`)} – cvunetd`;
  if (!isFirst) {
    if (!view.contains(document.activeElement)) { // somebody was faster, and is in the view already
      view.focus({ preventScroll: true });
    }
    announce(words(`shell.${name}`));
  }
}

function markNavigation(name, { from, job }) {
  const origin = VIEWS.includes(from) ? from : "cut"; // of a touch-up; `job` comes from Review
  const shown = name === "touch" ? (job && "review") || origin : name;
  for (const link of document.querySelectorAll(".top nav a")) {
    if (link.getAttribute("href") === `#/${shown}`) {
      link.setAttribute("aria-current", "page");
    } else {
      link.removeAttribute("aria-current");
    }
  }
}

function translateShell() {
  for (const element of document.querySelectorAll("[data-words]")) {
    element.textContent = words(element.dataset.words);
  }
  document.querySelector(".top nav").setAttribute("aria-label", words("shell.pages"));
  document.getElementById("theme").setAttribute("aria-label", words("shell.colours"));
}

function startSwitches() {
  const theme = document.getElementById("theme");
  theme.value = local.getItem("theme") ?? "auto";
  theme.addEventListener("change", () => {
    local.setItem("theme", theme.value);
    if (theme.value === "auto") {
      delete document.documentElement.dataset.theme;
    } else {
      document.documentElement.dataset.theme = theme.value;
    }
  });
  const language = document.getElementById("language");
  language.value = preferredLanguage();
  language.addEventListener("change", async () => {
    if (!(await mayLeave())) {
      language.value = preferredLanguage();
      return;
    }
    local.setItem("language", language.value);
    useLanguage(language.value);
    translateShell();
    show({ isFirst: true });
  });
}

// The link to the content is no place of the router.
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  view.focus();
});
register(shellWords);
useLanguage(preferredLanguage());
translateShell();
startSwitches();
addEventListener("hashchange", follow);
show({ isFirst: true });
