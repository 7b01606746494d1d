"""
A shipment's sealed entries as a trace reads them: each checked by itself and against the one before, handoffs with
what they say of each tag, and where rows of the database say something else.
"""

import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _

from custody.entry_checks import first_fault, own_verifiers
from custody.models import Handoff, HandoffState
from custody.tracing.windows import State
from ledger import attachments
from ledger.errors import AttachmentChanged
from ledger.models import Attachment, Entry, Statement
from ledger.tlog import canonical
from ledger.tlog.entry import parse_entry
from ledger.tlog.errors import NotCanonical, TlogError
from ledger.tlog.note import Verifier
from ledger.tlog.times import parse_time
from shipments.models import Consignment


@dataclass(frozen=True)
class Told:
    """One sealed entry. ``fault`` says what does not hold; the body of such an entry is not used."""

    index: int
    kind: str
    seq: int
    sealed_at: datetime
    body: dict[str, Any]
    fault: str = ""

    @property
    def acted_at(self) -> datetime:
        """When it was done, as the body claims; when it was sealed, where it claims nothing."""
        when = self.body.get("when")
        if isinstance(when, dict):
            for name in ("accepted_at", "refused_at", "acted_at", "submitted_at"):
                with suppress(TlogError, TypeError):
                    if name in when:
                        return parse_time(when[name])
        return self.sealed_at

    @property
    def person(self) -> str:
        """Who did it, as an urn; empty where the body names nobody."""
        by = self.body.get("by")
        return str(by.get("person", "")) if isinstance(by, dict) else ""


@dataclass(frozen=True)
class Reads:
    """What a handoff says of each tag, from the reconciliation that its entry names by digest."""

    states: Mapping[str, State] = field(default_factory=dict)
    unexpected: Mapping[str, str] = field(default_factory=dict)
    fault: str = ""

    def of(self, epc_hex: str) -> State:
        if epc_hex in self.states:
            return self.states[epc_hex]
        if self.fault:
            return State.UNKNOWN
        return State.UNEXPECTED if epc_hex in self.unexpected else State.NOT_LISTED


@dataclass(frozen=True)
class TakeOver:
    """One sealed handoff: who took custody from whom, where, and how they and the goods were looked at."""

    told: Told
    to: str
    released_by: str
    site: str
    read_point: str
    opened_at: datetime
    reconciled_at: datetime
    accepted_at: datetime
    sessions: Sequence[str]
    clean_sessions: int
    document: str
    lost_reads: int
    seals: Sequence[dict[str, Any]]
    reads: Reads

    @property
    def face(self) -> dict[str, Any]:
        face = self.told.body.get("face", {})
        return face if isinstance(face, dict) else {}

    @property
    def face_matched(self) -> bool:
        return self.face.get("outcome") == "match" and self.face.get("person") == self.to


@dataclass(frozen=True)
class Chain:
    """
    A shipment's entries, oldest first.

    :param broken: the entries that are missing or do not hold, in words
    :param rows: where rows say something else than the entries, in words
    """

    shipment: Consignment
    told: Sequence[Told]
    takeovers: Sequence[TakeOver]
    broken: Sequence[str]
    rows: Sequence[str]
    pending: int

    def between(self, first_seq: int, last_seq: int) -> list[Told]:
        """The sound entries behind ``first_seq`` and before ``last_seq``, the handoffs apart."""
        return [
            one
            for one in self.told
            if first_seq < one.seq < last_seq and not one.fault and one.kind != "handoff"
        ]  # fmt: skip


def read_chain(shipment: Consignment) -> Chain:
    """Read and check the shipment's entries, and hold the handoffs' rows against them."""
    verifiers = own_verifiers()
    rows = list(Entry.objects.filter(subject=shipment.pk.urn).order_by("subject_seq"))
    told = [read_told(row, verifiers) for row in rows]
    broken = [
        _("Entry %(index)s: %(fault)s") % {"index": one.index, "fault": one.fault} for one in told if one.fault
    ] + _missing(told)
    takeovers, unreadable = [], []
    for one in told:
        if one.kind != "handoff" or one.fault:
            continue
        try:
            takeovers.append(_take_over(one))
        except (KeyError, TypeError, ValueError, AttributeError, TlogError):
            unreadable.append(_("Entry %(index)s has a form that this version does not know.") % {"index": one.index})
    return Chain(
        shipment=shipment,
        told=told,
        takeovers=takeovers,
        broken=[*broken, *unreadable],
        rows=_hold_rows(shipment, takeovers, settled={row.index for row in rows}),
        pending=Statement.objects.filter(subject=shipment.pk.urn, entry__isnull=True).count(),
    )


