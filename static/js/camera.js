/**
 * A still from the camera, put into the form's own file input: the server receives an ordinary upload, and a chosen file
 * takes the same way. The markup and every sentence stand in partials/camera.html. The still has the camera's full
 * size and is not mirrored; only the preview is. The camera is let go of whenever the page is hidden or left.
 *
 * States, on the root as data-state: idle, starting, live, taken, failed.
 */
import { play } from "./feedback.js";
import { watch } from "./hints.js";

const JPEG_QUALITY = 0.92;

/** DOMException names of getUserMedia, by the sentence that tells what to do (data-say-… on the root). */
export const FAILURES = {
  NotAllowedError: "refused",
  SecurityError: "refused",
  NotFoundError: "none",
  OverconstrainedError: "none",
  NotReadableError: "busy",
  AbortError: "busy",
};

/** @param {HTMLElement} root */
export function attach(root) {
  /** @template {Element} T @param {string} selector @returns {T | null} */
  const part = (selector) => root.querySelector(selector);
  const video = /** @type {HTMLVideoElement} */ (part("video"));
  const still = /** @type {HTMLImageElement} */ (part("[data-camera-still]"));
  const input = /** @type {HTMLInputElement} */ (part("[data-camera-file]"));
  const hint = /** @type {HTMLElement} */ (part("[data-camera-hint]"));
  const shots = /** @type {HTMLElement | null} */ (part("[data-camera-shots]"));
  const device = /** @type {HTMLInputElement | null} */ (part("[data-camera-device]"));
  const takenAt = /** @type {HTMLInputElement | null} */ (part("[data-camera-captured-at]"));
  const most = input.multiple ? Number(root.dataset.most) || 10 : 1;

  /** @type {MediaStream | undefined} */
  let stream;
  let resumeWhenShown = false;
  /** Counts starts: a permission answered after the person left or pressed again must not open the camera. */
  let turn = 0;
  /** @type {File[]} What the input holds: choosing files replaces an input's list, and earlier photos must stay. */
  let kept = [];

  /** @param {"idle" | "starting" | "live" | "taken" | "failed"} state @param {string} [word] */
  function show(state, word = state) {
    root.dataset.state = state;
    hint.textContent = root.getAttribute(`data-say-${word}`) ?? "";
    hint.setAttribute("role", state === "failed" ? "alert" : "status");
  }

  async function start() {
    if (!navigator.mediaDevices?.getUserMedia) {
      show("failed", window.isSecureContext ? "none" : "insecure");
      return;
    }
    stop();
    const mine = ++turn;
    show("starting");
    try {
      const opened = await navigator.mediaDevices.getUserMedia({
        audio: false,
        video: {
          facingMode: { ideal: root.dataset.facing || "user" },
          width: { ideal: 1920 },
          height: { ideal: 1440 },
        },
      });
      if (mine !== turn || !root.isConnected) {
        opened.getTracks().forEach((track) => track.stop());
        return;
      }
      stream = opened;
      const [track] = stream.getVideoTracks();
      track.addEventListener("ended", () => stream === opened && (stop(), show("failed", "lost")));
      const facing = track.getSettings().facingMode ?? root.dataset.facing ?? "user";
      root.classList.toggle("is-mirrored", facing !== "environment");
      video.srcObject = stream;
      await video.play();
      if (mine === turn) show("live");
    } catch (error) {
      if (mine !== turn) return;
      stop();
      show("failed", FAILURES[/** @type {DOMException} */ (error).name] ?? "busy");
    }
  }

  function stop() {
    turn += 1;
    stream?.getTracks().forEach((track) => track.stop());
    stream = undefined;
    video.srcObject = null;
  }

  async function take() {
    if (!stream || !video.videoWidth) return;
    const canvas = document.createElement("canvas");
    canvas.width = video.videoWidth;
    canvas.height = video.videoHeight;
    canvas.getContext("2d")?.drawImage(video, 0, 0);
    const at = new Date();
    const label = stream.getVideoTracks()[0]?.label ?? "";
    /** @type {Blob | null} */
    const blob = await new Promise((done) => canvas.toBlob(done, "image/jpeg", JPEG_QUALITY));
    if (!blob) return show("failed", "busy");
    play("tag");
    if (device) device.value = label;
    if (takenAt) takenAt.value = at.toISOString();
    const name = `capture-${at.toISOString().replace(/[:.]/g, "-")}.jpg`;
    hold([...kept, new File([blob], name, { type: "image/jpeg" })]);
  }

  /** Put the newest pictures, from the camera or from the person's files, into the input. @param {File[]} pictures */
  function hold(pictures) {
    const files = (kept = pictures.slice(-most));
    const list = new DataTransfer();
    for (const file of files) list.items.add(file);
    input.files = list.files;
    drawShots(files);
    if (files.length === 0) {
      if (device) device.value = "";
      if (takenAt) takenAt.value = "";
      if (root.dataset.state === "taken") show("idle");
      return;
    }
    present(still, files[files.length - 1]);
    if (most === 1 || files.length === most) stop();
    if (!stream) show("taken");
    root.dispatchEvent(new CustomEvent("camera:taken", { bubbles: true, detail: { files } }));
    if (root.hasAttribute("data-submit-on-take")) input.form?.requestSubmit();
  }

  /** @param {HTMLImageElement} image @param {File} file */
  function present(image, file) {
    if (image.src.startsWith("blob:")) URL.revokeObjectURL(image.src);
    image.src = URL.createObjectURL(file);
  }

  /** @param {File[]} files */
  function drawShots(files) {
    if (!shots || most === 1) return;
    for (const old of shots.querySelectorAll("img")) URL.revokeObjectURL(old.src);
    shots.replaceChildren(
      ...files.map((file, index) => {
        const item = document.createElement("li");
        const image = document.createElement("img");
        image.alt = `${root.dataset.sayShot ?? ""} ${index + 1}`.trim();
        present(image, file);
        const drop = document.createElement("button");
        drop.type = "button";
        drop.className = "camera-drop";
        drop.textContent = "×";
        drop.setAttribute("aria-label", `${root.dataset.sayDrop ?? ""} ${index + 1}`.trim());
        drop.addEventListener("click", () => hold(kept.filter((other) => other !== file)));
        item.append(image, drop);
        return item;
      }),
    );
  }

  function retake() {
    hold([]);
    return start();
  }

  root.addEventListener("click", (event) => {
    const button = event.target instanceof Element ? event.target.closest("[data-camera-do]") : null;
    switch (button instanceof HTMLElement ? button.dataset.cameraDo : undefined) {
      case "start":
        return void start();
      case "take":
        return void take();
      case "retake":
        return void retake();
      case "stop":
        stop();
        return show(kept.length ? "taken" : "idle");
      case "file":
        return input.click();
    }
  });
  input.addEventListener("change", () => {
    // A file that the person chose was not captured by this device now.
    if (device) device.value = "";
    if (takenAt) takenAt.value = "";
    const picked = [...(input.files ?? [])];
    if (picked.length) hold(most > 1 ? [...kept, ...picked] : picked);
    else hold(kept); // a cancelled dialogue empties the input in some browsers
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

  watch(
    root,
    video,
    () => root.dataset.state === "live",
    (sentence) => {
      if (hint.textContent !== sentence) hint.textContent = sentence;
    },
  );

  show("idle");
  if (root.hasAttribute("data-autostart")) start();
}
