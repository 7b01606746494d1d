/** Bytes as text and back, each with exactly one accepted spelling, and SHA-256 by the browser. */
import { TlogError, excerpt } from "./errors.js";

// ignoreBOM: without it a byte order mark would vanish, and two spellings would be one entry.
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const encoder = new TextEncoder();
const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));
const DIGITS = /^(?:[0-9a-f]{2})*$/;
const BASE64 = /^[A-Za-z0-9+/]*={0,2}$/;

/** @param {string} text */
export const utf8 = (text) => encoder.encode(text);

/** Return the text of UTF-8 bytes, or throw a TypeError. @param {Uint8Array} data */
export const fromUtf8 = (data) => decoder.decode(data);

/** @param {Uint8Array} data */
export function hex(data) {
  let text = "";
  for (let at = 0; at < data.length; at += 1) text += HEX[data[at]];
  return text;
}

/** Return the bytes of lowercase hex, or null where the text is something else. @param {unknown} text */
export function fromHex(text) {
  if (typeof text !== "string" || !DIGITS.test(text)) return null;
  const data = new Uint8Array(text.length / 2);
  for (let at = 0; at < data.length; at += 1) data[at] = Number.parseInt(text.slice(2 * at, 2 * at + 2), 16);
  return data;
}

/** @param {Uint8Array} data */
export function base64(data) {
  let text = "";
  for (let at = 0; at < data.length; at += 0x2000) text += String.fromCharCode(...data.subarray(at, at + 0x2000));
  return btoa(text);
}

/**
 * Return the bytes of RFC 4648 section 4 base64, padded and with zero spare bits; any other spelling is refused.
 * @param {string} text
 */
export function fromBase64(text) {
  let raw = null;
  if (text.length % 4 === 0 && BASE64.test(text)) {
    try {
      raw = atob(text);
    } catch {
      // three padding marks, or one where none can stand
    }
  }
  // atob() drops stray bits: writing the bytes again shows whether there were any.
  if (raw === null || btoa(raw) !== text) throw new TlogError("base64", "RFC 4648 section 4", excerpt(text));
  const data = new Uint8Array(raw.length);
  for (let at = 0; at < raw.length; at += 1) data[at] = raw.charCodeAt(at);
  return data;
}

/** @param {Uint8Array} a @param {Uint8Array} b */
export function equal(a, b) {
  if (a.length !== b.length) return false;
  for (let at = 0; at < a.length; at += 1) if (a[at] !== b[at]) return false;
  return true;
}

/** Order by bytes, as memcmp does. @param {Uint8Array} a @param {Uint8Array} b */
export function compare(a, b) {
  const shorter = Math.min(a.length, b.length);
  for (let at = 0; at < shorter; at += 1) if (a[at] !== b[at]) return a[at] - b[at];
  return a.length - b.length;
}

/** @param {Uint8Array[]} parts */
export function concat(...parts) {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** @param {Uint8Array} data */
export async function sha256(data) {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", data));
}
