/**
 * Verify a bundle: the whole log, a range of it, or one subject's entries. The steps, their order and the codes are those of
 * ledger/tlog/bundle.py. What the caller pinned is believed, and nothing in the file: `bundle.json` says what to look for.
 *
 *  1. The file is a ZIP of a bundle's members alone, and `bundle.json` says of which kind.
 *  2. The whole log: verifyGroups() over the entry bundles; then every hash tile is what the entries hash to.
 *  3. A part: a. the keys, by way of all rotations; b. the checkpoint; c. each entry, its signature, its proof; d. of a
 *     range, every entry; e. of a subject, its chain, whole up to the newest index epoch; f. timestamped checkpoints.
 *  4. Every attachment that an entry names is there and hashes to its name, and no other is.
 *  5. Every disclosed value opens a commitment that stands in its entry's body, where its label says.
 */
import { concat, equal, fromBase64, fromHex, fromUtf8, hex, sha256, utf8 } from "./bytes.js";
import { decode } from "./canonical.js";
import { parseCheckpoint } from "./checkpoint.js";
import { INDEX_EPOCH, KEY_ROTATED, ZERO_HASH, isObject, isSubject, namedIn, readEntry } from "./entry.js";
import { readEpoch, subjectHash, verifyAbsent, verifyPresent } from "./epoch.js";
import { BundleMalformed, Cancelled, Fault, KindNotAdmitted, SignatureNotVerified, TlogError, excerpt, only } from "./errors.js";
import { KeysInForce } from "./keys_in_force.js";
import { EMPTY_ROOT, HASH_BYTES, leafHash, rootOf, verifyConsistency, verifyInclusion } from "./merkle.js";
import { parseNote, verifyNote } from "./note.js";
import { metBy, wantsWitnesses } from "./policy.js";
import { parseProof } from "./proof.js";
import { readRotation } from "./rotation.js";
import { WIDTH, bundlesOf, parseTilePath, tilePath, wholeEntries, widthAt } from "./tiles.js";
import {
  INCOMPLETE, INTACT_AND_WITNESSED, INTACT_UNWITNESSED, cosignersOf, isIntact, readWitnesses, verifyGroups,
} from "./verify.js";
import { BundleFile, MAX_ATTACHMENT, MAX_ENTRY, MAX_ENTRY_BUNDLE } from "./zip.js";

const FORMAT = "custody-bundle/v1";
const FIELDS = new Map([
  ["log", "format,origin,scope,size"],
  ["range", "first,format,origin,scope,size,stop"],
  ["subject", "format,origin,scope,size,subject"],
]);
const DIGEST = /^[0-9a-f]{64}$/;
const MAX_RESPONSE = 100_000;
const DOMAIN = utf8("custody/commitment/v1");

/**
 * @typedef {import("./verify.js").Verdict} Verdict
 * @typedef {import("./entry.js").Entry} Entry
 * @typedef {{commitment: string, entry: number, label: string, size: number, sha256: string, text: string}} Disclosed
 * @typedef {Verdict & {scope: string, subject: string, first: number | null, stop: number | null,
 *   complete_up_to: number | null, attachments: number, disclosures: Disclosed[]}} BundleVerdict
 * @typedef {{policy: import("./policy.js").Policy, deep?: boolean, subject?: string | null,
 *   span?: [number, number] | null, onProgress?: (entries: number, of: number) => void, signal?: AbortSignal}} Asked
 * @typedef {{scope: string, size: number, subject: string, first: number | null, stop: number | null}} About
 */

/**
 * Verify a bundle; any bytes get a verdict.
 * @param {Blob} blob
 * @param {Asked} asked `subject` and `span` are what the bundle must be about, whatever it says of itself; a part is always
 *   verified deep
 * @returns {Promise<BundleVerdict>}
 */
export async function verifyBundle(blob, asked) {
  /** @type {About} */
  let about = { scope: "", size: 0, subject: "", first: null, stop: null };
  try {
    const bundle = await BundleFile.open(blob); // step 1
    about = await readAbout(bundle, asked);
    checkNames(bundle, about);
    const contents = await Contents.read(bundle);
    return await (about.scope === "log" ? verifyWhole : verifyPart)(bundle, about, asked, contents);
  } catch (error) {
    return verdictOf(about, malformed(only(error, BundleMalformed)), {});
  }
}

/** @param {BundleMalformed} error */
const malformed = (error) => Fault.of("bundle", error);

