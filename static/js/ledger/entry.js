/** Entries: signed notes whose text is one line of canonical JSON, and whose bytes are the log's leaves. */
import { utf8 } from "./bytes.js";
import { MAX_DEPTH, decodeText } from "./canonical.js";
import { KindNotAdmitted, TlogError, excerpt } from "./errors.js";
import { checkKeyName, parseNote } from "./note.js";

export const ZERO_HASH = "0".repeat(64);
export const KEY_ROTATED = "key_rotated";
export const INDEX_EPOCH = "index_epoch";
const MAX_LEAF_BYTES = 65_535;
const MAX_ORIGIN_BYTES = 255;
const GENESIS = "genesis";
const HASH = /^[0-9a-f]{64}$/;
const SUBJECT = /^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const TIME = /^([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})\.[0-9]{3}Z$/;
const KINDS = new Set([
  GENESIS, "handoff", "handoff_refused", "enrolment", "duplicate_decided", "consent_withdrawn", "erasure",
  "watchlist_changed", "watchlist_lead", "declaration",
  "declaration_amended", "unit_packed", "seal_applied", "seal_checked", "seal_broken", "seal_replaced", "inspection",
  "inspection_attended", "hold", "release", "seizure", "act_refused", "authorisation_granted", "authorisation_withdrawn",
  "employment_recorded", "employment_ended", "discrepancy", "resolution", "route_planned", "site_watched", "zone_alert", "passage", "reads_anchored", "read_gap", "correction",
  "evidence_opened", "disclosure", INDEX_EPOCH, KEY_ROTATED,
]);
const NUMBERS = ["v", "index", "subject_seq"];
const TEXTS = ["origin", "kind", "subject", "subject_prev", "prev", "sealed_at"];
const FIELDS = [...NUMBERS, ...TEXTS, "body"].sort().join(",");

/** By kind, the paths of the body's fields that hold an attachment's digest; "*" is every element of a list. */
const ATTACHMENT_FIELDS = new Map(Object.entries({
  handoff: [["reads", "document"], ["reads", "reconciliation"], ["reads", "earlier", "*", "document"]],
  handoff_refused: [["reads", "document"]],
  reads_anchored: [["document"]],
  read_gap: [["document"]],
  unit_packed: [["children", "document"]],
  declaration: [["document"]],
  declaration_amended: [["document"]],
  act_refused: [["document"]],
}));

/**
 * @typedef {{v: number, origin: string, index: number, kind: string, subject: string, subject_seq: number,
 *   subject_prev: string, prev: string, sealed_at: string, body: Record<string, any>}} Entry
 */

/** Tell whether a text is an identifier. @param {unknown} text */
export const isSubject = (text) => typeof text === "string" && SUBJECT.test(text);

/** Read an entry's note strictly; its signature is not checked. @param {Uint8Array} data */
export function readEntry(data) {
  if (data.length > MAX_LEAF_BYTES) {
    throw new TlogError("entry", `at most ${MAX_LEAF_BYTES} bytes`, `${data.length} bytes`);
  }
  const note = parseNote(data);
  // The body is one container deep in the entry.
  const entry = decodeText(note.text.slice(0, -1), MAX_DEPTH + 1);
  checkFields(entry);
  // The log's signature alone: with others beside it, one entry could stand as several different leaves.
  if (note.signatures.length !== 1) throw new TlogError("signatures", "one", String(note.signatures.length));
  if (note.signatures[0].name !== entry.origin) {
    throw new TlogError("signature line", excerpt(entry.origin), excerpt(note.signatures[0].name));
  }
  return { entry: /** @type {Entry} */ (entry), note };
}

