// Uploads, waits, and reads pixels: what Cut and Touch up have in common.

import { whyFailed } from "./failures.js";
import { whyNotServed } from "./standby.js";

const POLL_MS = 1000;
const PATIENCE = 3; // looks at a picture that waits, before it is asked why
const PASSING = new Set([0, 429, 500, 502, 503, 504]); // the server or a proxy has trouble now
const UPLOADS = "web"; // the name of the folder of uploads
// A result without any change, whose alpha the knobs and the brush begin with. A version is laid over
// the options of its picture, so each of them that changes the shape is named.
export const PLAIN = {
  preset: "none", format: "png", content: "cutout", background: "none", depth: "auto", max_megapixels: 1000,
  crop: "none", crop_aspect: "none", crop_canvas: "none", crop_margin: 0,
  adjust_low: 0, adjust_high: 1, adjust_shift_px: 0, adjust_feather_px: 0, adjust_fill_holes: 0, adjust_keep: "all",
};
export const queryOf = (options) => new URLSearchParams(Object.entries(options)).toString();

// A request that is sent again with the same key is carried out once.
export const newKey = () => crypto.getRandomValues(new Uint32Array(4)).join("-");

// Send a picture; return its id. `onProgress` gets 0 to 1. The same `key` never takes a picture twice.
export async function upload(api, file, { key, onProgress, signal }) {
  const query = queryOf({ ...PLAIN, name: file.name || "picture.png" });
  const answer = await api.send("POST", `/api/v1/pictures?${query}`, {
    body: file, headers: { "Content-Type": "application/octet-stream", "Idempotency-Key": key }, onProgress, signal,
  });
  return answer.pictures[0].id;
}

// Have a version made; return its id. `mask` is a PNG, or null. The same `key` never makes two.
export async function makeVersion(api, id, options, { mask = null, key = newKey(), onProgress, signal } = {}) {
  const answer = await api.send("POST", `/api/v1/pictures/${id}/versions?${queryOf(options)}`, {
    body: mask ?? undefined, headers: { "Idempotency-Key": key }, onProgress, signal,
  });
  return answer.id;
}

// Return why nothing is cut out now: {name, reason}; null if all is well.
async function troubleOf(api) {
  const { state, standby } = await api.get("/api/v1/status");
  if (state !== "running") {
    return { name: state };
  }
  return standby[UPLOADS] ? { name: "standby", reason: whyNotServed(standby[UPLOADS]) } : null;
}

// Wait until a picture is done; return what the server says of it. `onState` gets each state, and
// what keeps the picture from being cut out (`trouble`).
// An error with `isFailed` if the picture cannot be cut out.
export function ended(api, id, { onState = () => null, signal } = {}) {
  return new Promise((resolve, reject) => {
    let isOver = false;
    let stage = null;
    let looks = 0;
    let trouble = null;
    const finish = (settle, value) => {
      isOver = true;
      clearInterval(timer);
      stop();
      settle(value);
    };
    const look = async () => {
      try {
        const found = await api.get(`/api/v1/pictures/${id}`);
        if (isOver) {
          return;
        }
        if (found.state === "done") {
          finish(resolve, found);
        } else if (found.state === "failed") {
          finish(reject, Object.assign(new Error(found.reason), { isFailed: true, detail: whyFailed(found.reason) }));
        } else {
          looks = found.state === "running" ? 0 : looks + 1;
          trouble = looks && looks % PATIENCE === 0 ? await troubleOf(api) : looks && trouble;
          onState({ state: found.state, place: found.place ?? 0, stage, trouble });
        }
      } catch (error) {
        onState({ state: "waiting", place: 0, stage, trouble: { name: "unreachable" } });
        if (!isOver && !PASSING.has(error.status)) {
          finish(reject, error); // else the server comes back, or the person goes away
        }
      }
    };
    const stop = api.events(({ data }) => {
      if (data.id === id) {
        stage = data.stage ?? stage;
        look();
      }
    });
    const timer = setInterval(look, POLL_MS);
    signal?.addEventListener("abort", () => isOver || finish(reject, new DOMException("stopped", "AbortError")));
    look();
  });
}

// --- pixels ------------------------------------------------------------------------------

