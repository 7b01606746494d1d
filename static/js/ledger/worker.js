/** Runs one verification away from the page, which stays usable meanwhile; the page stops it by ending the worker. */
import { fromHex, utf8 } from "./bytes.js";
import { verifyBundle } from "./bundle.js";
import { NotFetched, TlogError } from "./errors.js";
import { verifyLive } from "./live.js";
import { parsePolicy, pin, wantsWitnesses } from "./policy.js";

/**
 * @typedef {{blob: Blob | null, base: string, origin: string, vkeys: string[], policy: Blob | null, deep: boolean,
 *   known: {size: number, root: string} | null}} Job without `blob` the log at `base` is verified
 */

const TELL_EVERY_MS = 100;

self.addEventListener("message", async (event) => {
  self.postMessage(await answer(/** @type {Job} */ (event.data)));
});

/** @param {Job} job */
async function answer(job) {
  const began = performance.now();
  let told = 0;
  const onProgress = (/** @type {number} */ entries, /** @type {number} */ of) => {
    if (performance.now() - told < TELL_EVERY_MS) return;
    told = performance.now();
    self.postMessage({ type: "progress", entries, of });
  };
  try {
    const policy = await readPolicy(job);
    const asked = { policy, deep: job.deep, onProgress };
    const root = fromHex(job.known?.root);
    const known = job.known && root ? { size: job.known.size, root } : null;
    const verdict = job.blob ? await verifyBundle(job.blob, asked) : await verifyLive(job.base, { ...asked, known });
    const seconds = (performance.now() - began) / 1000;
    return { type: "verdict", verdict, seconds, quorum: wantsWitnesses(policy) };
  } catch (error) {
    if (!(error instanceof TlogError)) return { type: "trouble", code: "failed", expected: "", found: String(error) };
    const code = error instanceof NotFetched ? "not_fetched" : "policy";
    return { type: "trouble", code, expected: `${error.what}: ${error.expected}`, found: error.found };
  }
}

/** @param {Job} job */
async function readPolicy({ policy, origin, vkeys }) {
  const log = origin ? pin(origin, vkeys) : null;
  if (policy) return parsePolicy(new Uint8Array(await policy.arrayBuffer()), log);
  // By way of the file's text, so that a key is refused here that could not be read there.
  await parsePolicy(utf8(`${vkeys.map((vkey) => `log ${vkey}\n`).join("")}quorum none\n`));
  return pin(origin, vkeys);
}
