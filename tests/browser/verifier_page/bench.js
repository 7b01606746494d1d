/** Puts the verifier's modules at a test's hand: values come and go as JSON, bytes as base64. */
import { base64, fromBase64, fromHex, utf8 } from "/js/ledger/bytes.js";
import { verifyBundle } from "/js/ledger/bundle.js";
import { decode } from "/js/ledger/canonical.js";
import { isTime } from "/js/ledger/entry.js";
import { TlogError } from "/js/ledger/errors.js";
import { verifyLive } from "/js/ledger/live.js";
import { checkKeyName } from "/js/ledger/note.js";
import { parsePolicy } from "/js/ledger/policy.js";
import { parseProof } from "/js/ledger/proof.js";
import { verifyEntries } from "/js/ledger/verify.js";

const PARSERS = {
  canonical: (data) => decode(data),
  base64: (data) => fromBase64(new TextDecoder().decode(data)),
  policy: (data) => parsePolicy(data),
  proof: (data) => parseProof(data),
  name: (data) => checkKeyName(new TextDecoder("utf-8", { ignoreBOM: true }).decode(data)),
  time: (data) => {
    if (!isTime(new TextDecoder("utf-8", { ignoreBOM: true }).decode(data))) throw new TlogError("time", "a time", "another");
  },
};

async function verdictOf({ kind, deep = true, ...given }) {
  const policy = await parsePolicy(utf8(given.policy));
  const known = given.known ? { size: given.known.size, root: fromHex(given.known.root) } : null;
  if (kind === "bundle") return verifyBundle(new Blob([fromBase64(given.bundle)]), { policy, deep });
  if (kind === "live") return verifyLive(given.base, { policy, known, deep });
  const notes = given.notes.map(fromBase64);
  const checkpoint = given.checkpoint === null ? null : fromBase64(given.checkpoint);
  const timestamps = (given.timestamps ?? []).map(
    ({ note, response }) => ({ note: fromBase64(note), response: fromBase64(response) }));
  const began = performance.now();
  const verdict = await verifyEntries(notes, { checkpoint, policy, known, deep, timestamps });
  return { ...verdict, seconds: (performance.now() - began) / 1000 };
}

window.verify = async (cases) => {
  const verdicts = [];
  for (const one of cases) {
    try {
      verdicts.push(await verdictOf(one));
    } catch (error) {
      verdicts.push({ status: "threw", check: error.stack, broken_at: null });
    }
  }
  return verdicts;
};

/** Tell of each text whether a parser admits it; what is thrown besides a TlogError is a bug. */
window.admits = async (parser, texts) => {
  const told = [];
  for (const text of texts) {
    try {
      await PARSERS[parser](fromBase64(text));
      told.push(true);
    } catch (error) {
      told.push(error instanceof TlogError ? false : String(error.stack));
    }
  }
  return told;
};
window.ready = base64(utf8("ready"));
