"""
The body of a ``passage`` entry (docs/ledger-format.md).

Who showed a face and who preferred not to differ in one field, ``face`` or ``dual_control``, and in nothing else.
"""

from datetime import timedelta
from typing import Any

from biometrics.models import PersonKind
from custody.entries import goods, where
from custody.models import DECISIONS, Passage
from custody.travel_documents import is_expired
from ledger.models import Statement
from ledger.submission import submit
from ledger.tlog.times import format_time

KIND = "passage"
# What is promised to whoever is exempt; the rule that keeps the promise is an hour shorter.
DESTROYED_WITHIN = timedelta(hours=12)


def submit_passage(passage: Passage, *, second_factor: str = "", authorisation: tuple[str, ...] = ()) -> Statement:
    """Submit the entry of a passage that is closed, before it is saved; about the shipment, or else the traveller."""
    subject = passage.consignment_id or passage.traveller_id
    body = _body(passage, second_factor, authorisation)
    return submit(kind=KIND, subject=subject.urn, body=body, key=f"passage:{passage.attempt}")


def _body(passage: Passage, second_factor: str, authorisation: tuple[str, ...]) -> dict[str, Any]:
    assert passage.closed_at is not None
    body: dict[str, Any] = {
        "passage": passage.pk.urn,
        "attempt": passage.attempt.urn,
        "outcome": str(passage.state),
        "direction": str(passage.direction),
        "where": where(passage.crossing.read_point),
        "when": {"opened_at": format_time(passage.opened_at), "closed_at": format_time(passage.closed_at)},
        "traveller": {
            "person": passage.traveller_id.urn,
            "on_file": passage.traveller.kind != PersonKind.TRAVELLER,
        },
        "document": {
            "type": str(passage.document_type),
            "issuing_state": passage.issuing_state,
            "number": passage.document.number.commitment,
            "expired": is_expired(passage.document_expires_on, on=passage.closed_at.date()),
        },
        "by": {"operator": passage.opened_by.pk.urn},
    }
    if passage.consignment is not None:
        body["goods"] = goods(passage.consignment)
    if passage.carrier is not None:
        body["carrier"] = passage.carrier.pk.urn
    if passage.exemption:
        at = passage.document.presented_at + DESTROYED_WITHIN
        body["exempt"] = {"reason": str(passage.exemption), "destroyed_by": format_time(at)}
    if authorisation:
        body["authorisation"] = list(authorisation)
    if passage.failed_captures:
        body["failed_captures"] = passage.failed_captures
    if passage.match is not None:
        body["face"] = passage.match.record
    leads = sorted({lead.pk.urn for match in passage.document.matches.all() for lead in match.leads.all()})
    if leads:
        body["leads"] = leads
    if passage.state in DECISIONS:
        body |= _decided(passage, second_factor)
    elif passage.without_face:
        body["dual_control"] = {"reason": str(passage.without_face), "document_checked": False}
    return body


def _decided(passage: Passage, second_factor: str) -> dict[str, Any]:
    assert passage.officer_id is not None
    officer = passage.officer_id.urn
    decided: dict[str, Any] = {
        "machine": {"advice": str(passage.advice), "findings": passage.findings},
        "by": {"person": officer, "operator": passage.opened_by.pk.urn},
    }
    if passage.without_face:
        decided["dual_control"] = {
            "officer": officer,
            "reason": str(passage.without_face),
            "document_checked": passage.document_checked,
        }
    if second_factor:
        decided["second_factor"] = second_factor
    if passage.note is not None:
        decided["note"] = passage.note.commitment
    return decided