def read_told(row: Entry, verifiers: tuple[Verifier, ...]) -> Told:
    """Read one entry by its note; columns are believed for nothing that is told."""
    fault = first_fault(row, verifiers)
    if not fault and not verifiers:
        fault = _("the log’s key is not at hand, so that its signature was not checked")
    try:
        entry = parse_entry(bytes(row.note))
    except TlogError:
        return Told(row.index, row.kind, row.subject_seq, row.sealed_at, {}, fault)
    return Told(entry.index, entry.kind, entry.subject_seq, parse_time(entry.sealed_at), entry.body, fault)


def _missing(told: Sequence[Told]) -> list[str]:
    expected, found = 0, []
    for one in told:
        if one.seq != expected:
            found.append(
                _("%(n)s entries of this shipment are missing before entry %(index)s.")
                % {"n": one.seq - expected, "index": one.index}
            )
        expected = one.seq + 1
    return found


def _take_over(told: Told) -> TakeOver:
    body = told.body
    reads, when = body["reads"], body["when"]
    lost = int(reads.get("gaps", 0))
    released = body["from"]
    return TakeOver(
        told=told,
        to=body["to"]["person"],
        released_by=released.get("person", ""),
        site=body["where"]["site"],
        read_point=body["where"]["read_point"],
        opened_at=parse_time(when["opened_at"]),
        reconciled_at=parse_time(when["reconciled_at"]),
        accepted_at=parse_time(when["accepted_at"]),
        sessions=[reads["session"], *(one["session"] for one in reads.get("earlier", []))],
        clean_sessions=int(reads.get("sessions", 1)) - lost,
        document=reads["document"],
        lost_reads=lost,
        seals=list(body.get("seals", [])),
        reads=read_reads(reads),
    )


def read_reads(reads: dict[str, Any]) -> Reads:
    """Read what the reconciliation says of each tag, or, where it cannot be used, what the entry lists itself."""
    try:
        document = canonical.decode(attachments.load(reads["reconciliation"]))
        assert isinstance(document, dict)
        states = dict.fromkeys(document["seen"], State.SEEN)
        states |= {item["epc"]: State.INFERRED for item in document.get("inferred", [])}
        states |= dict.fromkeys(document["not_seen"], State.NOT_SEEN)
        states |= dict.fromkeys(document.get("skewed", []), State.SKEWED)
        states |= {epc: State.OTHER_CHIP for epc in document.get("tid_mismatch", []) if epc in states}
        unexpected = {stray["epc"]: stray.get("shipment", "") for stray in document["unexpected"]}
    except Attachment.DoesNotExist:
        return _listed(reads, _("the reconciliation that the entry names is gone"))
    except AttachmentChanged:
        return _listed(reads, _("the reconciliation that the entry names was altered"))
    except NotCanonical:
        return _listed(reads, _("the reconciliation that the entry names cannot be read"))
    return Reads(states, unexpected)


def _listed(reads: dict[str, Any], fault: str) -> Reads:
    """What the entry itself still lists of the exceptions, where the attachment cannot be used."""
    states = dict.fromkeys(reads.get("not_seen", []), State.NOT_SEEN)
    return Reads(states, dict.fromkeys(reads.get("unexpected", []), ""), fault)


def _hold_rows(shipment: Consignment, takeovers: Sequence[TakeOver], *, settled: set[int]) -> list[str]:
    """Say where the rows of handoffs differ from what was sealed: whoever changed them wanted something unseen."""
    rows = Handoff.objects.filter(consignment=shipment, state=HandoffState.ACCEPTED).values_list(
        "statement__entry_id", "to_person_id", "from_person_id", "reconciliation_sha256", "id"
    )
    by_entry = {row[0]: row[1:] for row in rows if row[0] is not None}
    found = []
    for one in takeovers:
        index = one.told.index
        row = by_entry.pop(index, None)
        if row is None:
            found.append(_("Entry %(index)s is a handoff of which no row is left.") % {"index": index})
            continue
        sealed = (
            uuid.UUID(one.to),
            uuid.UUID(one.released_by) if one.released_by else None,
            one.told.body["reads"]["reconciliation"],
        )
        for part, says, was in zip(
            (_("who received"), _("who released"), _("the reconciliation")), row, sealed, strict=False
        ):
            if says != was:
                found.append(
                    _("Entry %(index)s and its row differ in %(part)s: sealed was %(sealed)s, the row says %(row)s.")
                    % {"index": index, "part": part, "sealed": was, "row": says}
                )
    found += [
        _("A row says that entry %(index)s is a handoff of this shipment, which it is not.") % {"index": index}
        for index in sorted(by_entry)
        if index not in settled
    ]
    return found
