/**
 * Sound and vibration: a warehouse is loud and gloved hands do not feel a tap. Each outcome has a shape of its own,
 * told apart without seeing the screen. The tones are computed, so no audio file is fetched. Mute is remembered.
 *
 * In a page: <p data-feedback="ok" data-feedback-key="entry-10482">: played once when it appears, never on a reload.
 */

/** @typedef {"tag" | "ok" | "warn" | "refused"} Feedback */

/** Steps of [hertz, start in seconds, length in seconds]; vibration in milliseconds on, off, on… */
const SHAPES = {
  tag: { wave: "sine", steps: [[1320, 0, 0.05]], vibration: [15] },
  ok: { wave: "sine", steps: [[660, 0, 0.11], [990, 0.12, 0.2]], vibration: [60] },
  warn: { wave: "triangle", steps: [[520, 0, 0.12], [520, 0.2, 0.12]], vibration: [80, 60, 80] },
  refused: { wave: "square", steps: [[240, 0, 0.22], [170, 0.24, 0.4]], vibration: [220, 90, 220] },
};
const KEY = "custody.muted";
const PLAYED = "custody.played";

/** @type {AudioContext | undefined} */
let audio;

/** @returns {boolean} */
export function isMuted() {
  try {
    return localStorage.getItem(KEY) === "1";
  } catch {
    return false;
  }
}

/** @param {boolean} muted */
function setMuted(muted) {
  try {
    localStorage.setItem(KEY, muted ? "1" : "0");
  } catch {
    /* lasts for this page only */
  }
  showMute(muted);
}

/** @param {boolean} muted */
function showMute(muted) {
  for (const button of document.querySelectorAll("[data-mute-toggle]")) {
    button.setAttribute("aria-pressed", String(muted));
  }
}

/**
 * Play one outcome; silent where muted, and where the browser still waits for a first touch or key.
 * @param {Feedback} kind
 */
export function play(kind) {
  const shape = SHAPES[kind];
  if (!shape || isMuted()) return;
  if (navigator.userActivation?.hasBeenActive) navigator.vibrate?.(shape.vibration);
  audio ??= new AudioContext();
  if (audio.state !== "running") return;
  for (const [hertz, start, length] of shape.steps) {
    const tone = audio.createOscillator();
    const volume = audio.createGain();
    const from = audio.currentTime + start;
    tone.type = /** @type {OscillatorType} */ (shape.wave);
    tone.frequency.value = hertz;
    const loud = shape.wave === "square" ? 0.12 : 0.3;
    volume.gain.setValueAtTime(0.0001, from);
    volume.gain.exponentialRampToValueAtTime(loud, from + 0.012);
    volume.gain.exponentialRampToValueAtTime(0.0001, from + length);
    tone.connect(volume).connect(audio.destination);
    tone.start(from);
    tone.stop(from + length + 0.02);
  }
}

/** @param {Document | Element} part */
function playMarked(part) {
  const marked = [...part.querySelectorAll("[data-feedback]")];
  if (part instanceof Element && part.matches("[data-feedback]")) marked.push(part);
  for (const element of marked) {
    const { feedback, feedbackKey } = /** @type {HTMLElement} */ (element).dataset;
    if (feedbackKey && wasPlayed(feedbackKey)) continue;
    play(/** @type {Feedback} */ (feedback));
  }
}

/** @param {string} key */
function wasPlayed(key) {
  try {
    const played = JSON.parse(sessionStorage.getItem(PLAYED) ?? "[]");
    if (played.includes(key)) return true;
    sessionStorage.setItem(PLAYED, JSON.stringify([...played, key].slice(-50)));
  } catch {
    /* without storage it plays again on a reload */
  }
  return false;
}

export function attachFeedback() {
  showMute(isMuted());
  // Browsers keep an AudioContext suspended until the person touches the page; a wedge scanner's keys count.
  const wake = () => {
    audio ??= new AudioContext();
    audio.resume();
  };
  document.addEventListener("pointerdown", wake, { once: true });
  document.addEventListener("keydown", wake, { once: true });
  document.addEventListener("click", (event) => {
    if (!(event.target instanceof Element) || !event.target.closest("[data-mute-toggle]")) return;
    setMuted(!isMuted());
    play("tag");
  });
  document.addEventListener("htmx:load", (event) => {
    const { elt } = /** @type {CustomEvent} */ (event).detail;
    if (elt !== document.body) playMarked(elt); // htmx greets the whole body once, at start
  });
  playMarked(document);
}
