/**
 * Which of a log's keys may sign which entry: those that the caller pinned, ended and followed by the log's rotations. The
 * rules are those of ledger/tlog/keys_in_force.py: a rotation is believed as far as the key that signed it is, and never
 * beyond where a pinned key begins.
 */
import { Fault, TlogError, only } from "./errors.js";
import { logVerifier, verifyNote } from "./note.js";

/** @typedef {import("./note.js").Verifier} Verifier */
/** A key, and the entries that it may sign. @typedef {{verifier: Verifier, first: number, last: number}} Span */

/** @param {{first: number, last: number | null}} span @param {number} index */
const covers = ({ first, last }, index) => first <= index && (last === null || index <= last);

/** @param {Span[]} spans */
const unique = (spans) => [...new Map(spans.map(({ verifier }) => [verifier.vkey, verifier])).values()];

/** The keys of one log, from its beginning on; rotations are told in the order of their entries. */
export class KeysInForce {
  /** @type {import("./policy.js").PinnedKey[]} */
  #pinned = [];
  /** @type {Span[]} */
  #spans = [];

  /** @param {import("./policy.js").Policy} policy @throws {Fault} if no pinned key can be read */
  static async of(policy) {
    if (!policy.keys.length) throw new Fault("policy", "at least one verifier key", "none");
    const keys = new KeysInForce();
    keys.#pinned = policy.keys;
    try {
      for (const { vkey, first, last } of policy.keys) {
        keys.#spans.push({ verifier: await logVerifier(vkey), first, last: last ?? Infinity });
      }
    } catch (error) {
      throw Fault.of("policy", only(error, TlogError));
    }
    return keys;
  }

  /** Every key that counts anywhere. */
  all() {
    return unique(this.#spans);
  }

  /** The keys that may sign entry `index`. @param {number} index */
  at(index) {
    return unique(this.#spans.filter((span) => covers(span, index)));
  }

  /** The keys that may sign a checkpoint of this size: those of its last entry, and of the next. @param {number} size */
  over(size) {
    return [...new Map([...this.at(size - 1), ...this.at(size)].map((verifier) => [verifier.vkey, verifier])).values()];
  }

  /** The next entry for which at() may say something else than for `index`. @param {number} index */
  sameUntil(index) {
    return Math.min(...this.#spans.flatMap(({ first, last }) => [first, last + 1]).filter((edge) => edge > index), Infinity);
  }

  /** Return the key in force at `index` that signed the note, or refuse it. @param {number} index @param {import("./note.js").Note} note */
  async signerOf(index, note) {
    return (await verifyNote(note, this.at(index)))[0];
  }

  /** Let `taking` take over from `old` behind the `key_rotated` entry `at`, which `old` signed. @param {Verifier} old @param {Verifier} taking @param {number} at */
  rotate(old, taking, at) {
    const first = at + 1;
    for (const span of this.#spans) {
      // Also where it is pinned for longer: whoever signed this said that it ends here.
      if (span.verifier.vkey === old.vkey && covers(span, first)) span.last = at;
    }
    const pinned = this.#pinned.filter((key) => key.vkey === taking.vkey);
    for (const key of pinned) {
      // A key that the caller pinned too counts only where the caller says.
      const counts = this.at(first).some((verifier) => verifier.vkey === taking.vkey);
      if (covers(key, first) && !counts) this.#spans.push({ verifier: taking, first, last: key.last ?? Infinity });
    }
    if (pinned.length) return;
    // One that is not pinned ends where a pinned key begins: else a key that was retired long ago, and stolen, could hand
    // the log over to anybody.
    const begins = Math.min(...this.#pinned.map((key) => key.first).filter((begin) => begin >= first), Infinity);
    if (begins !== first) this.#spans.push({ verifier: taking, first, last: begins - 1 });
  }
}