/** @param {About} about @param {Fault} fault @param {Partial<BundleVerdict>} more @returns {BundleVerdict} */
function verdictOf(about, fault, more) {
  const { scope, subject, first, stop } = about;
  return {
    entries: 0, size: 0, root: hex(EMPTY_ROOT), uncovered: 0, witnesses: [], timestamps: 0, timestamps_unchecked: 0,
    scope, subject, first, stop, attachments: 0, ...more, complete_up_to: null, disclosures: [],
    status: fault.status, broken_at: fault.at, check: fault.check, expected: fault.expected, found: fault.found,
  };
}

/** @param {BundleFile} bundle @param {Asked} asked @returns {Promise<About>} */
async function readAbout(bundle, { subject = null, span = null }) {
  const data = await readJson(bundle, "bundle.json");
  const { scope, size } = data;
  const numbers = [size, ...(scope === "range" ? [data.first, data.stop] : [])];
  if (
    FIELDS.get(scope) !== Object.keys(data).sort().join(",") || data.format !== FORMAT || typeof data.origin !== "string" ||
    !numbers.every((number) => Number.isSafeInteger(number) && number >= 0) ||
    (scope === "subject" && !isSubject(data.subject))
  ) {
    throw new BundleMalformed("bundle.json", `what ${FORMAT} says of a bundle`, excerpt(data, 300));
  }
  for (const [wanted, kind] of [[subject, "subject"], [span, "range"]]) {
    if (wanted !== null && scope !== kind && scope !== "log") {
      throw new BundleMalformed("scope", `a bundle of a ${kind}, as was asked for`, scope);
    }
  }
  const about = { scope, size, subject: data.subject ?? "", first: data.first ?? null, stop: data.stop ?? null };
  if (subject !== null) return { ...about, subject };
  if (scope !== "range") return about;
  const [first, stop] = span ?? [data.first, data.stop];
  if (!(first < stop && stop <= size)) throw new BundleMalformed("range", `entries below ${size}`, `${first} to ${stop}`);
  return { ...about, first, stop };
}

/** Refuse members that a bundle of this scope and size does not have. @param {BundleFile} bundle @param {About} about */
function checkNames(bundle, about) {
  const whole = about.scope === "log";
  const foreign = (/** @type {string} */ name) =>
    new BundleMalformed("file", `only files of a bundle of scope ${about.scope}`, name);
  const requires = (/** @type {string} */ name) => {
    if (!bundle.has(name)) throw new BundleMalformed(name, "a file in the bundle", "none of that name");
  };
  for (const name of bundle.names) {
    const folder = name.includes("/") ? name.slice(0, name.indexOf("/")) : "";
    const dot = name.lastIndexOf(".");
    if (whole && folder === "tile") checkTileName(name, about.size);
    else if (folder === (whole ? "entry" : "tile") || (name === "epoch.json" && about.scope !== "subject")) {
      throw foreign(name);
    } else if (folder === "entry") {
      for (const ending of ["note", "tlog-proof"]) requires(`${name.slice(0, dot)}.${ending}`);
    } else if (folder === "timestamps") {
      if (whole && name.endsWith(".consistency")) throw foreign(name);
      for (const ending of whole ? ["note", "tsr"] : ["note", "tsr", "consistency"]) {
        requires(`${name.slice(0, dot)}.${ending}`);
      }
    }
  }
}

/** @param {string} name @param {number} size */
function checkTileName(name, size) {
  let tile;
  try {
    tile = parseTilePath(name);
  } catch (error) {
    const { expected, found } = only(error, TlogError);
    throw new BundleMalformed(name, expected, found);
  }
  const width = widthAt(size, tile.level ?? 0, tile.index);
  if (tile.width !== width) {
    throw new BundleMalformed(name, `a tile of a log of ${size} entries`, `one of ${tile.width}, not ${width}`);
  }
}

/** What both kinds of bundle share: steps 4 and 5. The first fault of each is kept until the entries are through. */
class Contents {
  /** @type {Fault | null} */
  attachmentFault = null;
  /** @type {Fault | null} */
  disclosureFault = null;
  /** @type {BundleMalformed | null} */
  damage = null;
  /** @type {Set<string>} */
  attached = new Set();
  /** @type {Disclosed[]} */
  disclosed = [];
  /** By entry, what is disclosed of it. @type {Map<number, {commitment: string, label: string}[]>} */
  disclosures = new Map();

  /** @param {BundleFile} bundle */
  constructor(bundle) {
    this.bundle = bundle;
  }

  /** @param {BundleFile} bundle */
  static async read(bundle) {
    const contents = new Contents(bundle);
    for (const name of bundle.names) {
      if (name.startsWith("disclosures/")) await contents.#readDisclosure(name);
    }
    return contents;
  }

