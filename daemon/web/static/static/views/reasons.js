// Why a result is doubtful, in words: from the numbers of its score, so in each language.

import { percent } from "./format.js";

const LIMIT = 0.75;

export function reasonsOf(confidence, words) {
  if (!confidence) {
    return [];
  }
  const { measures = {}, parts = {} } = confidence;
  const share = measures.subject ?? 0;
  if (confidence.is_blank) {
    return [words(share < 0.5 ? "reasons.empty" : "reasons.full")];
  }
  const found = {
    certainty: () => words("reasons.uncertain", { share: percent(measures.uncertain ?? 0) }),
    wholeness: () => words("reasons.fragments", { share: percent(measures.crumbs ?? 0) }),
    presence: () => words(share < 0.5 ? "reasons.small" : "reasons.large", { share: percent(share) }),
    freedom: () => words("reasons.border", { share: percent(measures.border ?? 0) }),
  };
  const low = Object.keys(found).filter((name) => (parts[name] ?? 1) <= LIMIT);
  return low.length ? low.map((name) => found[name]()) : [words("reasons.altogether")];
}
