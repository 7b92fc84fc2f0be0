import { h } from "../dom.js";

export async function mount(root, { words }) {
  root.append(h("h1", {}, words("shell.cut")));
  return () => null;
}
