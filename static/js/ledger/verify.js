/**
 * Verify a log from its entries, its checkpoint and what the caller pinned: the steps, their order and the codes are those
 * of ledger/tlog/verify.py, and so is the verdict. What the log says of itself is not believed.
 *
 *  1. Read the pinned keys and witnesses.
 *  2. Read of the checkpoint, and of each timestamped one, at which size the tree is to be looked at.
 *  3. For each entry in order, and the first that fails is the one named: a. its form and kind; b. its origin; c. its
 *     signature by a key that counts there; d. its index; e. `prev`; f. its subject's chain; g. its time; h. a rotation's
 *     proof; i. an index epoch.
 *  4. The checkpoint: its form, its signature, its origin, the pinned witnesses' lines under it.
 *  5. There are as many entries as it, the known head and the timestamped checkpoints say.
 *  6. The entries add up to its root. 7. To the known head's. 8. To the timestamped ones'; the tokens themselves are
 *     counted and not checked: browsers have nothing to read RFC 3161 with.
 *  9. The witnesses reach the quorum, or the verdict says that it is unwitnessed.
 *
 * A fast verification leaves out c, i, and of a the body's form, below the checkpoint's size: beyond it no root speaks for
 * an entry. Memory: one head for each subject, and a few hundred entries at a time: the browser checks signatures off this
 * thread, so that they are asked for in groups.
 */
import { equal, hex } from "./bytes.js";
import { parseCheckpoint } from "./checkpoint.js";
import { INDEX_EPOCH, KEY_ROTATED, ZERO_HASH, readEntry, tailReader } from "./entry.js";
import { epochRoot, readEpoch, subjectHash } from "./epoch.js";
import { Cancelled, Fault, KindNotAdmitted, SignatureNotVerified, TlogError, excerpt, only } from "./errors.js";
import { KeysInForce } from "./keys_in_force.js";
import { EMPTY_ROOT, Frontier, leafHash } from "./merkle.js";
import { fits, made, misfit, parseNote, signed, unsigned, verifyNote, witnessVerifier } from "./note.js";
import { metBy, wantsWitnesses } from "./policy.js";
import { readRotation } from "./rotation.js";

export const INTACT_AND_WITNESSED = "intact_and_witnessed";
export const INTACT_UNWITNESSED = "intact_unwitnessed";
export const INCOMPLETE = "incomplete";
const GROUP = 256;

/**
 * @typedef {import("./entry.js").Entry} Entry
 * @typedef {import("./note.js").Verifier} Verifier
 * @typedef {{note: Uint8Array, response: Uint8Array}} StampedCheckpoint
 * @typedef {{status: string, entries: number, size: number, root: string, broken_at: number | null, check: string,
 *   expected: string, found: string, uncovered: number, witnesses: string[], timestamps: number,
 *   timestamps_unchecked: number}} Verdict
 * @typedef {{checkpoint: Uint8Array | null, policy: import("./policy.js").Policy,
 *   known?: {size: number, root: Uint8Array} | null, timestamps?: StampedCheckpoint[], deep?: boolean,
 *   onProgress?: (entries: number) => void, signal?: AbortSignal,
 *   onEntry?: (entry: Partial<Entry>, leaf: Uint8Array) => Promise<void> | void, settle?: () => Fault | null}} Asked
 */

/** @param {string} status */
export const isIntact = (status) => status === INTACT_AND_WITNESSED || status === INTACT_UNWITNESSED;

/**
 * Verify entries in log order; any bytes get a verdict.
 * @param {Iterable<Uint8Array> | AsyncIterable<Uint8Array>} notes the leaves as stored, from entry 0
 * @param {Asked} asked `onEntry` is told of each sound entry and its leaf hash, and of its body in a deep verification;
 *   `settle` is asked last, and the fault that it returns takes the verdict's place
 * @returns {Promise<Verdict>}
 */
export function verifyEntries(notes, asked) {
  return verifyGroups(inGroups(notes), asked);
}

