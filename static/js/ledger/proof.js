/** Proofs (c2sp.org/tlog-proof v1): one entry's audit path together with the checkpoint that it leads to. */
import { fromBase64, fromUtf8 } from "./bytes.js";
import { TlogError, excerpt } from "./errors.js";
import { HASH_BYTES } from "./merkle.js";

const HEADER = "c2sp.org/tlog-proof@v1";
const INDEX = /^index (0|[1-9][0-9]{0,18})$/;
const MAX_HASHES = 63;

/** Read a tlog-proof, and verify nothing of it. @param {Uint8Array} data */
export function parseProof(data) {
  let gap = 0;
  while (gap + 1 < data.length && !(data[gap] === 10 && data[gap + 1] === 10)) gap += 1;
  if (gap + 1 >= data.length) throw new TlogError("proof", "an empty line before the checkpoint", "none");
  const head = data.subarray(0, gap);
  if (head.some((byte) => byte > 0x7f)) throw new TlogError("proof", "ASCII lines", "another byte");
  const lines = fromUtf8(head).split("\n");
  const first = lines.shift();
  if (first !== HEADER) throw new TlogError("first line", HEADER, excerpt(first));
  if (lines[0]?.startsWith("extra ")) fromBase64(/** @type {string} */ (lines.shift()).slice("extra ".length));
  const index = INDEX.exec(lines.shift() ?? "");
  if (!index) throw new TlogError("index", "'index' and a decimal number", excerpt(fromUtf8(head).slice(-80)));
  if (lines.length > MAX_HASHES) throw new TlogError("path", `at most ${MAX_HASHES} hashes`, String(lines.length));
  const path = lines.map((line) => fromBase64(line));
  for (const step of path) {
    if (step.length !== HASH_BYTES) throw new TlogError("hash", `${HASH_BYTES} bytes`, `${step.length} bytes`);
  }
  return { index: Number(index[1]), path, checkpoint: data.subarray(gap + 2) };
}
