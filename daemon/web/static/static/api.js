// Requests to the server: with the key, with progress, with errors that people understand.

import { askForKey } from "./key-dialog.js";
import { session } from "./stores.js";
import { words } from "./words.js";

const KEY = "api-key";
const RECONNECT_MS = 2000;
const LONGEST_MS = 30_000;

// A refusal, or no answer at all (status 0). `retryAfter`: seconds that the server asks us to wait.
export class ApiError extends Error {
  constructor(status, code, detail, retryAfter = 0) {
    super(detail);
    this.name = "ApiError";
    Object.assign(this, { status, code, detail, retryAfter });
  }
}

let asking = null; // one dialog for all requests that wait for a key

// Ask for a key, unless another request has got one since. False: the person has none.
async function newKey(usedKey) {
  if (session.getItem(KEY) !== usedKey) {
    return true;
  }
  asking ??= askForKey(usedKey !== null).finally(() => { asking = null; });
  const key = await asking;
  if (key) {
    session.setItem(KEY, key);
  }
  return Boolean(key);
}

function withKey(headers) {
  const key = session.getItem(KEY);
  return key === null ? { ...headers } : { ...headers, "X-Api-Key": key };
}

function errorOf(status, text, retryAfter = null) {
  if (status === 0) {
    return new ApiError(0, "unreachable", words("shell.unreachable"));
  }
  try {
    const { code, detail } = JSON.parse(text);
    if (code && detail) {
      // What people meet here is told in their language; else the server's own words, in English.
      const own = words(`error.${code}`);
      return new ApiError(status, code, own === `error.${code}` ? detail : own, Number(retryAfter) || 0);
    }
  } catch {
    // a proxy before the server may answer something else than JSON
  }
  return new ApiError(status, "refused", words(status === 413 ? "shell.too_large" : "shell.refused", { status }),
    Number(retryAfter) || 0);
}

// Repeat a request with another key for as long as the server wants one.
async function keyed(request) {
  for (;;) {
    const key = session.getItem(KEY);
    try {
      return await request();
    } catch (error) {
      const wantsKey = error.status === 401 || (error.status === 403 && error.code === "auth_failed");
      if (!wantsKey) {
        throw error;
      }
      if (!(await newKey(key))) {
        throw new ApiError(error.status, error.code, words("shell.no_key"));
      }
    }
  }
}

async function fetched(path, options = {}) {
  let answer;
  try {
    answer = await fetch(path, { ...options, headers: withKey(options.headers) });
  } catch (error) {
    throw error.name === "AbortError" ? error : errorOf(0, "");
  }
  if (!answer.ok) {
    throw errorOf(answer.status, await answer.text(), answer.headers.get("Retry-After"));
  }
  return answer;
}

// By XMLHttpRequest, because `fetch` does not tell how much was sent.
function sent(method, path, { body, headers, onProgress, signal }) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open(method, path);
    for (const [name, value] of Object.entries(withKey(headers))) {
      request.setRequestHeader(name, value);
    }
    request.upload.addEventListener("progress", (event) => {
      if (event.lengthComputable) {
        onProgress(event.loaded / event.total);
      }
    });
    request.addEventListener("load", () => {
      const isGood = request.status >= 200 && request.status < 300;
      const refusal = () => errorOf(request.status, request.responseText, request.getResponseHeader("Retry-After"));
      return isGood ? resolve(request.responseText) : reject(refusal());
    });
    request.addEventListener("error", () => reject(errorOf(0, "")));
    const abort = () => reject(new DOMException("stopped", "AbortError"));
    request.addEventListener("abort", abort);
    signal?.addEventListener("abort", () => request.abort());
    return signal?.aborted ? abort() : request.send(body);
  });
}

const asJson = (text) => (text ? JSON.parse(text) : null);

async function send(method, path, options = {}) {
  if (options.onProgress) {
    return asJson(await keyed(() => sent(method, path, options)));
  }
  const { body, headers, signal } = options;
  const answer = await keyed(() => fetched(path, { method, body, headers, signal }));
  return asJson(await answer.text());
}

function post(path, body) {
  const isJson = body !== undefined && Object.getPrototypeOf(body) === Object.prototype;
  return isJson
    ? send("POST", path, { body: JSON.stringify(body), headers: { "Content-Type": "application/json" } })
    : send("POST", path, { body });
}

async function blob(path, { signal, headers } = {}) {
  return (await keyed(() => fetched(path, { signal, headers }))).blob();
}

// A thumbnail or a preview: as WebP it has a fifth of a PNG's bytes.
const small = (path, options = {}) => blob(path, { ...options, headers: { Accept: "image/webp" } });

// Yield the events of one connection.
async function* eventsOf(answer) {
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) {
      return;
    }
    const blocks = (rest + value).split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) {
      const lines = Object.fromEntries(block.split("\n").map((line) => line.split(/: (.*)/s)));
      if (lines.event) {
        yield { kind: lines.event, data: JSON.parse(lines.data) };
      }
    }
  }
}

// One connection for all listeners of the page; the server allows few.
const listeners = new Set();
let connection = null;

async function listen(signal) {
  let pause = RECONNECT_MS;
  while (!signal.aborted) {
    try {
      const answer = await keyed(() => fetched("/api/v1/events", { signal }));
      for (const listener of listeners) {
        listener({ kind: "connected", data: {} });
      }
      pause = RECONNECT_MS;
      for await (const event of eventsOf(answer)) {
        for (const listener of listeners) {
          listener(event);
        }
      }
    } catch (error) {
      if (error.status === 401 || error.status === 403) {
        if (connection?.signal === signal) {
          connection = null; // the next listener asks for a key again
        }
        return;
      }
      pause = Math.min(2 * pause, LONGEST_MS);
    }
    await new Promise((resolve) => setTimeout(resolve, pause));
  }
}

// Call `listener({kind, data})` for each event; return a function that ends this. After an
// interruption it is called with the kind `connected`: events may have been missed.
function events(listener) {
  listeners.add(listener);
  if (connection === null) {
    connection = new AbortController();
    listen(connection.signal);
  }
  return () => {
    listeners.delete(listener);
    if (listeners.size === 0) {
      connection?.abort();
      connection = null;
    }
  };
}

export const api = { get: (path) => send("GET", path), post, send, blob, small, events };
