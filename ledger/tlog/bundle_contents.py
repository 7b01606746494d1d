"""
What every bundle may have in it, and the verdict over one: attachments, disclosed values, stamped checkpoints.

Serves :mod:`ledger.tlog.bundle`, whose plan numbers the steps that are named here.
"""

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ledger.tlog import canonical
from ledger.tlog.bundle_file import MAX_ATTACHMENT, MAX_ENTRY, BundleFile, BundleMalformed
from ledger.tlog.commitment import SALT_BYTES, opens
from ledger.tlog.errors import NotCanonical, TlogError, excerpt
from ledger.tlog.policy import Policy
from ledger.tlog.timestamp import MAX_RESPONSE_BYTES, StampedCheckpoint
from ledger.tlog.verdict import BROKEN, CHECKS, INCOMPLETE, INTACT_AND_WITNESSED, Verdict

FORMAT = "custody-bundle/v1"
LOG, RANGE, SUBJECT_SCOPE = "log", "range", "subject"
SCOPES = (LOG, RANGE, SUBJECT_SCOPE)

# What is checked here beyond the pure verifier, by its stable code, as the verdict's sentence has it.
BUNDLE_CHECKS = {
    "bundle": "the file is not a bundle in the one form that the format allows",
    "tile": "a tile is not what the entries hash to",
    "proof": "its proof does not lead to the checkpoint",
    "range": "it is not in the bundle",
    "epoch_proof": "what the bundle shows of the index epoch does not hold",
    "attachment_missing": "an attachment that it names is not in the bundle",
    "attachment_changed": "an attachment that it names is not what it was",
    "disclosure": "what is disclosed of it is not what it committed to",
}

_DIGEST = re.compile(r"[0-9a-f]{64}")
_HEX = re.compile(r"(?:[0-9a-f]{2})*")
_MAX_SHOWN = 500


@dataclass(frozen=True)
class Disclosed:
    """A value that opens a commitment: of which entry, where it stands in the body; ``text`` where it is short text."""

    commitment: str
    entry: int
    label: str
    size: int
    sha256: str
    text: str = ""


@dataclass(frozen=True, kw_only=True)
class BundleVerdict(Verdict):
    """
    What a bundle's verification found.

    ``entries`` counts the sound ones of the log, the range or the subject. ``complete_up_to`` is the index before which
    the subject's chain is shown to be whole, None where that is not shown; ``attachments`` counts those that were
    checked.
    """

    scope: str = ""
    subject: str = ""
    first: int | None = None
    stop: int | None = None
    complete_up_to: int | None = None
    attachments: int = 0
    disclosures: tuple[Disclosed, ...] = ()

    def sentence(self) -> str:
        """The verdict in one sentence."""
        if self.check == "bundle" and self.broken_at is None:
            return f"Broken: {BUNDLE_CHECKS['bundle']}."
        if not self.intact and self.check in BUNDLE_CHECKS:
            return self._fault_sentence()
        if self.scope in ("", LOG):
            return super().sentence()
        if not self.intact:
            return self._fault_sentence()
        witnessed = "witnessed" if self.status == INTACT_AND_WITNESSED else "unwitnessed"
        unchecked = f"; {self.timestamps_unchecked} timestamps were not checked" if self.timestamps_unchecked else ""
        if self.scope == RANGE:
            last = (self.stop or 1) - 1
            return f"Intact, {witnessed}: all entries from {self.first} to {last} are sound{unchecked}."
        about = {0: "the log holds no entry about the shipment", 1: "the shipment's 1 entry is sound"}.get(
            self.entries, f"the shipment's {self.entries} entries are sound"
        )
        if self.complete_up_to is None:
            tail = "that none was withheld is not shown, for the bundle holds no index epoch"
        else:
            tail = f"complete up to entry {self.complete_up_to}"
        return f"Intact, {witnessed}: {about}; {tail}{unchecked}."

    def _fault_sentence(self) -> str:
        fault = self.fault or BUNDLE_CHECKS.get(self.check) or CHECKS.get(self.check, self.check)
        word = "Incomplete" if self.status == INCOMPLETE else "Broken"
        where = "" if self.broken_at is None else f" at entry {self.broken_at}"
        if self.check == "tile" and self.status == INCOMPLETE:
            fault = "a tile of the tree is not in the bundle"
        if self.check == "subject_seq" and self.status == INCOMPLETE:
            fault = "entries of the shipment are not in the bundle"
        return f"{word}{where}: {fault}."


