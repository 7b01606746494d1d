/**
 * The one module that base.html loads. It starts what every page needs, and fetches camera and scanner
 * only where the page (or a part that htmx brought) has one.
 */
import { attachCopy } from "./copy.js";
import { attachFeedback } from "./feedback.js";
import { showLocalTimes } from "./local-time.js";
import { attachMenus } from "./menus.js";
import { fadeSuccesses } from "./notices.js";
import { attachPolling } from "./poll.js";

/** @type {Record<string, () => Promise<{attach: (element: HTMLElement) => void}>>} */
const ON_DEMAND = {
  "[data-camera]": () => import("./camera.js"),
  "[data-liveness]": () => import("./liveness.js"),
  "[data-scanner]": () => import("./scanner.js"),
};
/** @type {WeakSet<Element>} */
const attached = new WeakSet();

/** @param {Document | Element} part */
function prepare(part) {
  showLocalTimes(part);
  fadeSuccesses(part);
  for (const [selector, load] of Object.entries(ON_DEMAND)) {
    const found = [...part.querySelectorAll(selector)];
    if (part instanceof Element && part.matches(selector)) found.push(part);
    for (const element of found) {
      if (attached.has(element)) continue;
      attached.add(element);
      load().then((module) => module.attach(/** @type {HTMLElement} */ (element)));
    }
  }
}

attachMenus();
attachCopy();
attachFeedback();
attachPolling();
prepare(document);
document.addEventListener("htmx:load", (event) => prepare(/** @type {CustomEvent} */ (event).detail.elt));