  /** @param {string} name */
  async #readDisclosure(name) {
    const commitment = name.slice("disclosures/".length, -".json".length);
    const data = await readJson(this.bundle, name, 2 * MAX_ATTACHMENT);
    const [salt, value] = [fromHex(data.salt), fromHex(data.value)];
    const { entry, label } = data;
    if (
      Object.keys(data).sort().join(",") !== "commitment,entry,label,salt,value" || data.commitment !== commitment ||
      !Number.isSafeInteger(entry) || typeof label !== "string" || salt?.length !== 32 || !value
    ) {
      throw new BundleMalformed(
        name, "commitment, entry, label, and 32 bytes of salt and a value in hex", "another");
    }
    if (hex(await sha256(concat(DOMAIN, salt, value))) !== commitment) {
      this.disclosureFault ??= new Fault(
        "disclosure", `a value that opens ${commitment}`, "one that does not", { at: entry });
    }
    this.disclosures.set(entry, [...(this.disclosures.get(entry) ?? []), { commitment, label }]);
    this.disclosed.push({
      commitment, entry, label, size: value.length, sha256: hex(await sha256(value)), text: readable(value),
    });
  }

  /** @param {Entry} entry */
  async lookInto(entry) {
    for (const { commitment, label } of this.disclosures.get(entry.index) ?? []) {
      const found = valueAt(entry.body, label);
      if (found !== commitment) {
        this.disclosureFault ??= new Fault(
          "disclosure", `${commitment} at ${excerpt(label)}`, excerpt(found), { at: entry.index });
      }
    }
    this.disclosures.delete(entry.index);
    for (const digest of namedIn(entry)) {
      if (!this.attachmentFault) await this.#checkAttachment(entry.index, digest);
    }
  }

  /** @param {number} at @param {string} digest */
  async #checkAttachment(at, digest) {
    const name = `attachments/${digest}`;
    if (!DIGEST.test(digest) || !this.bundle.has(name)) {
      this.attachmentFault = new Fault("attachment_missing", excerpt(digest), "no file of that name", { at });
      return;
    }
    if (this.attached.has(digest)) return;
    const { data, damage } = await this.bundle.salvage(name, MAX_ATTACHMENT);
    const found = hex(await sha256(data));
    if (found !== digest) this.attachmentFault = new Fault("attachment_changed", digest, found, { at });
    else if (damage) throw damage;
    this.attached.add(digest);
  }

  /** What steps 4 and 5 found, and that nothing is left that no entry speaks of. */
  check() {
    if (this.attachmentFault) throw this.attachmentFault;
    for (const name of this.bundle.names) {
      if (name.startsWith("attachments/") && !this.attached.has(name.slice("attachments/".length))) {
        throw new BundleMalformed("file", "attachments that an entry names", name);
      }
    }
    if (this.disclosureFault) throw this.disclosureFault;
    for (const [index, [{ commitment }]] of [...this.disclosures].sort(([a], [b]) => a - b)) {
      throw new Fault("disclosure", `entry ${index}, of which ${commitment} is disclosed`, "no such entry here");
    }
  }
}

/** The stamped checkpoints of a bundle, smallest first. @param {BundleFile} bundle */
async function readStamps(bundle) {
  const stamps = [];
  for (const size of numbered(bundle, "timestamps/", ".note")) {
    const note = await bundle.salvage(`timestamps/${size}.note`, MAX_ENTRY);
    const response = await bundle.salvage(`timestamps/${size}.tsr`, MAX_RESPONSE);
    let damage = note.damage ?? response.damage;
    const begin = note.data.indexOf(10) + 1;
    const line = utf8(`${size}\n`);
    if (!note.damage && !(begin && equal(note.data.subarray(begin, begin + line.length), line))) {
      damage ??= new BundleMalformed(
        `timestamps/${size}.note`, `a checkpoint of ${size} entries`, excerpt(note.data));
    }
    stamps.push({ size, note: note.data, response: response.data, damage });
  }
  return stamps;
}

/** The numbers of the members of a folder, ascending, as they are written. @param {BundleFile} bundle @param {string} folder @param {string} ending */
function numbered(bundle, folder, ending) {
  const names = bundle.names.filter((name) => name.startsWith(folder) && name.endsWith(ending));
  const numbers = names.map((name) => name.slice(folder.length, -ending.length));
  return numbers.sort((a, b) => a.length - b.length || (a < b ? -1 : Number(a > b)));
}

