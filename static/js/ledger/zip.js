/**
 * The ZIP that a bundle is, read from a Blob with nothing believed that the file says of itself: members are unpacked
 * against a limit of the caller's, names stand once, no byte belongs to two members. Refuses what ledger/tlog/bundle_file.py
 * refuses.
 */
import { concat } from "./bytes.js";
import { BundleMalformed, excerpt, only } from "./errors.js";

export const MAX_TEXT = 1 << 20;
export const MAX_ENTRY = 70_000;
export const MAX_ENTRY_BUNDLE = 17_000_000;
export const MAX_ATTACHMENT = 64 << 20;

const NAME = new RegExp(
  "^(?:bundle\\.json|README\\.txt|policy|checkpoint|epoch\\.json|tile/[0-9a-z/.]{1,200}" +
  "|entry/(?:0|[1-9][0-9]{0,18})\\.(?:note|tlog-proof)|attachments/[0-9a-f]{64}" +
  "|timestamps/(?:0|[1-9][0-9]{0,18})\\.(?:note|tsr|consistency)|disclosures/[0-9a-f]{64}\\.json)$");
const STORED = 0;
const DEFLATED = 8;
const ENCRYPTED = 0x2041; // traditional, strong, and a masked directory
const LOCAL = 30;
const CENTRAL = 46;
const END = 22;
const LOCATOR = 20;
const END_64 = 56;
const FULL = 0xffffffff;
const PIECE = 1 << 16;
const WINDOW = 1 << 20;
// What ledger/tlog/bundle_file.py admits.
const MAX_MEMBERS = 1 << 20;
const MAX_DIRECTORY = 1 << 28;

/** @typedef {{name: string, flags: number, method: number, crc: number, packed: number, size: number, offset: number}} Member */

export class BundleFile {
  #blob;
  /** @type {Map<string, Member>} */
  #members = new Map();
  /** The bytes read last, and where they begin: members are read in the file's order. */
  #window = { at: 0, data: new Uint8Array() };

  /** Read the directory. @param {Blob} blob */
  static async open(blob) {
    const file = new BundleFile(blob);
    await file.#readDirectory();
    return file;
  }

  /** @param {Blob} blob */
  constructor(blob) {
    this.#blob = blob;
  }

  /** @param {string} name */
  has(name) {
    return this.#members.has(name);
  }

  /** The members' names, in the file's order. */
  get names() {
    return [...this.#members.keys()];
  }

  /** Return a member's content, or refuse it. @param {string} name @param {number} [limit] in bytes */
  async read(name, limit = MAX_TEXT) {
    const { data, damage } = await this.salvage(name, limit);
    if (damage) throw damage;
    return data;
  }

  /** Return what can be unpacked of a member, and what is wrong with it. @param {string} name @param {number} limit */
  async salvage(name, limit) {
    const member = this.#members.get(name);
    if (!member) return { data: new Uint8Array(), damage: missing(name) };
    /** @type {Uint8Array[]} */
    const pieces = [];
    let damage = null;
    try {
      await this.#unpack(member, pieces, limit);
    } catch (error) {
      damage = only(error, BundleMalformed);
    }
    const data = pieces.length === 1 ? pieces[0] : concat(...pieces);
    if (!damage && (data.length !== member.size || crc32(data) !== member.crc)) {
      damage = new BundleMalformed(
        name, `${member.size} bytes with checksum ${shown(member.crc)}`, `${data.length} bytes with ${shown(crc32(data))}`);
    }
    return { data, damage };
  }

  /** @param {number} at @param {number} length */
  async #bytes(at, length) {
    const { at: from, data } = this.#window;
    if (at >= from && at + length <= from + data.length) return data.subarray(at - from, at - from + length);
    const whole = await this.#slice(at, Math.max(length, WINDOW));
    if (length <= WINDOW) this.#window = { at, data: whole };
    return whole.subarray(0, length);
  }

  /** @param {number} at @param {number} length */
  async #slice(at, length) {
    try {
      return new Uint8Array(await this.#blob.slice(at, at + length).arrayBuffer());
    } catch (error) {
      throw new BundleMalformed("bundle", "a file that can be read", excerpt(String(error)));
    }
  }

  async #readDirectory() {
    const { count, size, offset } = await this.#findDirectory();
    const directory = await this.#slice(offset, size);
    if (directory.length !== size) throw notWhole();
    let at = 0;
    while (at < size && this.#members.size < count) at += this.#admit(directory.subarray(at));
    if (at !== size || this.#members.size !== count) {
      throw new BundleMalformed("bundle", `${count} files in the directory`, "another number of them");
    }
    this.#checkPlaces(offset);
  }

