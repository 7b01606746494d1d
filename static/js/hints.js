/**
 * While a camera is live, a small copy of its picture goes to the server now and then, and the sentence that comes back
 * says what it lacks. Nothing is kept there. Only where the page names data-hint-url; never two requests at once.
 */
const EVERY_MS = 700;
const WIDEST_PX = 640;
const JPEG_QUALITY = 0.85;
/** After a refusal to answer more, and after a connection that failed. */
const REST_MS = 30_000;

/** The token that Django asks for beside a POST. @param {Element} part */
export function csrfToken(part) {
  const field = /** @type {HTMLInputElement | null | undefined} */ (
    part.closest("form")?.querySelector('input[name="csrfmiddlewaretoken"]')
  );
  return field?.value || JSON.parse(document.body.getAttribute("hx-headers") || "{}")["X-CSRFToken"] || "";
}

/** @param {HTMLVideoElement} video @param {number} widest @returns {HTMLCanvasElement} */
export function draw(video, widest) {
  const canvas = document.createElement("canvas");
  const scale = Math.min(1, widest / video.videoWidth);
  canvas.width = Math.round(video.videoWidth * scale);
  canvas.height = Math.round(video.videoHeight * scale);
  canvas.getContext("2d")?.drawImage(video, 0, 0, canvas.width, canvas.height);
  return canvas;
}

/** @param {HTMLCanvasElement} canvas @param {number} quality @returns {Promise<Blob | null>} */
export function encode(canvas, quality) {
  return new Promise((done) => canvas.toBlob(done, "image/jpeg", quality));
}

/**
 * @param {HTMLElement} root holds data-hint-url and data-hint-policy
 * @param {HTMLVideoElement} video
 * @param {() => boolean} live whether a hint is wanted just now
 * @param {(sentence: string, good: boolean) => void} say
 */
export function watch(root, video, live, say) {
  const url = root.dataset.hintUrl;
  if (!url) return;
  let busy = false;
  let restUntil = 0;

  const timer = setInterval(async () => {
    if (!root.isConnected) return clearInterval(timer);
    if (busy || document.hidden || !live() || !video.videoWidth || performance.now() < restUntil) return;
    busy = true;
    try {
      const canvas = draw(video, WIDEST_PX);
      const blob = await encode(canvas, JPEG_QUALITY);
      if (!blob) return;
      const body = new FormData();
      body.append("frame", blob, "frame.jpg");
      body.append("policy", root.dataset.hintPolicy || "probe");
      body.append("times_larger", (video.videoWidth / canvas.width).toFixed(3));
      const answer = await fetch(url, { method: "POST", body, headers: { "X-CSRFToken": csrfToken(root) } });
      if (!answer.ok) {
        restUntil = performance.now() + REST_MS;
        return;
      }
      const hint = await answer.json();
      // The camera may have been closed, or the photo taken, while the answer was on its way.
      if (live()) say(hint.sentence, hint.ok);
    } catch {
      restUntil = performance.now() + REST_MS;
    } finally {
      busy = false;
    }
  }, EVERY_MS);
}