/** Step 2. @param {BundleFile} bundle @param {About} about @param {Asked} asked @param {Contents} contents @returns {Promise<BundleVerdict>} */
async function verifyWhole(bundle, about, asked, contents) {
  const deep = asked.deep ?? true;
  const tiles = new Tiles(bundle);
  const stamps = asked.policy.timestampRoots.length ? await readStamps(bundle) : [];
  const checkpoint = bundle.has("checkpoint") ? await bundle.read("checkpoint") : null;
  /** @type {Fault | null} what ended the stream of entries */
  let cut = null;
  /** @type {BundleMalformed | null} a checksum that did not fit, where the entries can still be read */
  let damaged = null;
  async function* groups() {
    for (const tile of bundlesOf(about.size)) {
      const path = tilePath(tile);
      if (!bundle.has(path)) return; // the verifier says from which entry on they are missing
      const { data, damage } = await bundle.salvage(path, MAX_ENTRY_BUNDLE);
      const { entries, all } = wholeEntries(data);
      if (entries.length !== tile.width || !all) {
        const at = tile.index * WIDTH + Math.min(entries.length, tile.width);
        cut = new Fault("bundle", `${path}: ${tile.width} entries`, `${entries.length} whole ones`, { at });
      }
      damaged ??= damage;
      yield entries.slice(0, tile.width);
      if (cut) return;
    }
  }
  const verdict = await verifyGroups(groups(), {
    checkpoint, policy: asked.policy, timestamps: stamps, deep, signal: asked.signal,
    onProgress: (entries) => asked.onProgress?.(entries, about.size),
    onEntry: async (entry, leaf) => {
      await tiles.take(leaf);
      if (!deep) return;
      try {
        await contents.lookInto(/** @type {Entry} */ (entry));
      } catch (error) {
        contents.damage ??= only(error, BundleMalformed);
      }
    },
    // What is wrong with a sound entry's attachment comes before any later entry's own fault, and the checkpoint's.
    settle: () => contents.attachmentFault,
  });
  try {
    const stopped = /** @type {Fault | null} */ (cut);
    if (stopped && (verdict.broken_at === null || verdict.broken_at >= (stopped.at ?? 0))) throw stopped;
    if (!isIntact(verdict.status)) {
      const { status, check, expected, found, broken_at: at } = verdict;
      throw new Fault(check, expected, found, { status, at });
    }
    if (verdict.size !== about.size) throw new BundleMalformed("bundle.json", `size ${verdict.size}`, String(about.size));
    for (const { damage } of stamps) if (damage) throw damage;
    await tiles.finish();
    if (tiles.fault) throw tiles.fault;
    if (deep) contents.check();
    const damage = damaged ?? tiles.damage ?? contents.damage;
    if (damage) throw damage;
  } catch (error) {
    return verdictOf(about, error instanceof Fault ? error : malformed(only(error, BundleMalformed)), verdict);
  }
  const { scope, subject, first, stop } = about;
  return {
    ...verdict, scope, subject, first, stop, complete_up_to: subject ? verdict.size : null,
    attachments: contents.attached.size, disclosures: deep ? contents.disclosed : [],
  };
}

/** Compares each hash tile with what the entries hash to. */
class Tiles {
  /** @type {Fault | null} */
  fault = null;
  /** @type {BundleMalformed | null} */
  damage = null;
  /** Of each level: how many tiles are full, and the next one's hashes. @type {{full: number, next: Uint8Array[]}[]} */
  #levels = [];

  /** @param {BundleFile} bundle */
  constructor(bundle) {
    this.bundle = bundle;
  }

  /** @param {Uint8Array} hash @param {number} [level] @returns {Promise<void> | undefined} */
  take(hash, level = 0) {
    this.#levels[level] ??= { full: 0, next: [] };
    const { next } = this.#levels[level];
    next.push(hash);
    return next.length === WIDTH ? this.#full(level) : undefined;
  }

  /** @param {number} level */
  async #full(level) {
    const { full, next } = this.#levels[level];
    await this.#compare(level, full, next);
    this.#levels[level] = { full: full + 1, next: [] };
    await this.take(await rootOf(next), level + 1);
  }

  /** Compare the last, partial tile of each level. */
  async finish() {
    for (const [level, { full, next }] of this.#levels.entries()) {
      if (next.length) await this.#compare(level, full, next);
    }
  }

  /** @param {number} level @param {number} index @param {Uint8Array[]} hashes */
  async #compare(level, index, hashes) {
    if (this.fault) return;
    const path = tilePath({ level, index, width: hashes.length });
    const { data, damage } = await this.bundle.salvage(path, WIDTH * HASH_BYTES);
    this.damage ??= damage;
    const missing = !data.length && damage;
    if (missing) this.fault = new Fault("tile", path, damage.found, { status: INCOMPLETE });
    else if (!equal(data, concat(...hashes))) {
      const place = hashes.findIndex((hash, at) => !equal(hash, data.subarray(at * HASH_BYTES, (at + 1) * HASH_BYTES)));
      const found = hex(data.subarray(place * HASH_BYTES, (place + 1) * HASH_BYTES));
      this.fault = place < 0
        ? new Fault("tile", `${path}: ${hashes.length * HASH_BYTES} bytes`, `${data.length} bytes`)
        : new Fault("tile", `${path}, hash ${place}: ${hex(hashes[place])}`, found || "nothing");
    }
  }
}

