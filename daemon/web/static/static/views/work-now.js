// What is in work now: clips, and the machines of a cluster.

import { h } from "../dom.js";
import { whyNoCluster, whyUnused } from "./cluster-reasons.js";
import { duration, number } from "./format.js";

// Each clip with its frames, speed and the time that is left; nothing if there is none.
export function clipsInWork(clips, words) {
  if (!clips?.length) {
    return [];
  }
  const line = (one) => {
    const done = { done: number(one.frames), total: one.total === null ? "" : number(one.total), rate: number(one.frames_per_s, 1) };
    const left = one.left_s === null ? "" : words("state.clip_left", { left: duration(one.left_s) });
    return h("li", {}, h("strong", {}, one.source), " ", words(one.total === null ? "state.clip_frames" : "state.clip_frames_of", done), " ", left);
  };
  return [h("h3", {}, words("state.clips")), h("ul", { class: "clips-in-work" }, ...clips.map(line))];
}

// Nodes and their workers, and why one is not used; nothing without a cluster.
export function clusterNow(cluster, words) {
  if (!cluster) {
    return [];
  }
  const rows = cluster.nodes.flatMap((node) => {
    const workers = node.workers.length ? node.workers : [null];
    return workers.map((worker) => row(node, worker, words));
  });
  const heads = ["node", "worker", "running", "done", "rate"].map((name, place) =>
    h("th", { scope: "col", class: place < 2 ? "" : "number-head" }, words(`state.cluster_${name}`)));
  const title = words("state.cluster", { address: cluster.address });
  return [
    h("h3", {}, title),
    cluster.trouble ? h("p", { class: "notice" }, whyNoCluster(cluster.trouble) ?? cluster.trouble) : "",
    h("div", { class: "table-frame", tabindex: "0", role: "region", "aria-label": title },
      h("table", { class: "cluster" }, h("thead", {}, h("tr", {}, ...heads)), h("tbody", {}, ...rows))),
  ].filter(Boolean);
}

function row(node, worker, words) {
  const why = node.why || worker?.why;
  const state = worker ? words(`state.worker_${worker.word}`) : words("state.worker_none");
  const badge = worker?.word === "warm" && !why ? "is-running" : "is-standby";
  const counts = worker ? [number(worker.running), number(worker.done), number(worker.pictures_per_s, 1)] : ["–", "–", "–"];
  return h("tr", {},
    h("th", { scope: "row" }, node.name, " ", h("span", { class: "hint" }, node.address)),
    h("td", {}, h("span", { class: `badge ${badge}` }, state), " ", worker?.device ?? "", why ? h("p", { class: "reason" }, whyUnused(why)) : ""),
    ...counts.map((text) => h("td", { class: "number" }, text)));
}