/** @param {any} entry */
function checkFields(entry) {
  if (!isObject(entry) || Object.keys(entry).sort().join(",") !== FIELDS) {
    throw new TlogError("fields", FIELDS, excerpt(isObject(entry) ? Object.keys(entry) : entry, 300));
  }
  for (const name of NUMBERS) {
    if (!(Number.isSafeInteger(entry[name]) && entry[name] >= 0)) {
      throw new TlogError(name, "an integer from 0 to 2^53 - 1", excerpt(entry[name]));
    }
  }
  if (entry.v !== 1) throw new TlogError("v", "1", excerpt(entry.v));
  for (const name of TEXTS) {
    if (typeof entry[name] !== "string") throw new TlogError(name, "a string", excerpt(entry[name]));
  }
  if (!isObject(entry.body)) throw new TlogError("body", "an object", excerpt(entry.body));
  for (const name of ["subject_prev", "prev"]) {
    if (!HASH.test(entry[name])) throw new TlogError(name, "64 lowercase hex digits", excerpt(entry[name]));
  }
  if (!isSubject(entry.subject)) throw new TlogError("subject", "a lowercase urn:uuid:", excerpt(entry.subject));
  checkKeyName(entry.origin);
  if (utf8(entry.origin).length > MAX_ORIGIN_BYTES) {
    throw new TlogError("origin", `at most ${MAX_ORIGIN_BYTES} bytes`, excerpt(entry.origin));
  }
  if (!isTime(entry.sealed_at)) {
    throw new TlogError("sealed_at", "the form 2026-11-22T14:05:09.123Z", excerpt(entry.sealed_at));
  }
  const misplaced = misplacedKind(entry.kind, entry.index);
  if (misplaced) throw misplaced;
}

/** @param {string} kind @param {number} index */
function misplacedKind(kind, index) {
  if (!KINDS.has(kind)) return new KindNotAdmitted("kind", "a kind that this format knows", excerpt(kind));
  if ((kind === GENESIS) === (index === 0)) return null;
  return new KindNotAdmitted("kind", "genesis in entry 0 and nowhere else", `${kind} in entry ${index}`);
}

/** Tell whether a text is a moment as the log writes it. @param {string} text */
export function isTime(text) {
  const shape = text.length === 24 ? TIME.exec(text) : null;
  if (!shape) return false;
  const [year, month, day, hour, minute, second] = shape.slice(1).map(Number);
  if (year < 1 || month < 1 || month > 12 || day < 1 || hour > 23 || minute > 59 || second > 59) return false;
  const leap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
  return day <= [31, leap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month - 1];
}

// One letter for each byte, so that a text can be matched whose bytes are not UTF-8.
const byteWise = new TextDecoder("windows-1252");

/**
 * What a fast verification reads: in canonical JSON the body comes first and everything behind it has one spelling, so one
 * expression reads an entry from its end. What it does not match is for readEntry() to judge.
 * @param {string} origin @returns {(data: Uint8Array) => Omit<Entry, "body" | "v" | "origin"> | null}
 */
export function tailReader(origin) {
  const spelt = (/** @type {string} */ text) => byteWise.decode(utf8(text)).replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  const tail = new RegExp(
    `^,"index":(0|[1-9][0-9]{0,14}),"kind":"([a-z_]{1,40})","origin":${spelt(JSON.stringify(origin))},"prev":` +
    `"([0-9a-f]{64})","sealed_at":"([^"]{24})","subject":"(urn:uuid:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})",` +
    `"subject_prev":"([0-9a-f]{64})","subject_seq":(0|[1-9][0-9]{0,14}),"v":1}\\n\\n${spelt("\u2014 ")}` +
    `${spelt(origin)} [A-Za-z0-9+/]{90}[AEIMQUYcgkosw048]=\\n$`);
  return (data) => {
    if (data.length > MAX_LEAF_BYTES) return null;
    const text = byteWise.decode(data);
    const at = text.lastIndexOf(',"index":');
    const match = at > 0 && text.startsWith('{"body":{') ? tail.exec(text.slice(at)) : null;
    if (!match || !isTime(match[4])) return null;
    const [, index, kind, prev, sealedAt, subject, subjectPrev, seq] = match;
    if (kind === KEY_ROTATED || misplacedKind(kind, Number(index))) return null;
    return {
      index: Number(index), kind, prev, sealed_at: sealedAt, subject, subject_prev: subjectPrev, subject_seq: Number(seq),
    };
  };
}

/** Name the digests of the attachments that a body names. @param {Entry} entry @returns {string[]} */
export function namedIn(entry) {
  const paths = ATTACHMENT_FIELDS.get(entry.kind) ?? [];
  return paths.flatMap((path) => valuesAt(entry.body, path)).filter((value) => typeof value === "string");
}

/** @param {any} value @param {string[]} path @returns {any[]} */
function valuesAt(value, path) {
  if (!path.length) return [value];
  const [step, ...rest] = path;
  if (step === "*" && Array.isArray(value)) return value.flatMap((element) => valuesAt(element, rest));
  return isObject(value) && Object.hasOwn(value, step) ? valuesAt(value[step], rest) : [];
}

/** @param {any} value */
export const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);