/** Step 3. @param {BundleFile} bundle @param {About} about @param {Asked} asked @param {Contents} contents @returns {Promise<BundleVerdict>} */
async function verifyPart(bundle, about, asked, contents) {
  const part = new Part(bundle, about, asked, contents);
  /** @type {Fault | null} */
  let fault = null;
  try {
    await part.verify();
  } catch (error) {
    fault = error instanceof Fault ? error : malformed(only(error, BundleMalformed));
  }
  asked.onProgress?.(part.sealed.length, part.indexes.length);
  const { scope, subject, first, stop } = about;
  const shown = {
    entries: part.sound, size: part.head?.size ?? 0, root: hex(part.head?.root ?? EMPTY_ROOT), uncovered: 0,
    witnesses: part.witnesses, timestamps: 0, timestamps_unchecked: part.unchecked, attachments: contents.attached.size,
    scope, subject, first, stop,
  };
  if (fault) return verdictOf(about, fault, shown);
  const witnessed = wantsWitnesses(asked.policy) && metBy(asked.policy, part.witnesses);
  return {
    ...shown, status: witnessed ? INTACT_AND_WITNESSED : INTACT_UNWITNESSED, broken_at: null, check: "", expected: "",
    found: "", complete_up_to: part.completeUpTo, disclosures: contents.disclosed,
  };
}

class Part {
  sound = 0;
  /** @type {import("./checkpoint.js").Checkpoint | null} */
  head = null;
  note = new Uint8Array();
  /** @type {string[]} */
  witnesses = [];
  unchecked = 0;
  /** @type {number | null} */
  completeUpTo = null;
  /** The subject's leaf hashes, by index. @type {Map<number, string>} */
  leaves = new Map();
  /** @type {{index: number, sealedAt: string}[]} */
  sealed = [];

  /** @param {BundleFile} bundle @param {About} about @param {Asked} asked @param {Contents} contents */
  constructor(bundle, about, asked, contents) {
    this.bundle = bundle;
    this.about = about;
    this.asked = asked;
    this.policy = asked.policy;
    this.contents = contents;
    this.indexes = numbered(bundle, "entry/", ".note");
  }

  async verify() {
    const keys = await KeysInForce.of(this.policy);
    const witnesses = await readWitnesses(this.policy);
    await this.followRotations(keys);
    await this.openCheckpoint(keys, witnesses); // b
    const epoch = await this.checkEntries(keys); // c
    if (this.about.scope === "range") this.checkRangeEnd(); // d
    else await this.checkEpoch(epoch); // e
    await this.checkStamps(keys); // f
    this.contents.check();
  }

  /** Step a. Read ahead of everything: the checkpoint is signed by the last key. What is wrong is named in step c. @param {KeysInForce} keys */
  async followRotations(keys) {
    const kind = `"kind":"${KEY_ROTATED}"`;
    const bytes = new TextDecoder("windows-1252");
    for (const stem of this.indexes) {
      const { data } = await this.bundle.salvage(`entry/${stem}.note`, MAX_ENTRY);
      if (!bytes.decode(data).includes(kind)) continue;
      try {
        const { entry, note } = readEntry(data);
        if (entry.kind === KEY_ROTATED && entry.index === Number(stem)) {
          const signer = await keys.signerOf(entry.index, note);
          keys.rotate(signer, await readRotation(entry, signer), entry.index);
        }
      } catch (error) {
        only(error, TlogError);
        return;
      }
    }
  }

  /** @param {KeysInForce} keys @param {Awaited<ReturnType<typeof readWitnesses>>} witnesses */
  async openCheckpoint(keys, witnesses) {
    if (!this.bundle.has("checkpoint")) throw new Fault("checkpoint_missing", "a signed checkpoint", "none");
    this.note = await this.bundle.read("checkpoint");
    const { head, note } = await this.openHead(this.note, keys);
    if (head.size !== this.about.size) {
      throw new BundleMalformed("bundle.json", `size ${head.size}`, String(this.about.size));
    }
    this.witnesses = await cosignersOf(note, witnesses);
    this.head = head;
  }

