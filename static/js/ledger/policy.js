/**
 * What a verifier pins: the file of c2sp.org/tlog-policy, and the lines that begin with "#:" (docs/ledger-format.md). It
 * comes from whoever verifies, never from what is verified.
 */
import { fromBase64, hex } from "./bytes.js";
import { TlogError, excerpt } from "./errors.js";
import { logVerifier, witnessVerifier } from "./note.js";

const NONE = "none";
const NUMBER = /^(?:0|[1-9][0-9]{0,15})$/;
// Not \s: it would break at U+00A0 and other marks that are part of a name here.
const SPACES = /[ \t]+/;

/**
 * @typedef {{vkey: string, first: number, last: number | null}} PinnedKey
 * @typedef {{origin: string, keys: PinnedKey[], witnesses: {name: string, vkey: string}[],
 *   groups: {name: string, threshold: number, members: string[]}[], quorum: string,
 *   timestampRoots: Uint8Array[], timestampWithin: number | null}} Policy
 */

/** Pin a log's keys alone: each may sign any entry, no witness is asked for. @param {string} origin @param {string[]} vkeys @returns {Policy} */
export function pin(origin, vkeys) {
  return {
    origin, keys: vkeys.map((vkey) => ({ vkey, first: 0, last: null })), witnesses: [], groups: [], quorum: NONE,
    timestampRoots: [], timestampWithin: null,
  };
}

/** @param {Policy} policy */
export const wantsWitnesses = (policy) => policy.quorum !== NONE;

/** Tell whether cosignatures of the witnesses of these names reach the quorum. @param {Policy} policy @param {string[]} names */
export function metBy(policy, names) {
  const reached = new Set(names);
  for (const group of policy.groups) {
    if (group.members.filter((member) => reached.has(member)).length >= group.threshold) reached.add(group.name);
  }
  return reached.has(policy.quorum);
}

/**
 * Read a policy file; where it names no log, the origin and keys are those of `log`.
 * @param {Uint8Array} data @param {Policy | null} [log] @returns {Promise<Policy>}
 */
export async function parsePolicy(data, log = null) {
  const odd = data.find((byte) => (byte < 0x20 && byte !== 9 && byte !== 10) || byte === 0x7f);
  if (odd !== undefined) throw new TlogError("policy", "tab, newline and printable bytes", `byte ${odd.toString(16)}`);
  const reading = new Reading();
  const lines = new TextDecoder("utf-8", { ignoreBOM: true }).decode(data).split("\n");
  for (const [at, line] of lines.entries()) {
    const words = line.split(SPACES).filter(Boolean);
    if (!words.length || (words[0].startsWith("#") && !words[0].startsWith("#:"))) continue;
    try {
      await reading.take(words);
    } catch (error) {
      if (!(error instanceof TlogError)) throw error;
      throw new TlogError(`line ${at + 1}: ${error.what}`, error.expected, error.found);
    }
  }
  return reading.policy(log);
}

/** The policy so far; each line refers to lines before it alone. */
class Reading {
  origin = "";
  /** @type {Map<string, PinnedKey>} by key id */
  keys = new Map();
  /** @type {Map<string, {name: string, vkey: string}>} */
  witnesses = new Map();
  /** @type {Map<string, {name: string, threshold: number, members: string[]}>} */
  groups = new Map();
  quorum = "";
  /** @type {Uint8Array[]} */
  roots = [];
  /** @type {number | null} */
  within = null;
  publicKeys = new Set();
  members = new Set();

  /** @param {string[]} words */
  async take(words) {
    const [word, ...rest] = words;
    if (word === "log" && (rest.length === 1 || rest.length === 2)) await this.log(rest[0]);
    else if (word === "witness" && (rest.length === 2 || rest.length === 3)) await this.witness(rest[0], rest[1]);
    else if (word === "group" && rest.length >= 3) this.group(rest[0], rest[1], rest.slice(2));
    else if (word === "quorum" && rest.length === 1 && !this.quorum) {
      if (rest[0] !== NONE) this.known(rest[0]);
      this.quorum = rest[0];
    } else if (word === "#:") this.own(rest);
    else throw unknownLine(words);
  }

  /** @param {string[]} words */
  own(words) {
    const [word, ...rest] = words;
    const key = word === "range" && rest.length >= 2 && rest.length <= 3 ? this.keys.get(rest[0]) : undefined;
    if (key) {
      const bounds = rest.slice(1).map(number);
      key.first = bounds[0];
      key.last = bounds[1] ?? null;
    } else if (word === "timestamp-root" && rest.length === 1) this.roots.push(fromBase64(rest[0]));
    else if (word === "timestamp-within" && rest.length === 1 && this.within === null) this.within = number(rest[0]);
    else throw unknownLine(["#:", ...words]);
  }

  /** @param {Policy | null} log @returns {Policy} */
  policy(log) {
    let [origin, keys] = [this.origin, [...this.keys.values()]];
    if (!keys.length && log) ({ origin, keys } = log);
    if (!keys.length) throw new TlogError("policy", "at least one log line", "none");
    if (!this.quorum) throw new TlogError("policy", "one quorum line", "none");
    return {
      origin, keys, witnesses: [...this.witnesses.values()], groups: [...this.groups.values()], quorum: this.quorum,
      timestampRoots: this.roots, timestampWithin: this.within,
    };
  }

  /** @param {string} vkey */
  async log(vkey) {
    const verifier = await logVerifier(vkey);
    if (this.origin !== "" && this.origin !== verifier.name) {
      throw new TlogError("log", `another key of ${excerpt(this.origin)}`, excerpt(verifier.name));
    }
    this.once(verifier.raw);
    this.origin = verifier.name;
    this.keys.set(verifier.keyId, { vkey, first: 0, last: null });
  }

  /** @param {string} name @param {string} vkey */
  async witness(name, vkey) {
    this.fresh(name);
    this.once((await witnessVerifier(vkey)).raw);
    this.witnesses.set(name, { name, vkey });
  }

  /** @param {string} name @param {string} threshold @param {string[]} members */
  group(name, threshold, members) {
    this.fresh(name);
    for (const member of members) {
      this.known(member);
      if (this.members.has(member)) throw new TlogError("group", "each name in one group once", excerpt(member));
      this.members.add(member);
    }
    const wanted = threshold === "any" ? 1 : threshold === "all" ? members.length : number(threshold);
    if (!(wanted >= 1 && wanted <= members.length)) {
      throw new TlogError("group", `1 to ${members.length}`, excerpt(threshold));
    }
    this.groups.set(name, { name, threshold: wanted, members });
  }

  /** @param {string} name */
  fresh(name) {
    if (name === NONE || this.witnesses.has(name) || this.groups.has(name)) {
      throw new TlogError("name", "a name that is not taken", excerpt(name));
    }
  }

  /** @param {string} name */
  known(name) {
    if (!this.witnesses.has(name) && !this.groups.has(name)) {
      throw new TlogError("name", "a witness or group of an earlier line", excerpt(name));
    }
  }

  /** @param {Uint8Array} publicKey */
  once(publicKey) {
    if (this.publicKeys.has(hex(publicKey))) throw new TlogError("key", "each public key once", hex(publicKey));
    this.publicKeys.add(hex(publicKey));
  }
}

/** @param {string[]} words */
const unknownLine = (words) => new TlogError("line", "one that a policy has", excerpt(words.join(" ")));

/** @param {string} text */
function number(text) {
  if (!NUMBER.test(text)) throw new TlogError("number", "a decimal number without leading zeros", excerpt(text));
  return Number(text);
}
