/**
 * Merkle trees of RFC 6962 section 2.1 over SHA-256, on leaf hashes. The browser hashes off this thread and answers
 * later, so whole levels are hashed at once.
 */
import { equal, fromHex, hex, sha256 } from "./bytes.js";
import { TlogError } from "./errors.js";

export const HASH_BYTES = 32;
/** RFC 6962 section 2.1: the hash of an empty tree is the hash of an empty string. */
export const EMPTY_ROOT = /** @type {Uint8Array} */ (
  fromHex("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
);

/** Hash one leaf: SHA-256(0x00 ‖ data). @param {Uint8Array} data */
export function leafHash(data) {
  const prefixed = new Uint8Array(data.length + 1);
  prefixed.set(data, 1);
  return sha256(prefixed);
}

/** Hash one inner node: SHA-256(0x01 ‖ left ‖ right). @param {Uint8Array} left @param {Uint8Array} right */
export function nodeHash(left, right) {
  const node = new Uint8Array(1 + 2 * HASH_BYTES);
  node[0] = 1;
  node.set(left, 1);
  node.set(right, 1 + HASH_BYTES);
  return sha256(node);
}

/** The compact range of a tree: the roots of its complete subtrees; O(log n) in memory. */
export class Frontier {
  size = 0;
  /** By height, the root of the complete subtree of 2^height leaves at the right edge. @type {(Uint8Array | null)[]} */
  #nodes = [];

  /** Add leaves, given by their hashes. @param {Uint8Array[]} leaves */
  async append(leaves) {
    this.size += leaves.length;
    let coming = leaves;
    for (let height = 0; coming.length; height += 1) {
      const waiting = this.#nodes[height] ?? null;
      const level = waiting ? [waiting, ...coming] : coming;
      this.#nodes[height] = level.length % 2 ? level[level.length - 1] : null;
      const pairs = [];
      for (let at = 0; at + 1 < level.length; at += 2) pairs.push(nodeHash(level[at], level[at + 1]));
      coming = await Promise.all(pairs);
    }
  }

  /** Return the root over all leaves so far. */
  async root() {
    /** @type {Uint8Array | null} */
    let found = null;
    for (const node of this.#nodes) {
      if (node) found = found ? await nodeHash(node, found) : node;
    }
    return found ?? EMPTY_ROOT;
  }
}

/** Return the Merkle tree hash of the leaves, given by their hashes. @param {Uint8Array[]} leaves */
export async function rootOf(leaves) {
  const tree = new Frontier();
  await tree.append(leaves);
  return tree.root();
}

/**
 * Check that a leaf is number `index` in the tree of `size` leaves (RFC 9162 section 2.1.3.2).
 * @param {{leaf: Uint8Array, index: number, size: number, path: Uint8Array[], root: Uint8Array}} asked
 */
export async function verifyInclusion({ leaf, index, size, path, root }) {
  if (!(index >= 0 && index < size)) throw new TlogError("inclusion", `an index below ${size}`, String(index));
  checkHashes("inclusion", path);
  const [, found] = await climb("inclusion", leaf, BigInt(index), BigInt(size) - 1n, path);
  if (!equal(found, root)) throw new TlogError("inclusion", hex(root), hex(found));
}

/**
 * Check that the tree of `size` leaves begins with the tree of `oldSize` leaves (RFC 9162 section 2.1.4.2).
 * @param {{oldSize: number, oldRoot: Uint8Array, size: number, root: Uint8Array, proof: Uint8Array[]}} asked
 */
export async function verifyConsistency({ oldSize, oldRoot, size, root, proof }) {
  if (!(oldSize >= 0 && oldSize <= size)) {
    throw new TlogError("consistency", `an old size of at most ${size}`, String(oldSize));
  }
  checkHashes("consistency", proof);
  if (oldSize === 0 || oldSize === size) {
    if (proof.length) throw new TlogError("consistency", "an empty proof", `${proof.length} hashes`);
    const known = oldSize === 0 ? EMPTY_ROOT : root;
    if (!equal(oldRoot, known)) throw new TlogError("consistency, old root", hex(known), hex(oldRoot));
    return;
  }
  const old = BigInt(oldSize);
  // Where the old tree is a complete subtree of the new one, its root is known and the proof leaves it out.
  const path = (old & (old - 1n)) === 0n ? [oldRoot, ...proof] : [...proof];
  const start = path.shift();
  if (!start) throw new TlogError("consistency", "a longer proof", "no hashes");
  let node = old - 1n;
  let last = BigInt(size) - 1n;
  for (; node & 1n; node >>= 1n) last >>= 1n;
  const [oldFound, found] = await climb("consistency", start, node, last, path);
  if (!equal(oldFound, oldRoot)) throw new TlogError("consistency, old root", hex(oldRoot), hex(oldFound));
  if (!equal(found, root)) throw new TlogError("consistency, new root", hex(root), hex(found));
}

/**
 * Climb from node `node` of a level whose last is `last`; return the root of the tree that ends with this node, and that
 * of the whole tree.
 * @param {string} what @param {Uint8Array} start @param {bigint} node @param {bigint} last @param {Uint8Array[]} path
 */
async function climb(what, start, node, last, path) {
  let endingHere = start;
  let whole = start;
  for (const step of path) {
    if (last === 0n) throw new TlogError(what, "a shorter proof", `${path.length} hashes to climb by`);
    if (node & 1n || node === last) {
      [endingHere, whole] = await Promise.all([nodeHash(step, endingHere), nodeHash(step, whole)]);
      for (; !(node & 1n) && node; node >>= 1n) last >>= 1n;
    } else {
      whole = await nodeHash(whole, step);
    }
    node >>= 1n;
    last >>= 1n;
  }
  if (last !== 0n) throw new TlogError(what, "a longer proof", `${path.length} hashes to climb by`);
  return [endingHere, whole];
}

/** @param {string} what @param {Uint8Array[]} proof */
function checkHashes(what, proof) {
  for (const step of proof) {
    if (step.length !== HASH_BYTES) throw new TlogError(what, `hashes of ${HASH_BYTES} bytes`, `${step.length} bytes`);
  }
}
