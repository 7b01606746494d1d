/** What makes bytes unacceptable, as facts: each error says what was expected and what was found. */

/** Show a value that comes from whoever made the bytes, cut to `limit` characters. @param {unknown} value */
export function excerpt(value, limit = 80) {
  let shown;
  try {
    shown = value instanceof Uint8Array ? `${value.length} bytes` : (JSON.stringify(value) ?? String(value));
  } catch {
    shown = String(value);
  }
  return shown.length <= limit ? shown : `${shown.slice(0, limit)}…`;
}

/** Bytes, a key or a proof that the format does not admit. */
export class TlogError extends Error {
  /** @param {string} what @param {string} expected @param {string} found */
  constructor(what, expected, found) {
    super(`${what}: expected ${expected}, found ${found}`);
    this.what = what;
    this.expected = expected;
    this.found = found;
  }
}

/** A note that no known key signed, or that a known key's signature does not fit. */
export class SignatureNotVerified extends TlogError {}

/** An entry of an unknown kind, or a genesis that is not entry 0. */
export class KindNotAdmitted extends TlogError {}

/** A file that is not a bundle, or a member of it that cannot be read. */
export class BundleMalformed extends TlogError {}

/** An address that did not answer with what was asked for. */
export class NotFetched extends TlogError {}

/** A check that failed: its stable code, the entry it is about (null where it is about none). */
export class Fault extends Error {
  /** @param {string} check @param {string} expected @param {string} found @param {{at?: number | null, status?: string}} [more] */
  constructor(check, expected, found, { at = null, status = "broken" } = {}) {
    super(`${check}: expected ${expected}, found ${found}`);
    this.check = check;
    this.expected = expected;
    this.found = found;
    this.at = at;
    this.status = status;
  }

  /** @param {string} check @param {TlogError} error @param {number | null} [at] */
  static of(check, error, at = null) {
    return new Fault(check, `${error.what}: ${error.expected}`, error.found, { at });
  }
}

/** The caller asked for the verification to stop. */
export class Cancelled extends Error {}

/** Let anything that is not `kind` pass on, and return the error. @template {Error} T @param {unknown} error @param {new (...a: any[]) => T} kind @returns {T} */
export function only(error, kind) {
  if (error instanceof kind) return error;
  throw error;
}
