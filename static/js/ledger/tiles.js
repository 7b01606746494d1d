/** Tiles (c2sp.org/tlog-tiles v0.1.0): where they stand, and what an entry bundle holds. */
import { TlogError, excerpt } from "./errors.js";

export const WIDTH = 256;
const PATH = /^tile\/(entries|0|[1-9][0-9]?)\/((?:x[0-9]{3}\/)*[0-9]{3})(?:\.p\/([1-9][0-9]{0,2}))?$/;

/** `level` is null for an entry bundle. @typedef {{level: number | null, index: number, width: number}} Tile */

/** @param {Tile} tile */
export function tilePath({ level, index, width }) {
  let number = String(index % 1000).padStart(3, "0");
  for (let rest = Math.floor(index / 1000); rest; rest = Math.floor(rest / 1000)) {
    number = `x${String(rest % 1000).padStart(3, "0")}/${number}`;
  }
  return `tile/${level ?? "entries"}/${number}${width === WIDTH ? "" : `.p/${width}`}`;
}

/** Read a tile's path, which must be exactly what tilePath() writes. @param {string} path @returns {Tile} */
export function parseTilePath(path) {
  const match = PATH.exec(path);
  if (!match) throw new TlogError("tile path", "tile/<L>/<N>[.p/<W>]", excerpt(path));
  const tile = {
    level: match[1] === "entries" ? null : Number(match[1]),
    index: Number(match[2].replaceAll(/[x/]/g, "")),
    width: match[3] ? Number(match[3]) : WIDTH,
  };
  if (tilePath(tile) !== path || (tile.level ?? 0) > 63) {
    throw new TlogError("tile path", excerpt(tilePath(tile)), excerpt(path));
  }
  return tile;
}

/** How many hashes tile `index` of `level` has in a tree of `size` leaves; 0 where there is none. @param {number} size @param {number} level @param {number} index */
export function widthAt(size, level, index) {
  return Math.max(0, Math.min(WIDTH, Math.floor(size / 256 ** level) - index * WIDTH));
}

/** Every entry bundle of a log of `size` entries. @param {number} size @returns {Generator<Tile>} */
export function* bundlesOf(size) {
  for (let index = 0; index * WIDTH < size; index += 1) yield { level: null, index, width: widthAt(size, 0, index) };
}

/** Return an entry bundle's entries as far as they are whole, and whether they are all of it. @param {Uint8Array} data */
export function wholeEntries(data) {
  const entries = [];
  let at = 0;
  while (at + 2 <= data.length) {
    const end = at + 2 + data[at] * 256 + data[at + 1];
    if (end > data.length) break;
    entries.push(data.subarray(at + 2, end));
    at = end;
  }
  return { entries, all: at === data.length };
}
