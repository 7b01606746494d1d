"""
Check one entry where it lies: its bytes, its signature, its columns, and the neighbours that it names and is named by.

It shows an auditor where to look. The whole log's verdict is :mod:`ledger.verification`, which trusts no column.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from biometrics.engine.calibration import CalibrationMissing, read_calibration
from ledger.errors import VerifierKeyMissing
from ledger.models import Checkpoint
from ledger.models import Entry as EntryRow
from ledger.own_policy import own_policy
from ledger.tlog.entry import ZERO_HASH, Entry, parse_entry
from ledger.tlog.errors import TlogError
from ledger.tlog.merkle import leaf_hash
from ledger.tlog.note import Verifier, open_note
from ledger.tlog.times import format_time

# The kinds that only a face that matched can bring about.
MATCHED = ("handoff", "declaration", "declaration_amended", "inspection_attended")


@dataclass(frozen=True)
class Check:
    """
    One thing that must hold; ``holds`` is None where it could not be asked, and ``found`` then says why.

    Where it fails: expected, found, and for the checks of one entry by itself ``fault``, the finding as a sentence.
    """

    name: str
    holds: bool | None
    expected: str = ""
    found: str = ""
    fault: str = ""


def own_verifiers() -> tuple[Verifier, ...]:
    """The keys that this deployment seals with; none where the verifier key is gone or cannot be read."""
    try:
        return tuple(Verifier.from_vkey(vkey) for vkey in own_policy().vkeys)
    except (VerifierKeyMissing, TlogError):
        return ()


def first_fault(row: EntryRow, verifiers: tuple[Verifier, ...]) -> str:
    """Say what is wrong with an entry taken by itself; empty where nothing is."""
    return next((check.fault for check in _own_checks(row, verifiers) if check.holds is False), "")


def check_entry(row: EntryRow) -> list[Check]:
    """Check the entry by itself, then against its neighbours in the log and in its subject, then its checkpoint."""
    checks = list(_own_checks(row, own_verifiers()))
    try:
        entry = parse_entry(bytes(row.note))
    except TlogError:
        return checks
    return [*checks, *_face_checks(entry), *_neighbour_checks(row, entry), _covered(row)]


def _own_checks(row: EntryRow, verifiers: tuple[Verifier, ...]) -> Iterator[Check]:
    note = bytes(row.note)
    try:
        entry = parse_entry(note)
    except TlogError as error:
        fault = _("These bytes are not an entry any more: they are not what was sealed.")
        yield Check(_("Form"), False, _("an entry in the one form that the format allows"), str(error), fault)
        return
    yield Check(_("Form"), True)
    yield _signature(note, verifiers)
    fault = _("The hash stored beside this entry is not the hash of its bytes: one of them was changed.")
    yield _compare(_("Hash of these bytes"), bytes(row.leaf_hash).hex(), leaf_hash(note).hex(), fault)
    # Look-ups go by the columns: one that differs from the note hides the entry or shows it in a wrong place.
    columns = (row.index, row.kind, row.subject, row.subject_seq, format_time(row.sealed_at))
    sealed = (entry.index, entry.kind, entry.subject, entry.subject_seq, entry.sealed_at)
    fault = _("The columns stored beside this entry do not say what its bytes say: they were changed.")
    yield _compare(_("Columns beside the note"), ", ".join(map(str, sealed)), ", ".join(map(str, columns)), fault)


def _signature(note: bytes, verifiers: tuple[Verifier, ...]) -> Check:
    name = _("Signature of the log")
    if not verifiers:
        return Check(name, None, found=_("the log’s key is not at hand here"))
    try:
        open_note(note, *verifiers)
    except TlogError as error:
        fault = _("The log’s signature does not fit these bytes: they are not what was sealed.")
        return Check(name, False, error.expected, error.found, fault)
    return Check(name, True)


def _face_checks(entry: Entry) -> Iterator[Check]:
    """Repeat the decision about the face from the entry's own numbers, and hold its threshold against the file."""
    face = entry.body.get("face")
    if not isinstance(face, dict):
        return
    if entry.kind in ("declaration", "declaration_amended"):
        # What the person was verified for, against what was submitted with it.
        name = _("The face was shown for this document")
        yield _compare(name, str(entry.body.get("document", "")), str(face.get("about", "")))
    if entry.kind in ("declaration", "declaration_amended", "inspection_attended"):
        by = entry.body.get("by")
        author = by.get("person", "") if isinstance(by, dict) else ""
        yield _compare(_("The face is of the person who acted"), str(author), str(face.get("person", "")))
    name = _("The face’s outcome follows from its distance")
    try:
        follows = "match" if face["distance_e4"] <= face["threshold_e4"] else "no_match"
        first = face.get("first_capture")
        # A second capture is asked for only where the first came near without matching.
        wrongly_asked = first is not None and first["distance_e4"] <= first["threshold_e4"]
        outcome = str(face["outcome"])
        if entry.kind in MATCHED and outcome != "match":
            yield Check(name, False, "match", outcome)
        elif wrongly_asked:
            yield Check(name, False, _("a first capture beyond its threshold"), _("one that matched"))
        else:
            yield _compare(name, follows, outcome)
        yield _threshold_check(face)
    except (KeyError, TypeError):
        yield Check(name, None, found=_("the face’s record has another form than this version knows"))


def _threshold_check(face: dict[str, Any]) -> Check:
    name = _("The face’s threshold is the calibration’s")
    calibration = read_calibration()
    if face["calibration"] != calibration.sha256:
        return Check(name, None, found=_("the calibration file that it names is not the one at hand"))
    try:
        point = calibration.threshold(k=face["k"], m=face["m"], target_fmr=face["target_fmr"])
    except CalibrationMissing:
        return Check(name, False, _("a row of the calibration file"), _("none for these photos and this rate"))
    return _compare(name, str(point.threshold_e4), str(face["threshold_e4"]))


def _neighbour_checks(row: EntryRow, entry: Entry) -> Iterator[Check]:
    before = EntryRow.objects.filter(index=row.index - 1).first()
    yield _compare(_("Continues the entry before it"), _hash_of(before, first=row.index == 0), entry.prev)
    in_subject = EntryRow.objects.filter(subject=row.subject, subject_seq=row.subject_seq - 1).first()
    yield _compare(
        _("Continues its subject’s previous entry"),
        _hash_of(in_subject, first=row.subject_seq == 0),
        entry.subject_prev,
    )
    after = EntryRow.objects.filter(index=row.index + 1).first()
    name = _("The next entry continues this one")
    if after is None:
        yield Check(name, None, found=_("there is no next entry yet"))
        return
    try:
        named = parse_entry(bytes(after.note)).prev
    except TlogError:
        yield Check(name, None, found=_("the next entry cannot be read"))
        return
    yield _compare(name, leaf_hash(bytes(row.note)).hex(), named)


def _covered(row: EntryRow) -> Check:
    name = _("Under a signed checkpoint")
    newest = Checkpoint.objects.first()
    if newest is not None and newest.size > row.index:
        return Check(name, True)
    return Check(name, None, found=_("no checkpoint covers it yet"))


def _hash_of(row: EntryRow | None, *, first: bool) -> str:
    if row is None:
        return ZERO_HASH if first else _("an entry that is missing")
    return leaf_hash(bytes(row.note)).hex()


def _compare(name: str, expected: str, found: str, fault: str = "") -> Check:
    return Check(name, True) if expected == found else Check(name, False, expected, found, fault)
