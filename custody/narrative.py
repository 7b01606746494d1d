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
from custody.models import Act, Findings, Reason, Refused, Zone, ZoneAlert
from ledger.models import Entry
from ledger.tlog import canonical
from ledger.tlog.entry import parse_entry
from ledger.tlog.errors import NotCanonical, TimeMalformed, TlogError
from ledger.tlog.times import parse_time
from shipments.models import Consignment, DeclarationKind, Reader, ReadPoint, Site
from shipments.seals import REASONS as SEAL_REASONS

KINDS = {
    "handoff": gettext_lazy("Handoff"),
    "handoff_refused": gettext_lazy("Refused handoff"),
    "unit_packed": gettext_lazy("Packing"),
    "seal_applied": gettext_lazy("Seal put on"),
    "seal_checked": gettext_lazy("Seal checked"),
    "seal_broken": gettext_lazy("Seal broken"),
    "seal_replaced": gettext_lazy("Seal replaced"),
    "declaration": gettext_lazy("Declaration"),
    "declaration_amended": gettext_lazy("Amended declaration"),
    "enrolment": gettext_lazy("Enrolment"),
    "genesis": gettext_lazy("Beginning of the log"),
    "key_rotated": gettext_lazy("New signing key"),
    "index_epoch": gettext_lazy("Count of all entries"),
    "disclosure": gettext_lazy("Disclosure"),
    "evidence_opened": gettext_lazy("Look at evidence"),
    "erasure": gettext_lazy("Erasure"),
    "zone_alert": gettext_lazy("Alert in a restricted zone"),
    "resolution": gettext_lazy("Decision on an alert"),
    "inspection": gettext_lazy("Inspection"),
    "hold": gettext_lazy("Hold"),
    "release": gettext_lazy("Release"),
    "seizure": gettext_lazy("Seizure"),
    "act_refused": gettext_lazy("Refused act of an officer"),
    "reads_anchored": gettext_lazy("Reads bound"),
    "read_gap": gettext_lazy("Gap in the reads"),
}

REASONS = {
    "face_mismatch": gettext_lazy("the face did not match"),
    "liveness_failed": gettext_lazy("the head turns that were asked for were not seen"),
    "photo_resubmitted": gettext_lazy("a photo was shown that was seen before"),
    "same_person_both_sides": gettext_lazy("the same person stood on both sides"),
    "wrong_consignment": gettext_lazy("a tag of another shipment was read"),
    "declined": gettext_lazy("it was declined"),
    "shipment_held": gettext_lazy("customs held the shipment"),
    "shipment_seized": gettext_lazy("customs had seized the shipment"),
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
        self._sites: dict[str, str] = {}
        self._readers: dict[str, str] = {}

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

    def zone(self, urn: str) -> str:
        found = Zone.objects.select_related("site").filter(pk=uuid.UUID(urn)).first()
        return f"{found.name}, {found.site.name}" if found else _("a zone no longer on file")

    def site(self, gln: str) -> str:
        if gln not in self._sites:
            site = Site.objects.filter(gln=gln).first()
            self._sites[gln] = site.name if site else gln
        return self._sites[gln]

    def reader(self, urn: str) -> str:
        if urn not in self._readers:
            reader = Reader.objects.filter(pk=uuid.UUID(urn)).first()
            self._readers[urn] = reader.name if reader else _("a reader no longer on file")
        return self._readers[urn]

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
    if sealed.kind == "seal_checked":
        tone = "ok" if sealed.body.get("state") == "intact" else "bad"
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
        "tags": _tags_counted(reads),
    }
    if "face" not in body:
        return _("%(to)s took over custody of %(shipment)s from %(from)s at %(place)s. %(tags)s.") % facts
    if body["face"].get("m", 1) > 1:
        return (
            _(
                "%(to)s took over custody of %(shipment)s from %(from)s at %(place)s. "
                "%(tags)s; face matched in a second capture."
            )
            % facts
        )
    return _("%(to)s took over custody of %(shipment)s from %(from)s at %(place)s. %(tags)s; face matched.") % facts


