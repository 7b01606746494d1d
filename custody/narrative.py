"""
Say what an entry says, in a sentence a person can read, and lay a shipment's entries out as unbroken custody.

Wording is evidence: a person "held custody", nobody "took" anything. Names are looked up for the viewer: no
entry holds any. What is altered, unreadable or missing is shown as such, never left out.
"""

import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from accounts.models import User
from biometrics.errors import PersonKeyMissing
from biometrics.models import Evidence, EvidenceKind, EvidenceLook, Person
from biometrics.people import display_name
from biometrics.vault import NOT_OPENED, open_evidence
from custody.entry_checks import first_fault, own_verifiers
from custody.models import Refused
from ledger.models import Entry
from ledger.tlog import canonical
from ledger.tlog.entry import parse_entry
from ledger.tlog.errors import NotCanonical, TimeMalformed, TlogError
from ledger.tlog.times import parse_time
from shipments.models import Consignment, DeclarationKind, ReadPoint

KINDS = {
    "handoff": gettext_lazy("Handoff"),
    "handoff_refused": gettext_lazy("Refused handoff"),
    "declaration": gettext_lazy("Declaration"),
    "declaration_amended": gettext_lazy("Amended declaration"),
    "enrolment": gettext_lazy("Enrolment"),
    "genesis": gettext_lazy("Beginning of the log"),
    "key_rotated": gettext_lazy("New signing key"),
    "index_epoch": gettext_lazy("Count of all entries"),
    "disclosure": gettext_lazy("Disclosure"),
    "evidence_opened": gettext_lazy("Look at evidence"),
    "erasure": gettext_lazy("Erasure"),
}

REASONS = {
    "face_mismatch": gettext_lazy("the face did not match"),
    "liveness_failed": gettext_lazy("the head turns that were asked for were not seen"),
    "photo_resubmitted": gettext_lazy("a photo was shown that was seen before"),
    "same_person_both_sides": gettext_lazy("the same person stood on both sides"),
    "wrong_consignment": gettext_lazy("a tag of another shipment was read"),
    "declined": gettext_lazy("it was declined"),
}


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
        return str(KINDS.get(self.kind, self.kind))


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


class Directory:
    """The names behind the identifiers in entries, each looked up once for one page."""

    def __init__(self) -> None:
        self._persons: dict[str, str] = {}
        self._places: dict[str, str] = {}
        self._accounts: dict[str, str] = {}

    def person(self, urn: str) -> str:
        if urn not in self._persons:
            self._persons[urn] = _name(urn)
        return self._persons[urn]

    def account(self, urn: str) -> str:
        if urn not in self._accounts:
            user = User.objects.filter(pk=uuid.UUID(urn)).first()
            name = user.get_full_name() or user.get_username() if user else ""
            self._accounts[urn] = name or _("an account no longer on file")
        return self._accounts[urn]

    def place(self, sgln: str) -> str:
        if sgln not in self._places:
            read_point = ReadPoint.objects.select_related("site").filter(sgln=sgln).first()
            self._places[sgln] = f"{read_point.name}, {read_point.site.name}" if read_point else sgln
        return self._places[sgln]

    def releaser(self, body: dict[str, Any]) -> str:
        """Who handed over: a person, or the consignor at first intake."""
        return self.person(body["from"]["person"]) if "person" in body["from"] else _("the consignor")


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
    _writer, icon, tone = _TELLERS.get(sealed.kind, (None, "file-certificate", "plain"))
    sentence = _say(sealed.kind, sealed.body, sealed.subject, directory)
    return Line(entry, sealed.body, sealed.kind, sentence, icon, tone, fault)


def _say(kind: str, body: dict[str, Any], subject: str, directory: Directory) -> str:
    write, _icon, _tone = _TELLERS.get(kind, (None, "", ""))
    if write is not None:
        try:
            return write(body, subject, directory)
        except (KeyError, TypeError, ValueError, AttributeError):
            # A body of a shape that this version does not know: its raw text stands beside it.
            pass
    return _("An entry of kind %(kind)s.") % {"kind": kind}


def _handoff(body: dict[str, Any], subject: str, directory: Directory) -> str:
    reads = body["reads"]
    facts = {
        "to": directory.person(body["to"]["person"]),
        "from": directory.releaser(body),
        "shipment": body["goods"]["reference"],
        "place": directory.place(body["where"]["read_point"]),
        "seen": reads["seen"],
        "expected": reads["expected"],
    }
    if "face" not in body:
        return (
            _(
                "%(to)s took over custody of %(shipment)s from %(from)s at %(place)s. "
                "%(seen)s of %(expected)s tags read."
            )
            % facts
        )
    if body["face"].get("m", 1) > 1:
        return (
            _(
                "%(to)s took over custody of %(shipment)s from %(from)s at %(place)s. "
                "%(seen)s of %(expected)s tags read; face matched in a second capture."
            )
            % facts
        )
    return (
        _(
            "%(to)s took over custody of %(shipment)s from %(from)s at %(place)s. "
            "%(seen)s of %(expected)s tags read; face matched."
        )
        % facts
    )


def _refused(body: dict[str, Any], subject: str, directory: Directory) -> str:
    return _("A handoff of %(shipment)s to %(to)s was refused at %(place)s: %(reason)s.") % {
        "shipment": body["goods"]["reference"],
        "to": directory.person(body["to"]["person"]),
        "place": directory.place(body["where"]["read_point"]),
        "reason": REASONS.get(body["code"], body["code"]),
    }


