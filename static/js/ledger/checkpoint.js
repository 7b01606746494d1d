/** Checkpoints (c2sp.org/tlog-checkpoint v1.0.0). The origin to compare with comes from the caller. */
import { fromBase64 } from "./bytes.js";
import { TlogError, excerpt } from "./errors.js";
import { HASH_BYTES } from "./merkle.js";

const SIZE = /^(?:0|[1-9][0-9]{0,18})$/;

/** @typedef {{origin: string, size: number, root: Uint8Array}} Checkpoint */

/** Read a checkpoint's note text. @param {string} text @returns {Checkpoint} */
export function parseCheckpoint(text) {
  const lines = text.slice(0, -1).split("\n");
  if (!text.endsWith("\n") || lines.length < 3) {
    throw new TlogError("checkpoint", "origin, size and root", `${lines.length} lines`);
  }
  const [origin, size, encodedRoot] = lines;
  if (!SIZE.test(size) || BigInt(size) > 2n ** 63n - 1n) {
    throw new TlogError("size", "a decimal number without leading zeros, below 2^63", excerpt(size));
  }
  const root = fromBase64(encodedRoot);
  for (const line of [origin, ...lines.slice(3)]) {
    // eslint-disable-next-line no-control-regex
    if (!line || /[\x00-\x1f]/.test(line)) {
      throw new TlogError("line", "text without control characters", excerpt(line));
    }
  }
  if (root.length !== HASH_BYTES) throw new TlogError("root", `${HASH_BYTES} bytes`, `${root.length} bytes`);
  // Beyond 2^53 the number is not exact; no log has as many entries, and none is taken for that size.
  return { origin, size: Number(size), root };
}
