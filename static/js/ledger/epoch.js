/** The `index_epoch` entry: a commitment to how many entries each subject has among those before it. */
import { compare, equal, fromHex, hex, sha256, utf8 } from "./bytes.js";
import { TlogError, excerpt } from "./errors.js";
import { leafHash, rootOf, verifyInclusion } from "./merkle.js";

/**
 * @typedef {{place: number, subject: Uint8Array, count: number, head: Uint8Array, path: Uint8Array[]}} EpochLeaf
 */

/** @param {string} subject */
export const subjectHash = (subject) => sha256(utf8(subject));

/** @param {import("./entry.js").Entry} entry */
export function readEpoch(entry) {
  const root = fromHex(entry.body.root);
  const { subjects } = entry.body;
  const names = Object.keys(entry.body).sort().join(",");
  if (names !== "root,subjects" || root?.length !== 32 || !Number.isSafeInteger(subjects) || subjects < 1) {
    throw new TlogError("index_epoch", "root (64 hex digits) and subjects", excerpt(entry.body));
  }
  return { root, subjects: /** @type {number} */ (subjects) };
}

/** @param {{subject: Uint8Array, count: number, head: Uint8Array}} leaf */
function encode(leaf) {
  const data = new Uint8Array(72);
  data.set(leaf.subject);
  new DataView(data.buffer).setBigUint64(32, BigInt(leaf.count));
  data.set(leaf.head, 40);
  return data;
}

/** Return the root over every subject's head. @param {{subject: Uint8Array, count: number, head: Uint8Array}[]} heads */
export async function epochRoot(heads) {
  const sorted = heads.toSorted((a, b) => compare(a.subject, b.subject));
  return rootOf(await Promise.all(sorted.map((head) => leafHash(encode(head)))));
}

/** @param {EpochLeaf} leaf @param {Uint8Array} root @param {number} subjects */
async function verifyLeaf(leaf, root, subjects) {
  const hash = await leafHash(encode(leaf));
  await verifyInclusion({ leaf: hash, index: leaf.place, size: subjects, path: leaf.path, root });
}

/** Check that the epoch has this leaf for the subject. @param {Uint8Array} sought @param {EpochLeaf} leaf @param {Uint8Array} root @param {number} subjects */
export async function verifyPresent(sought, leaf, root, subjects) {
  if (!equal(leaf.subject, sought)) throw new TlogError("subject", hex(sought), hex(leaf.subject));
  await verifyLeaf(leaf, root, subjects);
}

/**
 * Check that the epoch has no leaf for the subject: its neighbours stand side by side; at either end there is one.
 * @param {Uint8Array} sought @param {EpochLeaf[]} neighbours @param {Uint8Array} root @param {number} subjects
 */
export async function verifyAbsent(sought, neighbours, root, subjects) {
  for (const leaf of neighbours) await verifyLeaf(leaf, root, subjects);
  const before = neighbours.filter((leaf) => compare(leaf.subject, sought) < 0);
  const after = neighbours.filter((leaf) => compare(leaf.subject, sought) > 0);
  const each = before.length + after.length === neighbours.length && before.length < 2 && after.length < 2;
  const left = before[0]?.place ?? -1;
  const right = after[0]?.place ?? subjects;
  if (!each || !neighbours.length || right - left !== 1) {
    throw new TlogError("absence", "the two neighbours, side by side", `places ${left} and ${right} of ${subjects}`);
  }
}

