"""
Verify a bundle on the command line: ``python -m ledger.tlog verify BUNDLE --origin … --vkey …``.

Keys, origin, witnesses and timestamp roots come from the command line alone; without a key nothing is verified.
"""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TextIO

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from ledger.tlog.bundle import verify_bundle
from ledger.tlog.bundle_contents import BundleVerdict, Disclosed
from ledger.tlog.entry import SUBJECT
from ledger.tlog.errors import TlogError, excerpt
from ledger.tlog.note import Verifier
from ledger.tlog.policy import Policy, parse_policy

INTACT, NOT_INTACT, USAGE, STOPPED = 0, 1, 2, 130


class _Unusable(Exception):
    """What the command line asks for cannot be done; nothing was verified."""


def main(arguments: Sequence[str] | None = None, *, out: TextIO | None = None, err: TextIO | None = None) -> int:
    """Verify what the arguments name; 0 where it is intact, 1 where it is broken or incomplete, 2 for wrong usage."""
    out, err = out or sys.stdout, err or sys.stderr
    options = _parser().parse_args(arguments)
    try:
        policy = _policy(options)
        verdict = verify_bundle(
            options.bundle,
            policy=policy,
            deep=not options.fast,
            workers=options.workers,
            subject=options.subject,
            span=tuple(options.range) if options.range else None,
            on_progress=_Progress(err) if err.isatty() and not options.json else None,
        )
    except _Unusable as error:
        err.write(f"Nothing was verified: {error}\n")
        return USAGE
    except OSError as error:
        err.write(f"Nothing was verified: {error.filename or options.bundle}: {error.strerror or error}\n")
        return USAGE
    except KeyboardInterrupt:
        err.write("\nStopped before there was a verdict.\n")
        return STOPPED
    if err.isatty() and not options.json:
        err.write("\r\033[K")
    try:
        if options.json:
            json.dump(asdict(verdict) | {"sentence": verdict.sentence(), "intact": verdict.intact}, out, indent=2)
            out.write("\n")
        else:
            _write(out, verdict, policy, options)
        out.flush()
    except BrokenPipeError:
        # Whoever read the output has seen enough; the exit status still tells. Python would flush once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), out.fileno())
    return INTACT if verdict.intact else NOT_INTACT


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=Path(sys.argv[0]).name if sys.argv[0].endswith(".pyz") else "python -m ledger.tlog",
        description="Verify a custody ledger offline.",
    )
    commands = parser.add_subparsers(required=True, metavar="command")
    verify = commands.add_parser(
        "verify",
        help="verify a bundle",
        description="Verify a bundle against keys that you hold. Exit status: 0 intact, 1 not, 2 wrong usage.",
    )
    verify.add_argument("bundle", type=Path, help="the bundle, a ZIP file")
    verify.add_argument("--origin", help="the log's name, as you were told it")
    verify.add_argument(
        "--vkey", action="append", default=[], help="a verifier key of the log, as you were told it (repeatable)"
    )
    verify.add_argument(
        "--policy", type=Path, help="your own policy file: keys, witnesses, quorum; never the one in the bundle"
    )
    verify.add_argument(
        "--timestamp-root",
        type=Path,
        action="append",
        default=[],
        help="certificate (PEM or DER) of an authority whose timestamps you believe (repeatable)",
    )
    verify.add_argument("--subject", help="the shipment (urn:uuid:…) that the bundle must be about")
    verify.add_argument(
        "--range", type=int, nargs=2, metavar=("FIRST", "STOP"), help="the entries that the bundle must hold, STOP not"
    )
    verify.add_argument("--fast", action="store_true", help="whole logs: hashes, chains and tree, not every signature")
    verify.add_argument(
        "--workers", type=int, default=os.cpu_count() or 1, help="processes that check signatures (default: all cores)"
    )
    verify.add_argument("--json", action="store_true", help="print the verdict as JSON")
    return parser


