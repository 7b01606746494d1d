/** Verify a log where it is served (c2sp.org/tlog-tiles): its checkpoint and entry bundles, nothing of which is believed. */
import { parseCheckpoint } from "./checkpoint.js";
import { NotFetched, TlogError, only } from "./errors.js";
import { parseNote } from "./note.js";
import { bundlesOf, tilePath, wholeEntries } from "./tiles.js";
import { verifyGroups } from "./verify.js";

/**
 * @param {string} base the log's address, with a final slash
 * @param {Omit<import("./verify.js").Asked, "checkpoint" | "onProgress"> & {onProgress?: (entries: number, of: number) => void}} asked
 * @returns {Promise<import("./verify.js").Verdict>} as verifyEntries()
 * @throws {NotFetched} where the log does not answer, or wants another account
 */
export async function verifyLive(base, asked) {
  const checkpoint = await get(`${base}checkpoint`, asked.signal);
  const size = checkpoint ? claimedSize(checkpoint) : 0;
  return verifyGroups(groups(base, size, asked.signal), {
    ...asked, checkpoint, onProgress: (entries) => asked.onProgress?.(entries, size),
  });
}

/** @param {string} base @param {number} size @param {AbortSignal} [signal] */
async function* groups(base, size, signal) {
  const tiles = bundlesOf(size);
  const ask = () => {
    const { value } = tiles.next();
    const asked = value ? get(base + tilePath(value), signal) : null;
    asked?.catch(() => {}); // told where it is waited for
    return asked;
  };
  // One is under way while another is verified.
  for (let coming = ask(); coming;) {
    const data = await coming;
    if (!data) return; // the verifier says from which entry on they are missing
    coming = ask();
    const { entries, all } = wholeEntries(data);
    yield entries;
    if (!all) return;
  }
}

/** Return the bytes at an address, null where there are none. @param {string} address @param {AbortSignal} [signal] */
async function get(address, signal) {
  let answer;
  try {
    answer = await fetch(address, { signal, cache: "no-store", credentials: "same-origin" });
  } catch (error) {
    signal?.throwIfAborted();
    throw new NotFetched(address, "an answer", String(error));
  }
  if (answer.status === 404) return null;
  if (!answer.ok) throw new NotFetched(address, "status 200", `status ${answer.status}`);
  return new Uint8Array(await answer.arrayBuffer());
}

/** How many entries to ask for: believed for nothing else. @param {Uint8Array} checkpoint */
function claimedSize(checkpoint) {
  try {
    return parseCheckpoint(parseNote(checkpoint).text).size;
  } catch (error) {
    only(error, TlogError);
    return 0;
  }
}
