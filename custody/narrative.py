"""
Say what an entry says, in a sentence a person can read, and lay a shipment's entries out as unbroken custody.

What is altered, unreadable or missing is shown as such, never left out.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from biometrics.vault import NOT_OPENED, open_evidence
from custody.directory import Directory
from custody.entry_checks import first_fault, own_verifiers
from custody.models import Refused
from custody.sentences import SENTENCES
from ledger.models import Entry
from ledger.tlog import canonical
from ledger.tlog.entry import parse_entry
from ledger.tlog.errors import NotCanonical, TimeMalformed, TlogError
from ledger.tlog.times import parse_time
from shipments.models import Consignment


@dataclass(frozen=True)
class Line:
    """
    One entry as it is shown: the row, its parsed body (empty where unreadable), a sentence, an icon and a chip's tone.

    ``fault`` says what was altered since sealing, where it was looked for and found.
    """

    entry: Entry
    body: dict[str, Any]
    kind: str
    sentence: str
    icon: str
    tone: str
    fault: str = ""

    @property
    def kind_name(self) -> str:
        return str(SENTENCES[self.kind].name if self.kind in SENTENCES else self.kind)


@dataclass(frozen=True)
class CustodyWindow:
    """
    Who held custody, from when until when; ``until`` is None for the present custodian.

    Not ``known`` is a window that the ledger cannot vouch for: ``holder`` then says why.
    """

    holder: str
    since: datetime
    until: datetime | None
    entry: Entry
    place: str = ""
    known: bool = True


def tell(entry: Entry) -> Line:
    """Describe one entry. An entry that does not parse is shown as such, never hidden."""
    return _tell(entry, Directory())


def tell_all(entries: Iterable[Entry]) -> list[Line]:
    """Describe a page of entries, each checked by itself (form, signature, hash), each name looked up once."""
    directory, verifiers = Directory(), own_verifiers()
    return [_tell(entry, directory, fault=first_fault(entry, verifiers)) for entry in entries]


def tell_refusal(body: dict[str, Any], directory: Directory) -> str:
    """Describe the body of a refused handoff, sealed or still waiting."""
    return _say("handoff_refused", body, "", directory)


def tell_refused(refused: Refused, directory: "Directory") -> str:
    """Describe a refused attempt from its statement, and quote what was written about it."""
    try:
        sentence = tell_refusal(canonical.decode(bytes(refused.statement.body)), directory)
    except NotCanonical as error:
        sentence = _("The statement of this refusal cannot be read: %(why)s") % {"why": error}
    if refused.note is None:
        return sentence
    try:
        return f"{sentence} “{open_evidence(refused.note).decode()}”"
    except NOT_OPENED:
        # Erased with the person it was about, or closed to this server: the refusal itself is still told.
        return sentence


def shipment_lines(consignment: Consignment) -> list[Line]:
    """The shipment's own chain, oldest first."""
    return tell_all(Entry.objects.filter(subject=consignment.pk.urn).order_by("subject_seq"))


def custody_windows(lines: list[Line]) -> list[CustodyWindow]:
    """
    Turn a shipment's entries, oldest first, into the windows in which each person held custody.

    Windows touch: one ends where the next begins. An entry that is missing, altered or unreadable opens a window of its
    own, for it may have been a handoff.
    """
    directory = Directory()
    windows: list[CustodyWindow] = []
    for place, line in enumerate(lines):
        expected = lines[place - 1].entry.subject_seq + 1 if place else 0
        if line.entry.subject_seq != expected:
            missing = line.entry.subject_seq - expected
            holder = ngettext(
                "%(n)s entry of this shipment is missing here; who held custody is not known.",
                "%(n)s entries of this shipment are missing here; who held custody is not known.",
                missing,
            ) % {"n": missing}
            since = lines[place - 1].entry.sealed_at if place else line.entry.sealed_at
            _open(windows, CustodyWindow(holder, since, None, line.entry, known=False))
        if line.fault or not line.body:
            holder = _("Entry %(index)s does not hold; who held custody is not known.") % {"index": line.entry.index}
            _open(windows, CustodyWindow(holder, line.entry.sealed_at, None, line.entry, known=False))
        elif line.kind == "handoff":
            _open(windows, _taken_over(line, directory))
    return windows


def _open(windows: list[CustodyWindow], window: CustodyWindow) -> None:
    """Add a window and end the one before it; a clock that was set back makes no window end before it began."""
    if windows:
        before = windows[-1]
        since = max(window.since, before.since)
        windows[-1] = CustodyWindow(before.holder, before.since, since, before.entry, before.place, before.known)
        window = CustodyWindow(window.holder, since, None, window.entry, window.place, window.known)
    windows.append(window)


def _taken_over(line: Line, directory: Directory) -> CustodyWindow:
    since = line.entry.sealed_at
    try:
        holder = directory.person(line.body["to"]["person"])
        place = directory.place(line.body["where"]["read_point"])
        # The moment of acceptance, which the sealer may lag behind.
        since = parse_time(line.body["when"]["accepted_at"])
    except TimeMalformed:
        pass
    except (KeyError, TypeError, ValueError):
        holder = _("Entry %(index)s names nobody that can be looked up.") % {"index": line.entry.index}
        return CustodyWindow(holder, since, None, line.entry, known=False)
    return CustodyWindow(holder, since, None, line.entry, place)


def _tell(entry: Entry, directory: Directory, *, fault: str = "") -> Line:
    try:
        sealed = parse_entry(bytes(entry.note))
    except TlogError as error:
        sentence = _("This entry cannot be read: %(why)s.") % {"why": str(error).rstrip(".")}
        return Line(entry, {}, entry.kind, sentence, "alert-triangle", "bad", fault)
    known = SENTENCES.get(sealed.kind)
    icon, tone = (known.icon, known.tone) if known else ("file-certificate", "plain")
    if sealed.kind == "seal_checked":
        tone = "ok" if sealed.body.get("state") == "intact" else "bad"
    if sealed.kind == "passage":
        tone = {"passed": "ok", "refused": "bad"}.get(sealed.body.get("outcome", ""), "warn")
    sentence = _say(sealed.kind, sealed.body, sealed.subject, directory)
    return Line(entry, sealed.body, sealed.kind, sentence, icon, tone, fault)


def _say(kind: str, body: dict[str, Any], subject: str, directory: Directory) -> str:
    if kind in SENTENCES:
        try:
            return SENTENCES[kind].write(body, subject, directory)
        except (KeyError, TypeError, ValueError, AttributeError):
            # A body of a shape that this version does not know: its raw text stands beside it.
            pass
    return _("An entry of kind %(kind)s.") % {"kind": kind}