class BundleFault(Exception):
    """What ends a verification: the check, and the entry that it is about, None where it is about none."""

    def __init__(self, check: str, expected: str, found: str, *, at: int | None = None, status: str = BROKEN) -> None:
        self.check, self.expected, self.found, self.at, self.status = check, expected, found, at, status

    @classmethod
    def of(cls, check: str, error: TlogError, *, at: int | None = None) -> "BundleFault":
        return cls(check, f"{error.what}: {error.expected}", error.found, at=at)


@dataclass(frozen=True)
class About:
    """What to look for."""

    scope: str
    size: int
    subject: str = ""
    first: int | None = None
    stop: int | None = None

    def shown(self) -> dict[str, Any]:
        return {"scope": self.scope, "subject": self.subject, "first": self.first, "stop": self.stop}


class Contents:
    """What both kinds of bundle share: steps 4 and 5."""

    def __init__(
        self, bundle: BundleFile, about: About, policy: Policy, on_progress: Callable[[int], None] | None
    ) -> None:
        self.bundle, self.about, self.policy, self.on_progress = bundle, about, policy, on_progress
        self.attachment_fault: BundleFault | None = None
        self.disclosure_fault: BundleFault | None = None
        self.attached: set[bytes] = set()  # those that were checked
        self.disclosed: list[Disclosed] = []
        self.disclosures = self._read_disclosures()

    def _read_disclosures(self) -> dict[int, list[tuple[str, str]]]:
        """Map each entry of which something is disclosed to (commitment, label)."""
        found: dict[int, list[tuple[str, str]]] = {}
        for name in self.bundle.names:
            if not name.startswith("disclosures/"):
                continue
            commitment = name[len("disclosures/") : -len(".json")]
            try:
                data = read_json(self.bundle, name, limit=2 * MAX_ATTACHMENT)
                entry, label = data.get("entry"), data.get("label")
                salt, value = (bytes.fromhex(hexadecimal(data.get(field))) for field in ("salt", "value"))
                if (
                    data.keys() != {"commitment", "entry", "label", "salt", "value"}
                    or data["commitment"] != commitment
                    or type(entry) is not int
                    or not isinstance(label, str)
                    or len(salt) != SALT_BYTES
                ):
                    raise ValueError
            except ValueError:
                raise BundleMalformed(
                    name, expected="commitment, entry, label, and 32 bytes of salt and a value in hex", found="another"
                ) from None
            if not opens(commitment, salt=salt, value=value):
                self.disclosure_fault = self.disclosure_fault or BundleFault(
                    "disclosure", f"a value that opens {commitment}", "one that does not", at=entry
                )
            found.setdefault(entry, []).append((commitment, label))
            self.disclosed.append(
                Disclosed(commitment, entry, label, len(value), hashlib.sha256(value).hexdigest(), _shown(value))
            )
        return found

    def check_disclosures(self, index: int, body: dict[str, Any]) -> None:
        """Step 5 for one entry; the first fault is kept."""
        for commitment, label in self.disclosures.pop(index, ()):
            if _at(body, label) != commitment and not self.disclosure_fault:
                self.disclosure_fault = BundleFault(
                    "disclosure", f"{commitment} at {excerpt(label)}", excerpt(_at(body, label)), at=index
                )

    def check_attachment(self, index: int, digest: str) -> None:
        """Step 4 for one attachment that entry ``index`` names; the first fault is kept."""
        if self.attachment_fault:
            return
        name = f"attachments/{digest}"
        if not _DIGEST.fullmatch(digest) or name not in self.bundle:
            self.attachment_fault = BundleFault("attachment_missing", excerpt(digest), "no file of that name", at=index)
            return
        key = bytes.fromhex(digest)
        if key in self.attached:
            return
        data, damage = self.bundle.salvage(name, MAX_ATTACHMENT)
        found = hashlib.sha256(data).hexdigest()
        if found != digest:
            self.attachment_fault = BundleFault("attachment_changed", digest, found, at=index)
        elif damage:
            raise damage
        self.attached.add(key)

    def check_the_rest(self) -> None:
        """What steps 4 and 5 found, and that nothing is left that no entry speaks of."""
        if self.attachment_fault:
            raise self.attachment_fault
        for name in self.bundle.names:
            if name.startswith("attachments/") and bytes.fromhex(name[len("attachments/") :]) not in self.attached:
                raise BundleMalformed("file", expected="attachments that an entry names", found=name)
        if self.disclosure_fault:
            raise self.disclosure_fault
        for index, ((commitment, _), *_more) in sorted(self.disclosures.items()):
            raise BundleFault("disclosure", f"entry {index}, of which {commitment} is disclosed", "no such entry here")


