// Why a result is doubtful, in words: from the numbers of its score, so in each language.
// As `explain` in cvunet/matte/confidence.py; a test compares both.

import { percent } from "./format.js";

const LIMIT = 0.75;
const SOLID = 0.5;

const FOUND = {
  certainty: (measures) => ["uncertain", { inside: measures.inside, shaky: measures.shaky }],
  wholeness: (measures) => (measures.holes > measures.detached
    ? ["holes", { share: measures.holes }]
    : ["detached", { share: measures.detached }]),
  presence: (measures) => ["small", { share: measures.subject }],
  freedom: (measures) => ["border", { top: measures.top, border: measures.border }],
};

// Return the reasons, the worst one first.
export function reasonsOf(confidence, words) {
  if (!confidence) {
    return [];
  }
  const { measures = {}, parts = {} } = confidence;
  if (confidence.is_blank) {
    return [words((measures.subject ?? 0) < SOLID ? "reasons.empty" : "reasons.full")];
  }
  const low = Object.keys(FOUND).filter((name) => (parts[name] ?? 1) <= LIMIT);
  low.sort((one, other) => parts[one] - parts[other]);
  const told = low.map((name) => {
    const [key, shares] = FOUND[name](measures);
    const texts = Object.entries(shares).map(([of, share]) => [of, percent(share ?? 0)]);
    return words(`reasons.${key}`, Object.fromEntries(texts));
  });
  return told.length ? told : [words("reasons.altogether")];
}