/** As verifyEntries(), from groups of notes. @param {AsyncIterable<Uint8Array[]>} groups @param {Asked} asked */
export async function verifyGroups(groups, asked) {
  const run = new Run(asked);
  let verdict;
  try {
    await run.readPolicy(); // step 1
    run.lookAhead(); // step 2
    await run.follow(groups); // step 3
    verdict = await run.judge(); // steps 4 to 9
  } catch (error) {
    verdict = run.faulty(only(error, Fault));
  } finally {
    if (run.told !== run.size) asked.onProgress?.(run.size);
  }
  const more = asked.settle?.();
  return more ? run.faulty(more) : verdict;
}

/** @param {Iterable<Uint8Array> | AsyncIterable<Uint8Array>} notes */
async function* inGroups(notes) {
  let group = [];
  for await (const note of notes) {
    group.push(note);
    if (group.length === GROUP) {
      yield group;
      group = [];
    }
  }
  if (group.length) yield group;
}

/** @param {import("./policy.js").Policy} policy */
export async function readWitnesses(policy) {
  const witnesses = [];
  try {
    for (const { name, vkey } of policy.witnesses) witnesses.push({ name, verifier: await witnessVerifier(vkey) });
    for (const der of policy.timestampRoots) checkDer(der);
  } catch (error) {
    throw Fault.of("policy", only(error, TlogError));
  }
  return witnesses;
}

/** Refuse what cannot be a certificate. @param {Uint8Array} der */
function checkDer(der) {
  const long = der[1] > 0x80 ? der[1] - 0x80 : 0;
  const length = long ? der.subarray(2, 2 + long).reduce((sum, byte) => sum * 256 + byte, 0) : der[1];
  if (der[0] !== 0x30 || der.length !== 2 + long + length) {
    throw new TlogError("root", "a certificate in DER", excerpt(der));
  }
}

/**
 * Refuse a line that claims to be a pinned witness's and is not; name those whose cosignature fits.
 * @param {import("./note.js").Note} note @param {{name: string, verifier: Verifier}[]} witnesses
 */
export async function cosignersOf(note, witnesses) {
  const names = [];
  for (const { name, verifier } of witnesses) {
    const claimed = note.signatures.filter((signature) => made(verifier, signature));
    for (const signature of claimed) {
      if (!(await fits(verifier, signature, note.text))) {
        throw new Fault(
          "cosignature", `a cosignature of this checkpoint by ${excerpt(verifier.name)} (key ${verifier.keyId})`,
          "one that does not fit: the checkpoint or the cosignature was changed");
      }
    }
    if (claimed.length) names.push(name);
  }
  return names;
}

/** Return where the text of a note ends: the bytes that are signed. @param {Uint8Array} data */
export function signedBytes(data) {
  let at = data.length - 1;
  while (at > 0 && !(data[at] === 10 && data[at - 1] === 10)) at -= 1;
  return data.subarray(0, at);
}

/** What is pinned, and what is carried from entry to entry. */
class Run {
  /** @param {Asked} asked */
  constructor(asked) {
    this.asked = asked;
    this.policy = asked.policy;
    this.deep = asked.deep ?? true;
    this.readTail = tailReader(this.policy.origin);
    this.keys = new KeysInForce();
    /** @type {{name: string, verifier: Verifier}[]} */
    this.witnesses = [];
    this.frontier = new Frontier();
    this.prev = ZERO_HASH;
    this.sealedAt = "";
    /** By subject: how many entries, the newest one's leaf hash; its own hash once an epoch asked. @type {Map<string, {count: number, leaf: Uint8Array, head: string, hash?: Uint8Array}>} */
    this.heads = new Map();
    /** The roots at the sizes that are asked for. @type {Map<number, Uint8Array>} */
    this.roots = new Map([[0, EMPTY_ROOT]]);
    /** @type {Set<number>} */
    this.sizes = new Set();
    /** @type {{note: import("./note.js").Note, head: import("./checkpoint.js").Checkpoint}[]} */
    this.stamps = [];
    /** @type {Fault | null} */
    this.stampFault = null;
    this.unchecked = 0;
    /** What the checkpoint claims to cover: nothing where there is none that can be read. */
    this.covered = 0;
    this.told = -1;
    this.root = hex(EMPTY_ROOT);
  }

  get size() {
    return this.frontier.size;
  }

  /** Step 1. */
  async readPolicy() {
    this.keys = await KeysInForce.of(this.policy);
    this.witnesses = await readWitnesses(this.policy);
  }