  /** How many members there are, and the directory's size and place, by the very last bytes alone. */
  async #findDirectory() {
    const length = this.#blob.size;
    const tail = await this.#slice(Math.max(0, length - END - LOCATOR - END_64), END + LOCATOR + END_64);
    const view = viewOf(tail);
    const end = tail.length - END;
    if (end < 0 || view.getUint32(end, true) !== 0x06054b50 || view.getUint16(end + 20, true) !== 0) {
      throw new BundleMalformed("bundle", "a ZIP file without a comment or anything behind it", "more");
    }
    // Disk, first disk, members here, members, bytes of the directory, its place.
    let told = [4, 6, 8, 10].map((at) => view.getUint16(end + at, true));
    told.push(view.getUint32(end + 12, true), view.getUint32(end + 16, true));
    let behind = length - END;
    if (tail.length === END + LOCATOR + END_64 && view.getUint32(END_64, true) === 0x07064b50) {
      behind -= LOCATOR + END_64;
      const wide = [view.getUint32(16, true), view.getUint32(20, true)];
      wide.push(...[24, 32, 40, 48].map((at) => number64(view, at)));
      const fits =
        view.getUint32(0, true) === 0x06064b50 && number64(view, 4) === END_64 - 12 &&
        view.getUint32(END_64 + 4, true) === 0 && number64(view, END_64 + 8) === behind &&
        view.getUint32(END_64 + 16, true) === 1 &&
        told.every((few, at) => few === wide[at] || few === (at < 4 ? 0xffff : FULL));
      if (!fits) throw notWhole();
      told = wide;
    }
    const [disk, firstDisk, here, count, size, offset] = told;
    if (disk || firstDisk || here !== count || offset + size !== behind) {
      throw new BundleMalformed("bundle", `a directory that ends at byte ${behind}`, `${size} bytes from ${offset} on`);
    }
    if (count > MAX_MEMBERS || size > MAX_DIRECTORY) {
      throw new BundleMalformed("bundle", `at most ${MAX_MEMBERS} files`, `${count} in ${size} bytes`);
    }
    return { count, size, offset };
  }

  /** Take one member of the directory, and return how long its record is. @param {Uint8Array} record */
  #admit(record) {
    const view = viewOf(record);
    if (record.length < CENTRAL || view.getUint32(0, true) !== 0x02014b50) throw notWhole();
    const nameEnd = CENTRAL + view.getUint16(28, true);
    const extraEnd = nameEnd + view.getUint16(30, true);
    const length = extraEnd + view.getUint16(32, true);
    if (length > record.length) throw notWhole();
    const name = String.fromCharCode(...record.subarray(CENTRAL, nameEnd));
    /** @type {Member} */
    const member = {
      name, flags: view.getUint16(8, true), method: view.getUint16(10, true), crc: view.getUint32(16, true),
      packed: view.getUint32(20, true), size: view.getUint32(24, true), offset: view.getUint32(42, true),
    };
    readExtra(member, viewOf(record.subarray(nameEnd, extraEnd)));
    if (!NAME.test(name)) throw new BundleMalformed("file", "only files that a bundle has", excerpt(name));
    if (this.#members.has(name)) throw new BundleMalformed("file", "each name once", `${excerpt(name)} twice`);
    if (![STORED, DEFLATED].includes(member.method) || member.flags & ENCRYPTED) {
      throw new BundleMalformed(
        excerpt(name), "a file stored or deflated, in the clear", `method ${member.method}, flags ${member.flags}`);
    }
    this.#members.set(name, member);
    return length;
  }

  /** Members that share bytes unpack to far more than the file has. @param {number} end */
  #checkPlaces(end) {
    let at = 0;
    const members = [...this.#members.values()].sort((a, b) => a.offset - b.offset);
    for (const [place, { name, offset, packed }] of members.entries()) {
      if (offset < at || (place === 0 && offset)) {
        throw new BundleMalformed(excerpt(name), `a place from byte ${at} on`, String(offset));
      }
      at = offset + LOCAL + name.length + packed;
    }
    if (at > end) throw new BundleMalformed("bundle", "files before the directory", `${at - end} bytes behind it`);
  }

  /** @param {Member} member @param {Uint8Array[]} pieces @param {number} limit */
  async #unpack(member, pieces, limit) {
    const { name } = member;
    const header = await this.#bytes(member.offset, LOCAL + name.length);
    const view = viewOf(header);
    const fits =
      header.length === LOCAL + name.length && view.getUint32(0, true) === 0x04034b50 &&
      !(view.getUint16(6, true) & ENCRYPTED) && view.getUint16(8, true) === member.method &&
      view.getUint16(26, true) === name.length && String.fromCharCode(...header.subarray(LOCAL)) === name;
    if (!fits) throw new BundleMalformed(name, "a header as the directory has it", "another");
    const start = member.offset + LOCAL + name.length + view.getUint16(28, true);
    const read = async (/** @type {number} */ at) => {
      const piece = await this.#bytes(start + at, Math.min(PIECE, member.packed - at));
      if (!piece.length) throw new BundleMalformed(name, `${member.packed - at} more bytes`, "the end of the file");
      return piece;
    };
    if (member.method === DEFLATED) return inflate(member, read, pieces, limit);
    for (let at = 0; at < member.packed;) {
      const piece = await read(at);
      at += piece.length;
      // A copy of its own: the window moves on.
      if (at > limit) throw tooLarge(name, limit);
      pieces.push(piece.slice());
    }
  }
}

