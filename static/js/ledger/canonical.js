/**
 * The one JSON form that the log admits: RFC 8785, restricted so that every language writes and reads it alike.
 * JSON.parse() alone accepts far more (repeated keys, floats, escapes, white space): what it read is written again and
 * compared, and what survives that is looked for.
 */
import { fromUtf8 } from "./bytes.js";
import { TlogError, excerpt } from "./errors.js";

export const MAX_DEPTH = 32;
const NOT_ASCII = /[^\x00-\x7f]/; // eslint-disable-line no-control-regex

/**
 * Return the value of canonical text; any other spelling of the same value is refused.
 * @param {string} text @param {number} [maxDepth] how many containers may stand inside each other
 */
export function decodeText(text, maxDepth = MAX_DEPTH) {
  let value;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new TlogError("JSON", "one JSON value", excerpt(String(error)));
  }
  const sorted = check(value, maxDepth);
  const again = sorted ? JSON.stringify(value) : write(value);
  if (again !== text) {
    let at = 0;
    while (again[at] === text[at]) at += 1;
    throw new TlogError(
      `spelling at character ${at}`, excerpt(again.slice(at, at + 20)), excerpt(text.slice(at, at + 20)));
  }
  return value;
}

/** As decodeText(), from bytes. @param {Uint8Array} data */
export function decode(data, maxDepth = MAX_DEPTH) {
  let text;
  try {
    text = fromUtf8(data);
  } catch {
    throw new TlogError("encoding", "UTF-8", "other bytes");
  }
  return decodeText(text, maxDepth);
}

/**
 * Refuse what has no canonical form; tell whether every object's keys stand in their order already.
 * @param {any} value @param {number} depth @returns {boolean}
 */
function check(value, depth) {
  switch (typeof value) {
    case "boolean":
      return true;
    case "string":
      // JSON.stringify() would write a lone surrogate as the escape that it was read from.
      if (!wellFormed(value)) throw new TlogError("string", "Unicode text", "a lone surrogate");
      return true;
    case "number":
      if (!Number.isSafeInteger(value)) throw new TlogError("integer", "at most 2^53 - 1 either way", excerpt(value));
      return true;
  }
  if (value === null) return true;
  if (depth === 0) throw new TlogError("depth", "fewer containers inside each other", "one more than the limit");
  let sorted = true;
  if (Array.isArray(value)) {
    for (const item of value) sorted = check(item, depth - 1) && sorted;
    return sorted;
  }
  let before = null;
  for (const key of Object.keys(value)) {
    if (NOT_ASCII.test(key)) throw new TlogError("key", "an ASCII string", excerpt(key));
    // Keys that look like numbers come first here, whatever stood in the text.
    if (before !== null && key < before) sorted = false;
    before = key;
    sorted = check(value[key], depth - 1) && sorted;
  }
  return sorted;
}

/** @param {any} value @returns {string} */
function write(value) {
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(write).join(",")}]`;
  // For ASCII keys the default order, by UTF-16 units, is that of RFC 8785 section 3.2.3.
  const items = Object.keys(value).sort().map((key) => `${JSON.stringify(key)}:${write(value[key])}`);
  return `{${items.join(",")}}`;
}

/** Tell whether a string has no lone surrogate. @param {string} text */
export function wellFormed(text) {
  return !/[\ud800-\udfff]/u.test(text);
}
