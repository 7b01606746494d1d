/**
 * Challenge and response: the page asks for head turns that the server chose, films some frames meanwhile and puts them
 * into the form around it. The markup and every sentence stand in partials/liveness.html. Left is the person's own left;
 * the frames are not mirrored, only the preview is. The camera is let go of whenever the page is hidden or left.
 *
 * States, on the root as data-state: idle, starting, live, asking, taken, failed. What is asked stands in data-ask.
 */
import { FAILURES } from "./camera.js";
import { play } from "./feedback.js";
import { csrfToken, draw, encode, watch } from "./hints.js";

const WIDEST_PX = 1280;
const JPEG_QUALITY = 0.9;
const MOST_FRAMES = 15;
const FRAMES_EACH = 4;
/** Time to take the eyes from the button to the picture, before the first turn is shown. */
const READY_MS = 900;

/** @param {number} ms */
const pause = (ms) => new Promise((done) => setTimeout(done, ms));

/** @param {HTMLElement} root */
export function attach(root) {
  /** @template {Element} T @param {string} selector @returns {T} */
  const part = (selector) => /** @type {T} */ (root.querySelector(selector));
  const video = /** @type {HTMLVideoElement} */ (part("video"));
  const prompt = /** @type {HTMLElement} */ (part("[data-liveness-prompt]"));
  const progress = /** @type {HTMLProgressElement} */ (part("progress"));
  const files = /** @type {HTMLInputElement} */ (part('input[name="frames"]'));
  /** @param {string} name */
  const field = (name) => /** @type {HTMLInputElement} */ (part(`input[name="${name}"]`));

  /** @type {MediaStream | undefined} */
  let stream;
  let resumeWhenShown = false;
  /** Counts starts and challenges: whatever was begun before the latest one ends without a word. */
  let turn = 0;

  /** @param {"idle" | "starting" | "live" | "asking" | "taken" | "failed"} state @param {string} [sentence] */
  function show(state, sentence = root.getAttribute(`data-say-${state}`) ?? "") {
    root.dataset.state = state;
    if (state !== "asking") delete root.dataset.ask;
    say(sentence);
    prompt.setAttribute("role", state === "failed" ? "alert" : "status");
  }

  /** @param {string} sentence */
  function say(sentence) {
    if (prompt.textContent !== sentence) prompt.textContent = sentence;
  }

  /** @param {string} word */
  const fail = (word) => show("failed", root.getAttribute(`data-say-${word}`) ?? "");

  async function start() {
    if (!navigator.mediaDevices?.getUserMedia) return fail(window.isSecureContext ? "none" : "insecure");
    stop();
    const mine = ++turn;
    show("starting");
    try {
      const opened = await navigator.mediaDevices.getUserMedia({
        audio: false,
        video: { facingMode: { ideal: "user" }, width: { ideal: 1280 }, height: { ideal: 960 } },
      });
      if (mine !== turn || !root.isConnected) return opened.getTracks().forEach((track) => track.stop());
      stream = opened;
      const [track] = opened.getVideoTracks();
      track.addEventListener("ended", () => stream === opened && (stop(), fail("lost")));
      root.classList.toggle("is-mirrored", (track.getSettings().facingMode ?? "user") !== "environment");
      video.srcObject = opened;
      await video.play();
      if (mine === turn) show("live");
    } catch (error) {
      if (mine !== turn) return;
      stop();
      fail(FAILURES[/** @type {DOMException} */ (error).name] ?? "busy");
    }
  }

  function stop() {
    turn += 1;
    stream?.getTracks().forEach((track) => track.stop());
    stream = undefined;
    video.srcObject = null;
  }

  async function begin() {
    if (!stream || !video.videoWidth) return;
    const mine = ++turn;
    empty();
    show("asking", root.dataset.sayReady ?? "");
    progress.value = 0;
    const challenge = await ask();
    if (mine !== turn) return;
    if ("sentence" in challenge) return show("live", challenge.sentence);
    await pause(READY_MS);
    const filmed = mine === turn ? await film(challenge, mine) : undefined;
    if (mine !== turn) return;
    if (!filmed) return fail("busy");
    fill(challenge, filmed);
  }

  /** @returns {Promise<{challenge: string, nonce: string, turns: {ask: string, sentence: string}[], seconds: number} | {sentence: string}>} */
  async function ask() {
    const body = new FormData();
    body.append("context", root.dataset.context ?? "");
    try {
      const headers = { "X-CSRFToken": csrfToken(root) };
      const answer = await fetch(root.dataset.challengeUrl ?? "", { method: "POST", body, headers });
      const told = await answer.json();
      return answer.ok ? told : { sentence: told.sentence || root.dataset.sayUnreached };
    } catch {
      return { sentence: root.dataset.sayUnreached ?? "" };
    }
  }

  /**
   * Show each turn for its share of the time, and take frames at even times: what each was asked for is not sent, the
   * server reads it off the frames.
   * @param {{turns: {ask: string, sentence: string}[], seconds: number}} challenge @param {number} mine
   */
  async function film(challenge, mine) {
    const count = Math.min(MOST_FRAMES, challenge.turns.length * FRAMES_EACH);
    const each = (challenge.seconds * 1000) / challenge.turns.length;
    const step = (challenge.seconds * 1000) / count;
    /** @type {{at: number, blob: Promise<Blob | null>}[]} */
    const frames = [];
    let shown = -1;
    progress.max = count;
    const begun = performance.now();
    while (frames.length < count) {
      const asked = Math.min(Math.floor((performance.now() - begun) / each), challenge.turns.length - 1);
      if (asked !== shown) {
        shown = asked;
        root.dataset.ask = challenge.turns[asked].ask;
        say(challenge.turns[asked].sentence);
        play("tag");
      }
      const next = frames.length * step;
      // Short pauses, so that neither a frame nor an arrow is late for the other.
      const wait = next - (performance.now() - begun);
      if (wait > 0) {
        await pause(Math.min(wait, 50));
        if (mine !== turn || !stream) return undefined;
        continue;
      }
      const at = Math.round(performance.now() - begun);
      frames.push({ at, blob: encode(draw(video, WIDEST_PX), JPEG_QUALITY) });
      progress.value = frames.length;
    }
    const blobs = await Promise.all(frames.map((frame) => frame.blob));
    if (blobs.some((blob) => !blob)) return undefined;
    return frames.map((frame, number) => ({ at: frame.at, blob: /** @type {Blob} */ (blobs[number]) }));
  }

  /** @param {{challenge: string, nonce: string}} challenge @param {{at: number, blob: Blob}[]} filmed */
  function fill(challenge, filmed) {
    const list = new DataTransfer();
    filmed.forEach(({ blob }, number) => list.items.add(new File([blob], `frame-${number}.jpg`, { type: "image/jpeg" })));
    files.files = list.files;
    field("frame_times").value = filmed.map(({ at }) => at).join(",");
    field("challenge").value = challenge.challenge;
    field("nonce").value = challenge.nonce;
    field("camera_device").value = stream?.getVideoTracks()[0]?.label ?? "";
    field("captured_at").value = new Date().toISOString();
    stop();
    show("taken");
    root.dispatchEvent(new CustomEvent("liveness:done", { bubbles: true, detail: { frames: filmed.length } }));
    if (root.hasAttribute("data-submit-on-done")) files.form?.requestSubmit();
  }

  function empty() {
    files.files = new DataTransfer().files;
    for (const name of ["frame_times", "challenge", "nonce", "camera_device", "captured_at"]) field(name).value = "";
  }

  root.addEventListener("click", (event) => {
    const button = event.target instanceof Element ? event.target.closest("[data-liveness-do]") : null;
    switch (button instanceof HTMLElement ? button.dataset.livenessDo : undefined) {
      case "start":
        return void start();
      case "begin":
        return void begin();
      case "again":
        empty();
        return void start();
    }
  });
  document.addEventListener("visibilitychange", () => {
    if (document.hidden && stream) {
      stop();
      show("idle");
      resumeWhenShown = true;
    } else if (!document.hidden && resumeWhenShown && root.isConnected) {
      resumeWhenShown = false;
      start();
    }
  });
  window.addEventListener("pagehide", stop);
  document.addEventListener("htmx:beforeCleanupElement", (event) => {
    const removed = /** @type {CustomEvent} */ (event).detail.elt;
    if (removed instanceof Node && removed.contains(root)) stop();
  });
  watch(root, video, () => root.dataset.state === "live", (sentence) => say(sentence));

  show("idle");
  if (root.hasAttribute("data-autostart")) start();
}
