/** Key rotation: what a `key_rotated` entry proves (docs/ledger-format.md). */
import { fromHex, utf8 } from "./bytes.js";
import { TlogError, excerpt } from "./errors.js";
import { logVerifier, signed } from "./note.js";

/**
 * Return the key that takes over behind the entry, which `old` signed.
 * @param {import("./entry.js").Entry} entry @param {import("./note.js").Verifier} old
 */
export async function readRotation(entry, old) {
  const { body } = entry;
  const names = Object.keys(body).sort().join(",");
  if (names !== "new,old,proof" || !Object.values(body).every((value) => typeof value === "string")) {
    throw new TlogError("key_rotated", "new, old, proof", excerpt(names));
  }
  if (body.old !== old.vkey) throw new TlogError("old key", excerpt(old.vkey, 200), excerpt(body.old, 200));
  let taking;
  try {
    taking = await logVerifier(body.new);
  } catch (error) {
    if (error instanceof TlogError) throw new TlogError("new key", error.expected, error.found);
    throw error;
  }
  if (taking.name !== entry.origin || taking.vkey === old.vkey) {
    throw new TlogError("new key", `another key of ${excerpt(entry.origin)}`, excerpt(body.new, 200));
  }
  const lines = ["custody/key-rotation/v1", entry.origin, entry.index, entry.prev, body.old, body.new];
  const proof = fromHex(body.proof);
  if (!proof || !(await signed(taking.publicKey, proof, utf8(`${lines.join("\n")}\n`)))) {
    throw new TlogError(
      "proof", "the new key's signature over this rotation, as lowercase hex", excerpt(body.proof));
  }
  return taking;
}