  /** @param {Uint8Array} data @param {KeysInForce} keys */
  async openHead(data, keys) {
    let note;
    let head;
    try {
      note = parseNote(data);
      head = parseCheckpoint(note.text);
    } catch (error) {
      throw Fault.of("checkpoint_format", only(error, TlogError));
    }
    try {
      await verifyNote(note, keys.over(head.size));
    } catch (error) {
      throw Fault.of("checkpoint_signature", only(error, SignatureNotVerified));
    }
    if (head.origin !== this.policy.origin) {
      throw new Fault("checkpoint_origin", excerpt(this.policy.origin), excerpt(head.origin));
    }
    return { head, note };
  }

  /** Steps c to e; returns the newest index epoch. @param {KeysInForce} keys */
  async checkEntries(keys) {
    const { first, stop } = this.about;
    /** @type {Entry | null} */
    let epoch = null;
    /** @type {{index: number, leaf: string, sealedAt: string} | null} */
    let before = null;
    /** @type {Map<string, {count: number, head: string}>} */
    const heads = new Map();
    let wanted = first;
    for (const stem of this.indexes) {
      if (this.asked.signal?.aborted) throw new Cancelled();
      const at = Number(stem);
      const { entry, leaf } = await this.checkEntry(stem, keys);
      const prev = before && before.index === at - 1 ? before.leaf : at === 0 ? ZERO_HASH : entry.prev;
      if (entry.prev !== prev) throw new Fault("prev", prev, entry.prev, { at });
      if (before && entry.sealed_at < before.sealedAt) {
        throw new Fault("sealed_at", `${before.sealedAt} or later`, entry.sealed_at, { at });
      }
      before = { index: at, leaf: hex(leaf), sealedAt: entry.sealed_at };
      const inRange = first !== null && stop !== null && first <= at && at < stop;
      this.checkBelongs(entry, inRange);
      if (inRange) {
        if (at !== wanted) {
          throw new Fault("range", `entry ${wanted}`, `entry ${at}`, { at: wanted, status: INCOMPLETE });
        }
        wanted = at + 1;
      }
      this.checkSubject(entry, hex(leaf), heads, inRange);
      if (entry.kind === INDEX_EPOCH) epoch = entry;
      await this.contents.lookInto(entry);
      this.sealed.push({ index: at, sealedAt: entry.sealed_at });
      this.sound += Number(inRange || entry.subject === this.about.subject);
      if (this.sealed.length % 64 === 0) this.asked.onProgress?.(this.sealed.length, this.indexes.length);
    }
    return epoch;
  }

  /** Step c, for one entry. @param {string} stem @param {KeysInForce} keys */
  async checkEntry(stem, keys) {
    const at = Number(stem);
    const { data, damage } = await this.bundle.salvage(`entry/${stem}.note`, MAX_ENTRY);
    let read;
    try {
      read = readEntry(data);
    } catch (error) {
      throw Fault.of(error instanceof KindNotAdmitted ? "kind" : "format", only(error, TlogError), at);
    }
    const { entry, note } = read;
    if (entry.origin !== this.policy.origin) {
      throw new Fault("origin", excerpt(this.policy.origin), excerpt(entry.origin), { at });
    }
    try {
      const signer = await keys.signerOf(at, note);
      if (entry.kind === KEY_ROTATED) await readRotation(entry, signer);
    } catch (error) {
      throw Fault.of(error instanceof SignatureNotVerified ? "signature" : KEY_ROTATED, only(error, TlogError), at);
    }
    if (entry.index !== at) throw new Fault("index", `entry ${stem}`, `entry ${entry.index}`, { at });
    const leaf = await leafHash(data);
    await this.checkProof(at, leaf);
    if (damage) throw damage;
    return { entry, leaf };
  }

  /** @param {number} at @param {Uint8Array} leaf */
  async checkProof(at, leaf) {
    const { size, root } = /** @type {import("./checkpoint.js").Checkpoint} */ (this.head);
    const data = await this.bundle.read(`entry/${at}.tlog-proof`);
    try {
      const proof = parseProof(data);
      if (proof.index !== at) throw new Fault("proof", `a proof of entry ${at}`, `one of entry ${proof.index}`, { at });
      if (!equal(proof.checkpoint, this.note)) {
        throw new Fault("proof", "a proof to the bundle's checkpoint", "one to another", { at });
      }
      await verifyInclusion({ leaf, index: at, size, path: proof.path, root });
    } catch (error) {
      if (error instanceof Fault) throw error;
      throw Fault.of("proof", only(error, TlogError), at);
    }
  }

