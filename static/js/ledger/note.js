/**
 * Signed notes (c2sp.org/signed-note v1.0.0) and the keys over them: the log's (signature type 0x01) and the witnesses'
 * (c2sp.org/tlog-cosignature v1.0.1, type 0x04). parseNote() proves nothing; verifyNote() does, given pinned keys.
 */
import { base64, concat, fromBase64, fromUtf8, hex, sha256, utf8 } from "./bytes.js";
import { wellFormed } from "./canonical.js";
import { SignatureNotVerified, TlogError, excerpt } from "./errors.js";

const MAX_NOTE_BYTES = 1_000_000;
const MAX_SIGNATURES = 100;
const KEY_ID_BYTES = 4;
const MARK = "\u2014 ";
const LOG_KEY = 1;
const WITNESS_KEY = 4;
const CONTROL = /[\x00-\x09\x0b-\x1f]/; // eslint-disable-line no-control-regex
// Unicode's white space and the control characters, spelled out: \s is another set.
const NOT_IN_NAMES = /[\x00-\x20+\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]/; // eslint-disable-line no-control-regex

/** @typedef {{name: string, keyId: string, signature: Uint8Array}} Signature */
/** @typedef {{text: string, signatures: Signature[]}} Note */
/** @typedef {{name: string, keyId: string, vkey: string, publicKey: CryptoKey, raw: Uint8Array, witness: boolean}} Verifier */

/** Refuse a name that could not stand in a signature line. @param {string} name */
export function checkKeyName(name) {
  if (!name || NOT_IN_NAMES.test(name) || !wellFormed(name)) {
    throw new TlogError("key name", "text without spaces, control characters or +", excerpt(name));
  }
}

/** Split a note into its text (final newline included) and its signatures. @param {Uint8Array} data @returns {Note} */
export function parseNote(data) {
  if (data.length > MAX_NOTE_BYTES) {
    throw new TlogError("note", `at most ${MAX_NOTE_BYTES} bytes`, `${data.length} bytes`);
  }
  let whole;
  try {
    whole = fromUtf8(data);
  } catch {
    throw new TlogError("encoding", "UTF-8", "other bytes");
  }
  // The text may hold empty lines of its own: the last one parts it from the signatures.
  const split = whole.lastIndexOf("\n\n");
  if (split < 0) throw new TlogError("note", "a text, an empty line and signatures", "no empty line");
  const text = whole.slice(0, split + 1);
  const tail = whole.slice(split + 2);
  const control = CONTROL.exec(text);
  if (control) throw new TlogError("text", "no control character but the newline", excerpt(control[0]));
  if (!tail.endsWith("\n")) throw new TlogError("signatures", "lines that end in a newline", excerpt(tail));
  const lines = tail.slice(0, -1).split("\n");
  if (lines.length > MAX_SIGNATURES) {
    throw new TlogError("signatures", `at most ${MAX_SIGNATURES}`, String(lines.length));
  }
  return { text, signatures: lines.map(parseLine) };
}

/** @param {string} line @returns {Signature} */
function parseLine(line) {
  const space = line.indexOf(" ", MARK.length);
  if (!line.startsWith(MARK) || space < 0) throw new TlogError("signature line", "'— name base64'", excerpt(line));
  const name = line.slice(MARK.length, space);
  checkKeyName(name);
  const decoded = fromBase64(line.slice(space + 1));
  if (decoded.length <= KEY_ID_BYTES) {
    throw new TlogError("signature line", "a key id and a signature", `${decoded.length} bytes`);
  }
  return { name, keyId: hex(decoded.subarray(0, KEY_ID_BYTES)), signature: decoded.subarray(KEY_ID_BYTES) };
}

/** Read a log's verifier key line. @param {string} vkey */
export const logVerifier = (vkey) => readVkey(vkey, LOG_KEY);

/** Read a witness's verifier key line. @param {string} vkey */
export const witnessVerifier = (vkey) => readVkey(vkey, WITNESS_KEY);

/** @param {string} vkey @param {number} type @returns {Promise<Verifier>} */
async function readVkey(vkey, type) {
  const first = vkey.indexOf("+");
  const second = first < 0 ? -1 : vkey.indexOf("+", first + 1);
  if (second < 0) throw new TlogError("verifier key", "name+id+key", excerpt(vkey));
  const name = vkey.slice(0, first);
  const keyId = vkey.slice(first + 1, second);
  checkKeyName(name);
  const key = fromBase64(vkey.slice(second + 1));
  if (key[0] !== type || key.length !== 33) {
    throw new TlogError(
      "verifier key", `type 0${type} and 32 bytes`,
      `type ${hex(key.subarray(0, 1))} and ${Math.max(0, key.length - 1)} bytes`);
  }
  const own = hex((await sha256(concat(utf8(`${name}\n`), key))).subarray(0, KEY_ID_BYTES));
  if (own !== keyId) throw new TlogError("verifier key id", own, excerpt(keyId));
  const raw = key.slice(1);
  const publicKey = await crypto.subtle.importKey("raw", raw, "Ed25519", false, ["verify"]);
  return { name, keyId, vkey: `${name}+${keyId}+${base64(key)}`, publicKey, raw, witness: type === WITNESS_KEY };
}

/** Tell whether a signature line claims to be of this key. @param {Verifier} verifier @param {Signature} signature */
export const made = (verifier, signature) => signature.keyId === verifier.keyId && signature.name === verifier.name;

/** Tell whether the signature fits. @param {Verifier} verifier @param {Signature} signature @param {string} text */
export async function fits(verifier, signature, text) {
  if (!verifier.witness) return signed(verifier.publicKey, signature.signature, utf8(text));
  if (signature.signature.length !== 72) return false;
  const view = new DataView(signature.signature.buffer, signature.signature.byteOffset);
  const timestamp = view.getBigUint64(0);
  if (timestamp > 2n ** 63n - 1n) return false;
  const message = utf8(`cosignature/v1\ntime ${timestamp}\n${text}`);
  return signed(verifier.publicKey, signature.signature.subarray(8), message);
}

/** Check an Ed25519 signature (RFC 8032). @param {CryptoKey} key @param {Uint8Array} signature @param {Uint8Array} data */
export const signed = (key, signature, data) => crypto.subtle.verify("Ed25519", key, signature, data);

/**
 * Check a note's signatures, and return those that were verified, each with its key. Signatures of other keys are
 * ignored, as the standard asks.
 * @param {Note} note @param {Verifier[]} verifiers
 */
export async function verifyNote(note, verifiers) {
  const verified = [];
  for (const signature of note.signatures) {
    const claimed = verifiers.filter((verifier) => made(verifier, signature));
    if (!claimed.length) continue;
    let by = null;
    for (const verifier of claimed) by ??= (await fits(verifier, signature, note.text)) ? verifier : null;
    if (!by) throw misfit(claimed[0]);
    verified.push(by);
  }
  if (!verified.length) throw unsigned(note, verifiers);
  return verified;
}

/** @param {Verifier} verifier */
export function misfit(verifier) {
  return new SignatureNotVerified(
    "signature", `a signature of this text by ${called(verifier)}`,
    "one that does not fit: the text or the signature was changed");
}

/** @param {Note} note @param {Verifier[]} verifiers */
export function unsigned(note, verifiers) {
  return new SignatureNotVerified(
    "signature", `one of ${verifiers.map(called).join(", ") || "no key at all"}`,
    note.signatures.slice(0, 4).map(called).join(", "));
}

/** @param {{name: string, keyId: string}} one */
const called = (one) => `${excerpt(one.name)} (key ${one.keyId})`;
