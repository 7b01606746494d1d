/**
 * Live parts without long-lived connections. htmx does the asking (hx-trigger="every 1s"); this adds what it lacks:
 * If-None-Match, so that an unchanged part costs a 304 and no swap; fewer questions when nothing changes; none while the
 * page is hidden; the connection pill; and a polite word to screen readers.
 *
 * <div id="tags" data-poll hx-get="…" hx-trigger="every 1s">…</div>, swapped by innerHTML, answered with an ETag.
 */

/** After so many unchanged answers, ask only on every n-th tick. */
const BACK_OFF = [
  { unchanged: 300, every: 10 },
  { unchanged: 60, every: 3 },
];

/** @type {WeakMap<Element, {etag: string | null, unchanged: number, tick: number}>} */
const states = new WeakMap();

/** @param {Element} element */
function stateOf(element) {
  let state = states.get(element);
  if (!state) states.set(element, (state = { etag: null, unchanged: 0, tick: 0 }));
  return state;
}

/** @param {unknown} element @returns {element is HTMLElement} */
const polls = (element) => element instanceof HTMLElement && element.hasAttribute("data-poll");

/** @param {boolean} online */
function showConnection(online) {
  for (const pill of document.querySelectorAll("[data-connection]")) {
    if (!(pill instanceof HTMLElement) || pill.dataset.state === (online ? "online" : "offline")) continue;
    pill.dataset.state = online ? "online" : "offline";
    const word = pill.querySelector("[data-connection-word]");
    if (word) word.textContent = (online ? pill.dataset.online : pill.dataset.offline) ?? "";
  }
}

/** @param {Element} part */
function announce(part) {
  const spoken = part.querySelector("[data-announce]")?.textContent?.trim();
  const announcer = document.getElementById("announcer");
  if (spoken && announcer && announcer.textContent !== spoken) announcer.textContent = spoken;
}

export function attachPolling() {
  document.addEventListener("htmx:configRequest", (event) => {
    const { elt, headers } = /** @type {CustomEvent} */ (event).detail;
    if (polls(elt) && stateOf(elt).etag) headers["If-None-Match"] = stateOf(elt).etag;
  });
  document.addEventListener("htmx:beforeRequest", (event) => {
    const { elt } = /** @type {CustomEvent} */ (event).detail;
    if (!polls(elt)) return;
    const state = stateOf(elt);
    const every = BACK_OFF.find((step) => state.unchanged >= step.unchanged)?.every ?? 1;
    state.tick += 1;
    if (document.hidden || state.tick % every !== 0) event.preventDefault();
  });
  document.addEventListener("htmx:afterRequest", (event) => {
    const { elt, xhr } = /** @type {CustomEvent} */ (event).detail;
    if (!xhr || xhr.status === 0) return;
    showConnection(true);
    if (!polls(elt)) return;
    const state = stateOf(elt);
    if (xhr.status === 304) {
      state.unchanged += 1;
      return;
    }
    state.unchanged = 0;
    state.etag = xhr.status === 200 ? xhr.getResponseHeader("ETag") : null;
  });
  document.addEventListener("htmx:afterSwap", (event) => {
    const { elt } = /** @type {CustomEvent} */ (event).detail;
    if (elt instanceof Element) announce(elt);
  });
  document.addEventListener("htmx:sendError", () => showConnection(false));
  document.addEventListener("htmx:timeout", () => showConnection(false));
  // A person at work wants the next change at once.
  document.addEventListener("pointerdown", wakeAll);
  document.addEventListener("keydown", wakeAll);
  document.addEventListener("visibilitychange", wakeAll);
  window.addEventListener("offline", () => showConnection(false));
  window.addEventListener("online", () => showConnection(true));
  showConnection(navigator.onLine);
}

function wakeAll() {
  for (const element of document.querySelectorAll("[data-poll]")) stateOf(element).unchanged = 0;
}