  /** Refuse an entry that this bundle has no reason to hold. @param {Entry} entry @param {boolean} inRange */
  checkBelongs(entry, inRange) {
    if (inRange || entry.kind === KEY_ROTATED) return;
    const subject = this.about.scope === "subject";
    if (subject && (entry.subject === this.about.subject || entry.kind === INDEX_EPOCH)) return;
    throw new BundleMalformed(
      `entry/${entry.index}.note`, "entries that were asked for", `${entry.kind} ${entry.subject}`);
  }

  /** Steps d and e: what is here of one subject continues without a gap. @param {Entry} entry @param {string} leaf @param {Map<string, {count: number, head: string}>} heads @param {boolean} inRange */
  checkSubject(entry, leaf, heads, inRange) {
    const start = { count: 0, head: ZERO_HASH };
    let known;
    if (this.about.scope === "subject") {
      if (entry.subject !== this.about.subject) return;
      known = heads.get(entry.subject) ?? start;
      this.leaves.set(entry.index, leaf);
    } else {
      if (!inRange) return;
      known = heads.get(entry.subject) ?? (this.about.first === 0 ? start : null);
    }
    const at = entry.index;
    if (known && entry.subject_seq !== known.count) {
      throw new Fault("subject_seq", `${known.count} for ${entry.subject}`, String(entry.subject_seq), { at });
    }
    if (known && entry.subject_prev !== known.head) {
      throw new Fault("subject_prev", known.head, entry.subject_prev, { at });
    }
    heads.set(entry.subject, { count: entry.subject_seq + 1, head: leaf });
  }

  checkRangeEnd() {
    const first = /** @type {number} */ (this.about.first);
    const stop = /** @type {number} */ (this.about.stop);
    const at = first + this.indexes.filter((stem) => first <= Number(stem) && Number(stem) < stop).length;
    if (at !== stop) throw new Fault("range", `entry ${at}`, "no such file", { at, status: INCOMPLETE });
  }

  /** Step e. @param {Entry | null} entry */
  async checkEpoch(entry) {
    if (!this.bundle.has("epoch.json")) {
      if (entry) throw new BundleMalformed("epoch.json", "a file in the bundle", "none of that name");
      if (!this.leaves.size) {
        throw new Fault("empty", "an entry about the subject, or a proof that there is none", "neither");
      }
      return;
    }
    const data = await readJson(this.bundle, "epoch.json");
    if (!entry || data.entry !== entry.index) {
      throw new BundleMalformed(
        "epoch.json", `the entry ${entry ? entry.index : "of an index epoch, in the bundle"}`, excerpt(data.entry));
    }
    const at = entry.index;
    let epoch;
    try {
      epoch = readEpoch(entry);
    } catch (error) {
      throw Fault.of(INDEX_EPOCH, only(error, TlogError), at);
    }
    let head;
    try {
      head = await this.readHead(data, epoch);
    } catch (error) {
      if (error instanceof BundleMalformed) throw error;
      throw Fault.of("epoch_proof", only(error, TlogError), at);
    }
    const before = [...this.leaves].filter(([index]) => index < at).map(([, leaf]) => leaf);
    const count = head?.count ?? 0;
    const shown = `${count} entries of the subject before entry ${at}`;
    if (before.length < count) throw new Fault("subject_seq", shown, String(before.length), { status: INCOMPLETE });
    if (before.length > count) throw new Fault("epoch_proof", String(before.length), shown, { at });
    const newest = before.at(-1);
    if (newest && (!head || newest !== hex(head.head))) {
      throw new Fault("epoch_proof", newest, head ? hex(head.head) : "none", { at });
    }
    this.completeUpTo = at;
  }

  /** Return the subject's leaf of the epoch, null where it is shown to have none. @param {any} data @param {{root: Uint8Array, subjects: number}} epoch */
  async readHead(data, { root, subjects }) {
    const sought = await subjectHash(this.about.subject);
    const names = Object.keys(data).sort().join(",");
    if (names === "entry,present") {
      const leaf = epochLeaf(data.present, sought);
      await verifyPresent(sought, leaf, root, subjects);
      return leaf;
    }
    if (names !== "absent,entry" || !Array.isArray(data.absent)) {
      throw new BundleMalformed("epoch.json", "entry, and present or absent", excerpt(names));
    }
    const neighbours = data.absent.map((/** @type {any} */ one) => epochLeaf(one));
    await verifyAbsent(sought, neighbours, root, subjects);
    return null;
  }