class Stamps(Sequence[StampedCheckpoint]):
    """The stamped checkpoints of a bundle, smallest first, each read when it is asked for."""

    def __init__(self, bundle: BundleFile) -> None:
        self._bundle = bundle
        self.damage: BundleMalformed | None = None
        self.sizes = sorted(
            int(name[len("timestamps/") : -len(".note")])
            for name in bundle.names
            if name.startswith("timestamps/") and name.endswith(".note")
        )

    def __len__(self) -> int:
        return len(self.sizes)

    def __getitem__(self, place: Any) -> Any:
        if isinstance(place, slice):
            return [self[each] for each in range(*place.indices(len(self)))]
        size = self.sizes[place]
        note, damage = self._bundle.salvage(f"timestamps/{size}.note", MAX_ENTRY)
        response, other = self._bundle.salvage(f"timestamps/{size}.tsr", MAX_RESPONSE_BYTES)
        self.damage = self.damage or damage or other
        if not damage and not note.partition(b"\n")[2].startswith(b"%d\n" % size):
            self.damage = self.damage or BundleMalformed(
                f"timestamps/{size}.note", expected=f"a checkpoint of {size} entries", found=excerpt(note)
            )
        return StampedCheckpoint(note, response)


def read_json(bundle: BundleFile, name: str, *, limit: int = 1 << 20) -> dict[str, Any]:
    """
    Return a member's JSON object, which stands in its one canonical form.

    :raises BundleMalformed: if it is another
    """
    data = bundle.read(name, limit)
    try:
        found = canonical.decode(data)
    except NotCanonical as error:
        raise BundleMalformed(f"{name}, {error.what}", expected=error.expected, found=error.found) from None
    if not isinstance(found, dict):
        raise BundleMalformed(name, expected="a JSON object", found=excerpt(found))
    return found


def hexadecimal(value: Any) -> str:
    if not isinstance(value, str) or not _HEX.fullmatch(value):
        raise ValueError
    return value


def _at(body: Any, label: str) -> Any:
    """Return what stands in a body where ``label`` says: keys and places of lists, joined by dots."""
    for step in label.split("."):
        if isinstance(body, dict):
            body = body.get(step)
        elif isinstance(body, list) and step.isascii() and step.isdigit() and len(step) < 6 and int(step) < len(body):
            body = body[int(step)]
        else:
            return None
    return body


def _shown(value: bytes) -> str:
    """The value as text, where it is short and a person can read it."""
    try:
        text = value.decode() if len(value) <= _MAX_SHOWN else ""
    except UnicodeDecodeError:
        return ""
    return text if text.isprintable() else ""