  /** Step 2, which never stops the run: what is wrong is found again, and told, behind the entries. */
  lookAhead() {
    const { checkpoint, known, timestamps = [] } = this.asked;
    try {
      if (checkpoint) {
        this.covered = parseCheckpoint(parseNote(checkpoint).text).size;
        this.sizes.add(this.covered);
      }
    } catch (error) {
      only(error, TlogError); // step 4
    }
    if (known) this.sizes.add(known.size);
    if (!this.policy.timestampRoots.length) return;
    this.unchecked = timestamps.length;
    for (const stamp of timestamps) {
      try {
        const note = parseNote(stamp.note);
        const head = parseCheckpoint(note.text);
        this.stamps.push({ note, head });
        this.sizes.add(head.size);
      } catch (error) {
        this.stampFault ??= Fault.of("timestamp", only(error, TlogError));
      }
    }
  }

  /** Tell whether the signature and body of entry `index` are looked at. @param {number} index */
  looksAt(index) {
    return this.deep || index >= this.covered;
  }

  /** Step 3. @param {AsyncIterable<Uint8Array[]>} groups */
  async follow(groups) {
    let at = 0;
    /** @type {ReturnType<Run["examine"]> | null} */
    let waiting = null;
    // While the browser hashes and verifies one group, the next is read here.
    const settle = async () => {
      const group = waiting;
      waiting = null;
      if (group) await this.take(group);
    };
    try {
      for await (const notes of groups) {
        for (let from = 0; from < notes.length;) {
          const group = this.examine(notes, from, at);
          at += group.items.length;
          from += group.items.length;
          await settle();
          waiting = group;
          if (group.alone || group.fault) await settle();
        }
      }
      await settle();
    } finally {
      this.root = hex(await this.frontier.root());
    }
  }

  /**
   * Read entries from number `at` on, and ask for their hashes and signatures. A group ends where the keys change, and with
   * an entry that says something to the verifier itself.
   * @param {Uint8Array[]} notes @param {number} from @param {number} at
   */
  examine(notes, from, at) {
    const keys = this.keys.at(at);
    const stop = Math.min(notes.length, from + GROUP, from + (this.keys.sameUntil(at) - at));
    const group = {
      /** @type {(Omit<Entry, "body" | "v" | "origin"> & Partial<Entry>)[]} */ items: [],
      /** @type {Promise<Uint8Array>[]} */ leaves: [],
      /** @type {(Promise<Verifier | null> | null)[]} */ signers: [],
      /** @type {SignatureNotVerified[]} */ refusals: [],
      /** @type {Fault | null} */ fault: null,
      alone: false,
    };
    for (let place = from; place < stop; place += 1) {
      const data = notes[place];
      const deep = this.looksAt(at + place - from);
      let item;
      try {
        item = deep ? null : this.readTail(data);
        if (!item) {
          const { entry, note } = readEntry(data);
          item = entry;
          if (entry.origin !== this.policy.origin) {
            throw new Fault("origin", excerpt(this.policy.origin), excerpt(entry.origin));
          }
          if (deep || entry.kind === KEY_ROTATED) {
            const claimed = keys.filter((verifier) => made(verifier, note.signatures[0]));
            group.refusals[group.items.length] = claimed.length ? misfit(claimed[0]) : unsigned(note, keys);
            group.signers[group.items.length] = signerOf(claimed, note.signatures[0].signature, signedBytes(data));
          }
        }
      } catch (error) {
        group.fault = asFault(error);
        break;
      }
      group.items.push(item);
      group.leaves.push(leafHash(data));
      if (item.kind === KEY_ROTATED || item.kind === INDEX_EPOCH) {
        group.alone = true;
        break;
      }
    }
    return group;
  }