def _tags_counted(reads: dict[str, Any]) -> str:
    if reads.get("inferred"):
        return _("%(seen)s of %(expected)s tags read, %(inferred)s more inferred from a unit’s tag") % reads
    return _("%(seen)s of %(expected)s tags read") % reads


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


def _zone_alert(body: dict[str, Any], subject: str, directory: Directory) -> str:
    sentences = {
        "stranger": _("A camera saw a stranger in %(zone)s."),
        "unauthorised": _("A camera saw %(person)s in %(zone)s, who is not authorised there."),
        "outside_hours": _("A camera saw %(person)s in %(zone)s outside the hours."),
        "watchlisted": _("A camera saw somebody in %(zone)s who resembles a face on the watchlist."),
        "unclear": _("A camera kept seeing a face in %(zone)s that it could not compare."),
    }
    named = {"zone": directory.zone(body["zone"])}
    if body["code"] in ("unauthorised", "outside_hours"):
        named["person"] = directory.person(body["person"])
    return sentences[body["code"]] % named


def _resolution(body: dict[str, Any], subject: str, directory: Directory) -> str:
    return _("%(by)s decided on an alert in %(zone)s: %(decision)s.") % {
        "by": directory.account(body["by"]),
        "zone": directory.zone(body["zone"]),
        "decision": ZoneAlert.Decision(body["decision"]).label,
    }


def _intervention(body: dict[str, Any], subject: str, directory: Directory) -> str:
    sentences = {
        "inspection": _("%(officer)s inspected %(shipment)s at %(place)s. %(findings)s. Reason: %(reason)s."),
        "sampling": _("%(officer)s took a sample of %(shipment)s at %(place)s. %(findings)s. Reason: %(reason)s."),
        "hold": _("%(officer)s held %(shipment)s at %(place)s: nobody may hand it over. Reason: %(reason)s."),
        "release": _("%(officer)s released %(shipment)s at %(place)s. Reason: %(reason)s."),
        "seizure": _("%(officer)s seized %(shipment)s at %(place)s: nobody may hand it over. Reason: %(reason)s."),
    }
    return sentences[body["act"]] % _intervened(body, directory)


def _act_refused(body: dict[str, Any], subject: str, directory: Directory) -> str:
    sentence = _("An act on %(shipment)s in the name of %(officer)s was refused at %(place)s (%(act)s): %(why)s.")
    return sentence % (_intervened(body, directory) | {"why": REASONS.get(body["code"], body["code"])})


def _intervened(body: dict[str, Any], directory: Directory) -> dict[str, Any]:
    return {
        "officer": directory.person(body["by"]["person"]),
        "shipment": body["goods"]["reference"],
        "place": directory.place(body["where"]["read_point"]),
        "act": Act(body["act"]).label,
        "findings": Findings(body["findings"]).label if "findings" in body else "",
        "reason": Reason(body["reason"]).label,
    }


def _reads_anchored(body: dict[str, Any], subject: str, directory: Directory) -> str:
    count = int(body["reports"])
    return ngettext(
        "%(n)s report of the readers at %(site)s was bound into the ledger: it cannot be changed unseen any more.",
        "%(n)s reports of the readers at %(site)s were bound into the ledger: they cannot be changed unseen any more.",
        count,
    ) % {"n": count, "site": directory.site(body["site"])}


def _read_gap(body: dict[str, Any], subject: str, directory: Directory) -> str:
    lost = int(body["purged_total"])
    return ngettext(
        "%(reader)s at %(place)s admitted that it lost %(n)s event. A tag not read then may have been there.",
        "%(reader)s at %(place)s admitted that it lost %(n)s events. A tag not read then may have been there.",
        lost,
    ) % {"reader": directory.reader(body["reader"]), "place": directory.place(body["read_point"]), "n": lost}


def unit_name(unit: dict[str, str]) -> str:
    """Name the unit of an entry's body by the code that people name it by."""
    return next(unit[key] for key in ("sscc", "grai", "bic") if key in unit)