def _declaration(body: dict[str, Any], subject: str, directory: Directory) -> str:
    count = body["items"]["count"]
    return ngettext(
        "%(by)s submitted the %(kind)s declaration %(lrn)s for %(shipment)s: %(count)s item, %(mass)s kg.",
        "%(by)s submitted the %(kind)s declaration %(lrn)s for %(shipment)s: %(count)s items, %(mass)s kg.",
        count,
    ) % {**_declared(body, directory), "count": count}


def _declaration_amended(body: dict[str, Any], subject: str, directory: Directory) -> str:
    changes = body["changes_total"]
    return ngettext(
        "%(by)s amended the %(kind)s declaration %(lrn)s for %(shipment)s (version %(version)s): "
        "%(changes)s field changed.",
        "%(by)s amended the %(kind)s declaration %(lrn)s for %(shipment)s (version %(version)s): "
        "%(changes)s fields changed.",
        changes,
    ) % {**_declared(body, directory), "changes": changes, "version": body["version"]}


def _declared(body: dict[str, Any], directory: Directory) -> dict[str, Any]:
    return {
        "by": directory.person(body["by"]["person"]),
        "kind": str(DeclarationKind(body["kind"]).label).lower(),
        "lrn": body["lrn"],
        "shipment": body["goods"]["reference"],
        "mass": number_format(Decimal(body["items"]["gross_g"]) / 1000),
    }


def _enrolment(body: dict[str, Any], subject: str, directory: Directory) -> str:
    count = len(body["photos"])
    return ngettext(
        "%(person)s was enrolled from %(count)s photo, with consent.",
        "%(person)s was enrolled from %(count)s photos, with consent.",
        count,
    ) % {"person": directory.person(subject), "count": count}


def _genesis(body: dict[str, Any], subject: str, directory: Directory) -> str:
    return _("The log begins. Its key is %(vkey)s.") % {"vkey": body["vkey"]}


def _key_rotated(body: dict[str, Any], subject: str, directory: Directory) -> str:
    return _("The log was handed over to the signing key %(new)s; the key %(old)s signs nothing after this.") % {
        "new": body["new"].split("+")[1],
        "old": body["old"].split("+")[1],
    }


def _index_epoch(body: dict[str, Any], subject: str, directory: Directory) -> str:
    return ngettext(
        "How many entries there are so far about %(n)s shipment, person or other was put on record.",
        "How many entries there are so far about each of %(n)s shipments, persons and others was put on record.",
        int(body["subjects"]),
    ) % {"n": body["subjects"]}


def _disclosure(body: dict[str, Any], subject: str, directory: Directory) -> str:
    opened = len(body["commitments"])
    return ngettext(
        "%(by)s opened %(n)s piece of evidence for the case %(reason)s.",
        "%(by)s opened %(n)s pieces of evidence for the case %(reason)s.",
        opened,
    ) % {"by": directory.account(body["by"]), "n": opened, "reason": body["reason"]}


def _evidence_opened(body: dict[str, Any], subject: str, directory: Directory) -> str:
    return _("%(by)s looked at evidence about %(person)s (%(kind)s). Reason: %(reason)s.") % {
        "by": directory.account(body["by"]),
        "person": directory.person(subject),
        "kind": EvidenceKind(body["evidence_kind"]).label,
        "reason": EvidenceLook.Reason(body["reason"]).label,
    }


def _erasure(body: dict[str, Any], subject: str, directory: Directory) -> str:
    count = len(body["destroyed"])
    if body["scope"] == "person":
        return ngettext(
            "Everything held about a person was erased: %(n)s value here, and the key. Nothing opens any more.",
            "Everything held about a person was erased: %(n)s values here, and the key. Nothing opens any more.",
            count,
        ) % {"n": count}
    return ngettext(
        "%(n)s value about %(person)s was destroyed by the retention rule %(rule)s.",
        "%(n)s values about %(person)s were destroyed by the retention rule %(rule)s.",
        count,
    ) % {"n": count, "person": directory.person(subject), "rule": body["rule"]}


_TELLERS: dict[str, tuple[Callable[[dict[str, Any], str, Directory], str], str, str]] = {
    "genesis": (_genesis, "link", "plain"),
    "key_rotated": (_key_rotated, "key", "plain"),
    "index_epoch": (_index_epoch, "list-details", "plain"),
    "disclosure": (_disclosure, "eye", "warn"),
    "evidence_opened": (_evidence_opened, "eye", "warn"),
    "erasure": (_erasure, "trash", "warn"),
    "enrolment": (_enrolment, "fingerprint", "plain"),
    "declaration": (_declaration, "file-certificate", "plain"),
    "declaration_amended": (_declaration_amended, "versions", "warn"),
    "handoff": (_handoff, "arrows-exchange", "ok"),
    "handoff_refused": (_refused, "ban", "bad"),
}


def _name(urn: str) -> str:
    person = Person.objects.filter(pk=uuid.UUID(urn)).first()
    if person is None:
        return _("a person no longer on file")
    try:
        return display_name(person)
    except (Evidence.DoesNotExist, PersonKeyMissing):
        return _("a person no longer on file")
    except NOT_OPENED:
        # The entries are still readable without the vault: only the name stays closed.
        return _("a person whose name cannot be opened")