  /** Check each entry's place, and let it move the heads. @param {ReturnType<Run["examine"]>} group */
  async take(group) {
    if (this.asked.signal?.aborted) throw new Cancelled();
    const leaves = await Promise.all(group.leaves);
    const signers = await Promise.all(group.signers);
    /** @type {Uint8Array[]} */
    let sound = [];
    let size = this.size;
    try {
      for (const [place, item] of group.items.entries()) {
        const leaf = leaves[place];
        const special = await this.check(item, size, signers[place], group.refusals[place]);
        sound.push(leaf);
        size += 1;
        this.prev = hex(leaf);
        this.sealedAt = item.sealed_at;
        const known = this.heads.get(item.subject);
        this.heads.set(item.subject, { count: item.subject_seq + 1, leaf, head: this.prev, hash: known?.hash });
        if (special) this.keys.rotate(special.old, special.taking, item.index);
        const more = this.asked.onEntry?.(item, leaf);
        if (more) await more;
        if (this.sizes.has(size)) {
          await this.frontier.append(sound);
          sound = [];
          this.roots.set(size, await this.frontier.root());
        }
      }
      if (group.fault) throw group.fault;
    } catch (error) {
      if (error instanceof Fault) error.at = size;
      throw error;
    } finally {
      if (sound.length) await this.frontier.append(sound);
    }
    this.told = this.size;
    this.asked.onProgress?.(this.size);
  }

  /**
   * Steps c to i.
   * @param {any} item @param {number} size @param {Verifier | null | undefined} signer @param {SignatureNotVerified} refusal
   */
  async check(item, size, signer, refusal) {
    if (this.looksAt(size) && !signer) throw new Fault("signature", refusal.expected, refusal.found); // c
    if (item.index !== size) throw new Fault("index", `entry ${size}`, `entry ${item.index}`); // d
    if (item.prev !== this.prev) throw new Fault("prev", this.prev, item.prev); // e
    const head = this.heads.get(item.subject); // f
    if (item.subject_seq !== (head?.count ?? 0)) {
      throw new Fault("subject_seq", `${head?.count ?? 0} for ${item.subject}`, String(item.subject_seq));
    }
    if (item.subject_prev !== (head?.head ?? ZERO_HASH)) {
      throw new Fault("subject_prev", head?.head ?? ZERO_HASH, item.subject_prev);
    }
    // Fixed width and one zone: these texts sort as their times do.
    if (item.sealed_at < this.sealedAt) throw new Fault("sealed_at", `${this.sealedAt} or later`, item.sealed_at); // g
    if (item.kind === KEY_ROTATED) {
      if (!signer) throw new Fault("signature", refusal.expected, refusal.found);
      try {
        return { old: signer, taking: await readRotation(item, signer) }; // h
      } catch (error) {
        throw Fault.of(KEY_ROTATED, only(error, TlogError));
      }
    }
    if (item.kind === INDEX_EPOCH && this.looksAt(size)) await this.checkEpoch(item); // i
    return null;
  }

  /** @param {Entry} entry */
  async checkEpoch(entry) {
    let told;
    try {
      told = readEpoch(entry);
    } catch (error) {
      throw Fault.of(INDEX_EPOCH, only(error, TlogError));
    }
    const heads = await Promise.all(
      Array.from(this.heads, async ([subject, head]) => {
        head.hash ??= await subjectHash(subject);
        return { subject: head.hash, count: head.count, head: head.leaf };
      }));
    const root = await epochRoot(heads);
    if (!equal(root, told.root) || heads.length !== told.subjects) {
      throw new Fault(
        INDEX_EPOCH, `${hex(root)} over ${heads.length} subjects`, `${hex(told.root)} over ${told.subjects} subjects`);
    }
  }

  /** Steps 4 to 9. */
  async judge() {
    const { checkpoint, known } = this.asked;
    const opened = checkpoint ? await this.openHead(checkpoint) : null; // step 4
    if (!opened && this.size) throw new Fault("checkpoint_missing", "a signed checkpoint", "none");
    if (opened && opened.head.size > this.size) { // step 5
      throw this.cutOff("checkpoint_size", `${opened.head.size} entries, as the checkpoint says`);
    }
    if (known && known.size > this.size) throw this.cutOff("known_size", `${known.size} entries, as was known before`);
    for (const stamp of this.stamps) {
      if (stamp.head.size > this.size && !(await this.stampMisfit(stamp))) {
        throw this.cutOff("timestamp_size", `${stamp.head.size} entries, as was stamped`);
      }
    }
    if (!opened) throw new Fault("empty", "entries and a checkpoint", "neither", { status: INCOMPLETE });
    const { head, names } = opened;
    this.compareRoot("checkpoint_root", head); // step 6
    if (known) this.compareRoot("known_root", known); // step 7
    if (this.stampFault) throw this.stampFault; // step 8
    for (const stamp of this.stamps) {
      const misfitting = await this.stampMisfit(stamp);
      if (misfitting) throw misfitting;
      this.compareRoot("timestamp_root", stamp.head);
    }
    if (this.policy.timestampWithin !== null && this.policy.timestampRoots.length && this.unchecked) {
      throw new Fault(
        "timestamp_unchecked", "timestamps, read by a program that can", "a browser, which cannot", { status: INCOMPLETE });
    }
    const witnessed = wantsWitnesses(this.policy) && metBy(this.policy, names); // step 9
    return this.verdict(witnessed ? INTACT_AND_WITNESSED : INTACT_UNWITNESSED, {
      size: head.size, root: hex(head.root), uncovered: this.size - head.size, witnesses: names,
      timestamps_unchecked: this.unchecked,
    });
  }

