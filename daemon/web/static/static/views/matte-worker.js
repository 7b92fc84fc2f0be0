// Computes previews beside the page, so that knobs never stick. It keeps the alpha of one picture.

import { adjusted } from "./matte-preview.js";

let picture = null;

addEventListener("message", ({ data }) => {
  if (data.alpha) {
    picture = data;
    return;
  }
  const alpha = adjusted(picture.alpha, picture.width, picture.height, data.knobs, picture.scale);
  const copy = alpha === picture.alpha ? alpha.slice() : alpha;
  postMessage({ turn: data.turn, alpha: copy }, [copy.buffer]);
});
