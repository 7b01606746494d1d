/**
 * One scan box for a keyboard-wedge scanner and for typing. A scanner types fast and ends with a suffix key; wherever the
 * focus stands (outside another field), its characters land here, and a scan replaces what stood in the box.
 *
 * <form data-scanner data-burst-ms="60" data-min-length="4" data-suffix="Enter"> with <input data-scan-input>.
 * Fires "scan" on the form ({detail: {code, scanned}}) before it is posted.
 */
import { play } from "./feedback.js";

const EDITABLE = "input, textarea, select, [contenteditable='true']";

/** @param {HTMLElement} element */
export function attach(element) {
  const form = /** @type {HTMLFormElement} */ (element);
  const box = /** @type {HTMLInputElement | null} */ (form.querySelector("[data-scan-input]"));
  if (!box) return;
  const burstMs = Number(form.dataset.burstMs) || 60;
  const minLength = Number(form.dataset.minLength) || 4;
  const suffix = form.dataset.suffix || "Enter";
  const byHtmx = ["hx-post", "hx-get"].some((name) => form.hasAttribute(name));

  let burst = "";
  let lastKeyAt = 0;
  let busy = false;
  /** @type {string[]} Codes scanned while an earlier one is on its way. */
  const waiting = [];

  // The on-screen keyboard would cover the page each time the box takes the focus; it opens when the box is touched.
  const touch = window.matchMedia("(pointer: coarse)").matches;
  if (touch) {
    box.inputMode = "none";
    box.addEventListener("pointerdown", () => (box.inputMode = "text"));
    box.addEventListener("blur", () => (box.inputMode = "none"));
  }

  /** @param {KeyboardEvent} event */
  function onKey(event) {
    if (!form.isConnected) return document.removeEventListener("keydown", onKey, true);
    const target = event.target instanceof Element ? event.target : document.body;
    if (target !== box && target.matches(EDITABLE)) return;
    if (event.ctrlKey || event.altKey || event.metaKey || event.isComposing) return;

    const fast = event.timeStamp - lastKeyAt <= burstMs;
    lastKeyAt = event.timeStamp;
    if (event.key.length === 1) {
      burst = fast ? burst + event.key : event.key;
      // Space presses buttons, so alone it never moves the focus; inside a burst it belongs to the code.
      if (target !== box && (event.key !== " " || fast)) box.focus();
      return;
    }
    if (event.key !== suffix && event.key !== "Enter") return;
    const scanned = fast && burst.length >= minLength;
    if (scanned) {
      event.preventDefault(); // or the focused button is pressed by the scanner's Enter
      box.value = burst;
      form.requestSubmit();
    }
    burst = "";
  }
  document.addEventListener("keydown", onKey, true);

  form.addEventListener(
    "submit",
    (event) => {
      const code = box.value.trim();
      if (!code) {
        event.preventDefault();
        event.stopImmediatePropagation();
        box.focus();
        return;
      }
      if (busy) {
        event.preventDefault();
        event.stopImmediatePropagation();
        if (byHtmx) {
          waiting.push(code);
          box.value = "";
        } else play("warn");
        return;
      }
      box.value = code;
      busy = true;
      form.setAttribute("aria-busy", "true");
      form.dispatchEvent(new CustomEvent("scan", { bubbles: true, detail: { code } }));
    },
    true,
  );

  form.addEventListener("htmx:afterRequest", (event) => {
    const { elt, successful } = /** @type {CustomEvent} */ (event).detail;
    if (elt !== form) return;
    release();
    if (successful) box.value = "";
    else box.select(); // what was scanned is kept for another try
    const next = waiting.shift();
    if (next) {
      box.value = next;
      form.requestSubmit();
    } else box.focus({ preventScroll: true });
  });
  // A page brought back by the Back button is as it was left: busy.
  window.addEventListener("pageshow", release);

  function release() {
    busy = false;
    form.removeAttribute("aria-busy");
  }

  // Focus that falls to nowhere (a tap beside everything, a closed menu) returns; focus moved on purpose stays.
  document.addEventListener("focusout", () => {
    setTimeout(() => {
      if (form.isConnected && !touch && document.activeElement === document.body && !window.getSelection()?.toString()) {
        box.focus({ preventScroll: true });
      }
    }, 150);
  });
  if (document.activeElement === document.body || document.activeElement === null) box.focus({ preventScroll: true });
}