// Decode a file no larger than `side`; null if the browser cannot. {bitmap, fullWidth, fullHeight}
export async function decode(blob, side) {
  let whole;
  try {
    whole = await createImageBitmap(blob);
  } catch {
    return null;
  }
  const { width: fullWidth, height: fullHeight } = whole;
  const share = Math.min(1, side / Math.max(fullWidth, fullHeight));
  if (share === 1) {
    return { bitmap: whole, fullWidth, fullHeight };
  }
  const bitmap = await createImageBitmap(whole, {
    resizeWidth: Math.max(1, Math.round(fullWidth * share)),
    resizeHeight: Math.max(1, Math.round(fullHeight * share)),
    resizeQuality: "high",
  });
  whole.close(); // 50 megapixels are 200 MB
  return { bitmap, fullWidth, fullHeight };
}

// Return the pixels of a bitmap at a size, RGBA.
export function pixelsOf(bitmap, width, height) {
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, 0, 0, width, height);
  return context.getImageData(0, 0, width, height).data;
}

// The original's pixels as a canvas; null if the browser cannot decode the original.
export function photoCanvas({ photo, width, height }) {
  if (!photo) {
    return null;
  }
  const canvas = new OffscreenCanvas(width, height);
  canvas.getContext("2d").putImageData(new ImageData(photo, width, height), 0, 0);
  return canvas;
}

export function alphaOf(rgba) {
  const alpha = new Uint8Array(rgba.length / 4);
  for (let place = 0; place < alpha.length; place += 1) {
    alpha[place] = rgba[4 * place + 3];
  }
  return alpha;
}

// Load a picture that is done: original and plain result, no larger than `side`.
// The id of the answer is another one if a plain version had to be made first. It has no `cut` if
// nothing can show the result, such as that of a clip.
export async function load(api, id, { side, file = null, onState, signal }) {
  const about = await ended(api, id, { onState, signal });
  const result = await plainResult(api, about, { side, onState, signal });
  const told = { id: result.id, name: about.name, about: result.about, origin: about, blob: result.blob };
  if (!result.bitmap) {
    return told;
  }
  const original = (await decode(file ?? (await originalOf(api, id, signal)), side))
    ?? (await decode(await previewOf(api, about, "original-preview", signal), side));
  const { width, height } = result.bitmap;
  const cut = pixelsOf(result.bitmap, width, height);
  result.bitmap.close();
  const photo = original ? pixelsOf(original.bitmap, width, height) : null;
  original?.bitmap.close();
  return { ...told, width, height, fullWidth: result.fullWidth, fullHeight: result.fullHeight, cut, photo };
}

async function originalOf(api, id, signal) {
  try {
    return await api.blob(`/api/v1/pictures/${id}/original`, { signal });
  } catch (error) {
    if (error.name === "AbortError") {
      throw error;
    }
    return new Blob([]); // it is not kept: only the comparison is missing
  }
}

// A smaller picture of a file that the browser cannot decode, such as TIFF or HEIC, or one that is
// too large for it.
async function previewOf(api, about, kind, signal) {
  try {
    return await api.small(`/api/v1/drops/${about.drop}/pictures/${about.picture.id}/${kind}`, { signal });
  } catch (error) {
    if (error.name === "AbortError") {
      throw error;
    }
    return new Blob([]);
  }
}

// The result as the knobs and the brush begin with it. Another one is made if the picture's own is
// cropped, has a background or a format without transparency.
async function plainResult(api, about, { side, onState, signal }) {
  let { id } = about;
  let told = about;
  if (!about.is_plain) {
    id = await makeVersion(api, id, PLAIN, { signal });
    told = await ended(api, id, { onState, signal });
  }
  const blob = await api.blob(`/api/v1/pictures/${id}/result`, { signal });
  const decoded = (await decode(blob, side)) ?? (await decode(await previewOf(api, told, "preview", signal), side));
  const { result_width: fullWidth, result_height: fullHeight } = told.picture;
  return { id, about: told, blob, ...decoded, fullWidth, fullHeight };
}

// Delete a picture that was made only for this page; the server keeps what it was made of.
export async function discard(api, id) {
  try {
    await api.send("DELETE", `/api/v1/pictures/${id}`);
  } catch (error) {
    console.warn(`${id} stays: ${error.detail}`);
  }
}

// Offer a result to the person, with the name of its picture; return the name. `path`: the result's
// own place, which knows the suffix.
export function saveAs(blob, pictureName, path) {
  const name = pictureName.replace(/\.[^.]*$/, "") + path.slice(path.lastIndexOf("."));
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  return name;
}