def _policy(options: argparse.Namespace) -> Policy:
    """Build the policy from what the command line pins."""
    if not options.vkey and not options.policy:
        raise _Unusable(
            "pin the log's key with --vkey (and --origin), or name your policy file with --policy. "
            "Ask the log's operator for it by another way than the bundle."
        )
    if options.workers < 1:
        raise _Unusable("--workers is a number from 1 on")
    if options.subject is not None and not SUBJECT.fullmatch(options.subject):
        raise _Unusable(f"--subject is a lowercase urn:uuid:, not {excerpt(options.subject)}")
    try:
        pinned = None
        if options.vkey:
            names = {Verifier.from_vkey(vkey).name for vkey in options.vkey}
            origin = options.origin or (names.pop() if len(names) == 1 else "")
            if not origin:
                raise _Unusable("the keys are of several names; say with --origin which log you ask for")
            pinned = Policy.pin(origin, *options.vkey)
        policy = parse_policy(options.policy.read_bytes(), log=pinned) if options.policy else pinned
    except TlogError as error:
        raise _Unusable(str(error)) from error
    assert policy
    if pinned and policy.vkeys != pinned.vkeys:
        raise _Unusable("the policy file names the log's keys already; leave --vkey away, or its log lines")
    if options.origin and policy.origin != options.origin:
        raise _Unusable(f"the policy is for the log {excerpt(policy.origin)}, not for {excerpt(options.origin)}")
    roots = tuple(root for path in options.timestamp_root for root in _read_roots(path))
    return replace(policy, timestamp_roots=tuple(dict.fromkeys(policy.timestamp_roots + roots)))


def _read_roots(path: Path) -> list[bytes]:
    data = path.read_bytes()
    try:
        if b"-----BEGIN" in data:
            return [root.public_bytes(Encoding.DER) for root in x509.load_pem_x509_certificates(data)]
        x509.load_der_x509_certificate(data)
    except ValueError as error:
        raise _Unusable(f"{path} is no certificate in PEM or DER: {error}") from error
    return [data]


def _write(out: TextIO, verdict: BundleVerdict, policy: Policy, options: argparse.Namespace) -> None:
    facts: list[tuple[str, object]] = []
    if not verdict.intact:
        facts += [("check", verdict.check), ("expected", verdict.expected), ("found", verdict.found)]
    facts.append(("bundle", {"log": "the whole log", "range": "a range", "subject": "one shipment"}.get(verdict.scope)))
    if verdict.subject:
        facts.append(("shipment", verdict.subject))
    facts += [("entries", verdict.entries), ("checkpoint", f"{verdict.size} entries, root {verdict.root}")]
    if verdict.intact:
        if verdict.subject:
            up_to = verdict.complete_up_to
            facts.append(("complete", "not shown" if up_to is None else f"up to entry {up_to}"))
        facts.append(("attachments", verdict.attachments if not options.fast else "not checked (--fast)"))
    facts.append(("witnesses", ", ".join(verdict.witnesses) or "none"))
    unchecked = f", {verdict.timestamps_unchecked} not checked" if verdict.timestamps_unchecked else ""
    facts.append(("timestamps", f"{verdict.timestamps}{unchecked}"))
    facts += [("disclosed", _disclosed(one)) for one in verdict.disclosures]
    facts.append(("pinned", ", ".join(policy.vkeys)))
    out.write(verdict.sentence() + "\n")
    for name, fact in facts:
        if fact is not None:
            out.write(f"  {name:<12}{fact}\n")


def _disclosed(one: Disclosed) -> str:
    shown = repr(one.text) if one.text else f"{one.size} bytes, SHA-256 {one.sha256}"
    return f"entry {one.entry}, {one.label!r}: {shown}"


class _Progress:
    """The count of sound entries, on one line of a terminal."""

    def __init__(self, err: TextIO) -> None:
        self._err = err

    def __call__(self, entries: int) -> None:
        self._err.write(f"\r{entries} entries")
        self._err.flush()


if __name__ == "__main__":
    sys.exit(main())