/**
 * Unpack by the browser. Never more than one of its chunks beyond the limit, whatever the stream would unpack to.
 * @param {Member} member @param {(at: number) => Promise<Uint8Array>} read @param {Uint8Array[]} pieces @param {number} limit
 */
async function inflate(member, read, pieces, limit) {
  const stream = new DecompressionStream("deflate-raw");
  const writer = stream.writable.getWriter();
  const reader = stream.readable.getReader();
  let length = 0;
  let over = false;
  /** @type {unknown} */
  let trouble = null;
  const reading = (async () => {
    try {
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return;
        length += value.length;
        over = length > limit;
        if (over) return void (await reader.cancel().catch(() => {}));
        pieces.push(value);
      }
    } catch (error) {
      trouble ??= error;
    }
  })();
  try {
    for (let at = 0; at < member.packed && !over;) {
      const piece = await read(at);
      at += piece.length;
      await writer.write(piece.slice());
      // What was unpacked is lost with a stream that fails later: let the reader have it first.
      for (let before = -1; before !== length;) {
        before = length;
        for (let turn = 0; turn < 4; turn += 1) await null;
      }
    }
    if (!over) await writer.close();
  } catch (error) {
    if (error instanceof BundleMalformed) {
      await writer.abort().catch(() => {});
      throw error;
    }
    trouble ??= error;
  }
  await reading;
  if (over) throw tooLarge(member.name, limit);
  if (trouble) {
    // Of one piece that is no deflated data nothing counts; of one that is cut or too long, what it held does.
    if (member.packed <= PIECE && !/truncated|junk/i.test(String(trouble))) pieces.length = 0;
    throw new BundleMalformed(member.name, "one whole deflated stream", excerpt(String(trouble)));
  }
}

/** Take what stands in a ZIP64 field, and refuse fields that are not whole. @param {Member} member @param {DataView} extra */
function readExtra(member, extra) {
  for (let at = 0; at + 4 <= extra.byteLength;) {
    const end = at + 4 + extra.getUint16(at + 2, true);
    if (end > extra.byteLength) throw notWhole();
    if (extra.getUint16(at, true) === 1) {
      let place = at + 4;
      for (const field of /** @type {const} */ (["size", "packed", "offset"])) {
        if (member[field] !== FULL) continue;
        if (place + 8 > end) throw notWhole();
        member[field] = number64(extra, place);
        place += 8;
      }
    }
    at = end;
  }
}

/** @param {DataView} view @param {number} at */
function number64(view, at) {
  const number = Number(view.getBigUint64(at, true));
  if (!Number.isSafeInteger(number)) throw notWhole();
  return number;
}

/** @param {Uint8Array} data */
const viewOf = (data) => new DataView(data.buffer, data.byteOffset, data.byteLength);
const notWhole = () => new BundleMalformed("bundle", "a ZIP file's directory", "one that is not whole");
/** @param {string} name */
const missing = (name) => new BundleMalformed(name, "a file in the bundle", "none of that name");
/** @param {string} name @param {number} limit */
const tooLarge = (name, limit) => new BundleMalformed(name, `at most ${limit} bytes`, "more");
/** @param {number} crc */
const shown = (crc) => crc.toString(16).padStart(8, "0");

const CRC = Uint32Array.from({ length: 256 }, (_, byte) => {
  let rest = byte;
  for (let bit = 0; bit < 8; bit += 1) rest = rest & 1 ? (rest >>> 1) ^ 0xedb88320 : rest >>> 1;
  return rest;
});

/** @param {Uint8Array} data */
function crc32(data) {
  let crc = 0xffffffff;
  for (let at = 0; at < data.length; at += 1) crc = CRC[(crc ^ data[at]) & 0xff] ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}
