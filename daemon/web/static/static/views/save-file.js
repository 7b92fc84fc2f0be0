// Downloads: a file of the API that may need a key, and a zip that needs none.

import { h } from "../dom.js";

function click(href, name) {
  const link = h("a", { href, download: name, hidden: true });
  document.body.append(link);
  link.click();
  link.remove();
}

export async function saveFile(api, path, name) {
  const url = URL.createObjectURL(await api.blob(path));
  click(url, name);
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

// Ask for a zip, then let the browser fetch it: it goes to the disk, not into memory.
export async function saveZip(api, wish) {
  const made = await api.post("/api/v1/archives", wish);
  click(made.href, "");
  return made;
}
