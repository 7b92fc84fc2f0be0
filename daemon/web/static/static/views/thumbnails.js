// Small pictures that are fetched when they come into sight, and let go when they are far away.
// They are fetched as blobs, because an <img> cannot send a key.

import { h } from "../dom.js";

const AT_ONCE = 4;
const MARGIN = "600px 0px";
// Answers that will not change when the picture is asked for again.
const FINAL = new Set([404, 409, 410, 422]);

export class Thumbnails {
  constructor(api) {
    this.api = api;
    this.waiting = [];
    this.running = 0;
    this.images = new Map();
    this.observer = new IntersectionObserver((entries) => this.see(entries), { rootMargin: MARGIN });
  }

  // Return an <img> that shows a path of the API once it is in sight.
  image(path, alt) {
    const image = h("img", { class: "thumbnail", alt, decoding: "async", draggable: "false" });
    this.images.set(image, { path, url: null, isNear: false, isFinal: false });
    this.observer.observe(image);
    return image;
  }

  see(entries) {
    for (const { target, isIntersecting } of entries) {
      const one = this.images.get(target);
      if (!one) {
        continue;
      }
      one.isNear = isIntersecting;
      if (isIntersecting && !one.url && !one.isFinal) {
        this.waiting.push(target);
      } else if (!isIntersecting) {
        this.release(target, one);
      }
    }
    this.fetchNext();
  }

  release(image, one) {
    if (one.url) {
      URL.revokeObjectURL(one.url);
      one.url = null;
      image.removeAttribute("src");
    }
  }

  fetchNext() {
    while (this.running < AT_ONCE && this.waiting.length) {
      const image = this.waiting.shift();
      const one = this.images.get(image);
      if (one && one.isNear && !one.url) {
        this.running += 1;
        this.fetch(image, one).finally(() => {
          this.running -= 1;
          this.fetchNext();
        });
      }
    }
  }

  async fetch(image, one) {
    try {
      const blob = await this.api.small(one.path);
      if (one.isNear && this.images.has(image) && !one.url) {
        one.url = URL.createObjectURL(blob);
        image.src = one.url;
      }
    } catch (error) {
      one.isFinal = FINAL.has(error.status);
      if (one.isFinal) {
        image.classList.add("is-missing");
      }
    }
  }

  // Forget the pictures in an element that is about to be removed.
  forget(element) {
    for (const image of element.querySelectorAll("img.thumbnail")) {
      const one = this.images.get(image);
      if (one) {
        this.release(image, one);
        this.observer.unobserve(image);
        this.images.delete(image);
      }
    }
  }

  close() {
    this.observer.disconnect();
    for (const [image, one] of this.images) {
      this.release(image, one);
    }
    this.images.clear();
    this.waiting = [];
  }
}