  /** Step 4. @param {Uint8Array} data */
  async openHead(data) {
    const { head, note } = await openHead(data, this.policy.origin, (size) => (size === null ? this.keys.all() : this.keys.over(size)));
    return { head, names: await cosignersOf(note, this.witnesses) };
  }

  /** @param {{note: import("./note.js").Note, head: import("./checkpoint.js").Checkpoint}} stamp */
  async stampMisfit({ note, head }) {
    if (head.origin !== this.policy.origin) {
      return new Fault("timestamp", `origin: ${excerpt(this.policy.origin)}`, excerpt(head.origin));
    }
    try {
      await verifyNote(note, this.keys.over(head.size));
    } catch (error) {
      return Fault.of("timestamp", only(error, SignatureNotVerified));
    }
    return null;
  }

  /** @param {string} check @param {{size: number, root: Uint8Array}} head */
  compareRoot(check, head) {
    const found = this.roots.get(head.size);
    if (!found || !equal(found, head.root)) throw new Fault(check, hex(head.root), found ? hex(found) : "none");
  }

  /** @param {string} check @param {string} expected */
  cutOff(check, expected) {
    return new Fault(check, expected, `${this.size} entries`, { at: this.size, status: INCOMPLETE });
  }

  /** @param {Fault} fault */
  faulty({ status, at, check, expected, found }) {
    return this.verdict(status, { broken_at: at, check, expected, found });
  }

  /** @param {string} status @param {Partial<Verdict>} more @returns {Verdict} */
  verdict(status, more) {
    return {
      status, entries: this.size, size: this.size, root: this.root, broken_at: null, check: "", expected: "", found: "",
      uncovered: 0, witnesses: [], timestamps: 0, timestamps_unchecked: 0, ...more,
    };
  }
}

/**
 * Open a checkpoint; `keysFor` is asked which keys may sign one of the size that it claims, null where it claims none.
 * @param {Uint8Array} data @param {string} origin @param {(size: number | null) => Verifier[]} keysFor
 */
export async function openHead(data, origin, keysFor) {
  let note;
  try {
    note = parseNote(data);
  } catch (error) {
    throw Fault.of("checkpoint_format", only(error, TlogError));
  }
  let head = null;
  let malformed = null;
  try {
    head = parseCheckpoint(note.text);
  } catch (error) {
    malformed = only(error, TlogError);
  }
  try {
    // Signed by a pinned key or not: that is told before what is wrong with a text that nobody signed.
    await verifyNote(note, keysFor(head ? head.size : null));
  } catch (error) {
    throw Fault.of("checkpoint_signature", only(error, TlogError));
  }
  if (!head) throw Fault.of("checkpoint_format", /** @type {TlogError} */ (malformed));
  if (head.origin !== origin) throw new Fault("checkpoint_origin", `origin: ${excerpt(origin)}`, excerpt(head.origin));
  return { head, note };
}

/** @param {Verifier[]} claimed @param {Uint8Array} signature @param {Uint8Array} text */
async function signerOf(claimed, signature, text) {
  for (const verifier of claimed) if (await signed(verifier.publicKey, signature, text)) return verifier;
  return null;
}

/** @param {unknown} error */
function asFault(error) {
  if (error instanceof Fault) return error;
  return Fault.of(error instanceof KindNotAdmitted ? "kind" : "format", only(error, TlogError));
}