  /** Step f. The tokens are counted, and not checked: nothing here can read them. @param {KeysInForce} keys */
  async checkStamps(keys) {
    const stamps = await readStamps(this.bundle);
    if (this.policy.timestampRoots.length) this.unchecked = stamps.length;
    for (const { size, note, damage } of stamps) {
      if (damage) throw damage;
      await this.checkStamped(size, note, keys);
    }
    if (this.policy.timestampWithin === null) return;
    if (this.unchecked) {
      throw new Fault(
        "timestamp_unchecked", "timestamps, read by a program that can", "a browser, which cannot",
        { status: INCOMPLETE });
    }
    // Without a stamp, what is older than the policy's time is late; the newest entry tells what time it is.
    const within = this.policy.timestampWithin * 1000;
    const newest = Date.parse(this.sealed.at(-1)?.sealedAt ?? "");
    const late = this.sealed.find(({ sealedAt }) => Date.parse(sealedAt) + within < newest);
    if (late && late === this.sealed[0]) {
      throw new Fault("timestamp_late", `a timestamp within ${within / 1000} s`, "none", { at: late.index });
    }
  }

  /** Check that a stamped checkpoint is the log's, and that the bundle's continues from it. @param {string} size @param {Uint8Array} note @param {KeysInForce} keys */
  async checkStamped(size, note, keys) {
    const head = /** @type {import("./checkpoint.js").Checkpoint} */ (this.head);
    let old;
    try {
      old = (await this.openHead(note, keys)).head;
    } catch (error) {
      const { expected, found } = only(error, Fault);
      throw new Fault("timestamp", expected, found);
    }
    const name = `timestamps/${size}.consistency`;
    const lines = new TextDecoder().decode(await this.bundle.read(name)).split("\n");
    const rest = lines.pop();
    let proof;
    try {
      proof = lines.map((line) => fromBase64(line));
    } catch (error) {
      const { expected, found } = only(error, TlogError);
      throw new BundleMalformed(name, expected, found);
    }
    if (rest) throw new BundleMalformed(name, "lines that end in a newline", excerpt(rest));
    try {
      await verifyConsistency({ oldSize: old.size, oldRoot: old.root, size: head.size, root: head.root, proof });
    } catch (error) {
      throw Fault.of("timestamp_root", only(error, TlogError));
    }
  }
}

/** Return a member's JSON object, which stands in its one canonical form. @param {BundleFile} bundle @param {string} name @param {number} [limit] @returns {Promise<any>} */
async function readJson(bundle, name, limit) {
  const data = await bundle.read(name, limit);
  let found;
  try {
    found = decode(data);
  } catch (error) {
    const { what, expected, found: other } = only(error, TlogError);
    throw new BundleMalformed(`${name}, ${what}`, expected, other);
  }
  if (!isObject(found)) throw new BundleMalformed(name, "a JSON object", excerpt(found));
  return found;
}

/**
 * Read one leaf of `epoch.json`; where `subject` is given, the leaf does not name it.
 * @param {any} data @param {Uint8Array | null} [subject] @returns {import("./epoch.js").EpochLeaf}
 */
function epochLeaf(data, subject = null) {
  const wanted = subject ? "count,head,path,place" : "count,head,path,place,subject";
  const shaped = isObject(data) && Object.keys(data).sort().join(",") === wanted && Array.isArray(data.path);
  const hashes = shaped ? [subject ?? fromHex(data.subject), fromHex(data.head), ...data.path.map(fromHex)] : [];
  if (
    !shaped || !hashes.every((hash) => hash?.length === HASH_BYTES) ||
    !Number.isSafeInteger(data.place) || !Number.isSafeInteger(data.count) || data.place < 0 || data.count < 1
  ) {
    throw new BundleMalformed("epoch.json", wanted, excerpt(data, 200));
  }
  const [named, head, ...path] = /** @type {Uint8Array[]} */ (hashes);
  return { place: data.place, subject: named, count: data.count, head, path };
}

/** Return what stands in a body where a label says: keys and places of lists, joined by dots. @param {any} body @param {string} label */
function valueAt(body, label) {
  for (const step of label.split(".")) {
    if (isObject(body)) body = Object.hasOwn(body, step) ? body[step] : null;
    else if (Array.isArray(body) && /^[0-9]{1,5}$/.test(step) && Number(step) < body.length) body = body[Number(step)];
    else return null;
  }
  return body;
}

/** The value as text, where it is short and a person can read it. @param {Uint8Array} value */
function readable(value) {
  try {
    const text = value.length <= 500 ? fromUtf8(value) : "";
    return /^(?:[^\p{C}\p{Z}]| )*$/u.test(text) ? text : "";
  } catch {
    return "";
  }
}