def _unit_packed(body: dict[str, Any], subject: str, directory: Directory) -> str:
    count = int(body["children"]["total"])
    facts = {
        "by": directory.person(body["by"]["person"]),
        "unit": unit_name(body["unit"]),
        "shipment": body["goods"]["reference"],
        "n": count,
    }
    if body["act"] == "unpacked":
        return (
            ngettext(
                "%(by)s took %(n)s unit or tagged piece out of %(unit)s of %(shipment)s.",
                "%(by)s took %(n)s units or tagged pieces out of %(unit)s of %(shipment)s.",
                count,
            )
            % facts
        )
    return (
        ngettext(
            "%(by)s packed %(n)s unit or tagged piece into %(unit)s of %(shipment)s.",
            "%(by)s packed %(n)s units or tagged pieces into %(unit)s of %(shipment)s.",
            count,
        )
        % facts
    )


def _seal(body: dict[str, Any], subject: str, directory: Directory) -> str:
    facts = {
        "by": directory.person(body["by"]["person"]),
        "number": body["seal"]["number"],
        "class": body["seal"]["class"],
        "unit": unit_name(body["unit"]),
        "shipment": body["goods"]["reference"],
        "reason": str(SEAL_REASONS.get(body.get("reason", ""), body.get("reason", ""))),
        "found": body.get("found_number", ""),
        "old": body.get("replaces", {}).get("number", ""),
    }
    sentences = {
        "affixed": _("%(by)s put the seal %(number)s (class %(class)s) on %(unit)s of %(shipment)s."),
        "broken": _("%(by)s broke the seal %(number)s on %(unit)s of %(shipment)s. Reason: %(reason)s."),
        "replaced": _(
            "%(by)s replaced the seal %(old)s on %(unit)s of %(shipment)s by %(number)s (class %(class)s). "
            "Reason: %(reason)s."
        ),
    }
    found = {
        "intact": _("%(by)s found the seal %(number)s on %(unit)s of %(shipment)s intact."),
        "tampered": _("%(by)s found the seal %(number)s on %(unit)s of %(shipment)s tampered with."),
        "missing": _("%(by)s found the seal %(number)s of %(unit)s of %(shipment)s missing."),
        "number_differs": _("%(by)s found the seal %(found)s on %(unit)s of %(shipment)s in the place of %(number)s."),
    }
    sentence = found[body["state"]] if body["act"] == "checked" else sentences[body["act"]]
    return sentence % facts


_TELLERS: dict[str, tuple[Callable[[dict[str, Any], str, Directory], str], str, str]] = {
    "genesis": (_genesis, "link", "plain"),
    "key_rotated": (_key_rotated, "key", "plain"),
    "index_epoch": (_index_epoch, "list-details", "plain"),
    "disclosure": (_disclosure, "eye", "warn"),
    "evidence_opened": (_evidence_opened, "eye", "warn"),
    "erasure": (_erasure, "trash", "warn"),
    "enrolment": (_enrolment, "fingerprint", "plain"),
    "reads_anchored": (_reads_anchored, "antenna", "plain"),
    "read_gap": (_read_gap, "wifi-off", "warn"),
    "declaration": (_declaration, "file-certificate", "plain"),
    "declaration_amended": (_declaration_amended, "versions", "warn"),
    "handoff": (_handoff, "arrows-exchange", "ok"),
    "handoff_refused": (_refused, "ban", "bad"),
    "zone_alert": (_zone_alert, "camera", "bad"),
    "resolution": (_resolution, "gavel", "plain"),
    "inspection": (_intervention, "search", "plain"),
    "hold": (_intervention, "lock", "warn"),
    "release": (_intervention, "circle-check", "ok"),
    "seizure": (_intervention, "gavel", "bad"),
    "act_refused": (_act_refused, "ban", "bad"),
    "unit_packed": (_unit_packed, "packages", "plain"),
    "seal_applied": (_seal, "lock", "plain"),
    "seal_checked": (_seal, "eye", "plain"),
    "seal_broken": (_seal, "link-off", "warn"),
    "seal_replaced": (_seal, "refresh", "warn"),
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
