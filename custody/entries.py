"""
The bodies of the entries that custody submits (docs/ledger-format.md).

Opaque identifiers, codes, counts and digests alone: no name, no picture, no descriptor, and nothing that is null. What
does not apply is absent.
"""

import uuid
from collections.abc import Sequence
from typing import Any

from accounts.models import User
from biometrics.models import Person
from custody.authorisations import Authorised
from custody.models import Handoff, Refused
from ledger.tlog.times import format_time
from shipments.declarations import declared_last
from shipments.entry_parts import goods_of
from shipments.models import Consignment, ReadPoint, ReadSession
from shipments.reconciliation import LISTED
from shipments.seals import seals_part


def handoff_body(handoff: Handoff, *, operator: User, authorised: Authorised) -> dict[str, Any]:
    """Build the ``handoff`` body of an accepted handoff, before it is saved."""
    assert handoff.reconciliation and handoff.reconciled_at and handoff.closed_at and handoff.verification
    earlier = list(handoff.earlier_sessions.select_related("session"))
    matched = 1 + sum(one.matched for one in earlier)
    reads = {
        **_session(handoff.session),
        "sessions": matched,
        "reconciliation": handoff.reconciliation_sha256,
        **handoff.reconciliation,
    }
    if earlier:
        reads["earlier"] = [_session(one.session) for one in earlier[-LISTED:]]
    # One session that misses a tag is weak evidence: the tag is listed as not seen, and is missing only after a second.
    # A session in which a reader admitted to have lost reads does not count as one of the two.
    unseen = reads["expected"] - reads["seen"] - reads["inferred"]
    gaps = reads.get("gaps", 0)
    missing = unseen if matched - gaps > 1 else 0
    exceptions = [
        {"code": code, "items": items, "accepted_by": operator.pk.urn}
        for code, items in (
            ("missing_tag", missing),
            ("unexpected_tag", reads["unexpected_total"]),
            ("clock_skew", reads["skewed"]),
            ("tid_mismatch", reads.get("tid_mismatch_total", 0)),
            ("unencoded_tag", reads.get("unencoded_tag", 0)),
            ("read_gap", gaps),
        )
        if items
    ]
    return {
        "handoff": handoff.pk.urn,
        "attempt": handoff.attempt.urn,
        "goods": goods(handoff.consignment),
        "from": _released_by(handoff),
        "to": _person(handoff.to_person),
        "authorisation": authorised.body(),
        "where": where(handoff.read_point),
        "when": {
            "opened_at": format_time(handoff.opened_at),
            "reconciled_at": format_time(handoff.reconciled_at),
            "accepted_at": format_time(handoff.closed_at),
        },
        "reads": reads,
        "face": handoff.verification.record,
        "second_factor": handoff.second_factor,
        "operator": operator.pk.urn,
        **seals_part(handoff.consignment),
    } | ({"exceptions": exceptions} if exceptions else {})


def refusal_body(
    refused: Refused,
    *,
    to_person: Person,
    read_point: ReadPoint,
    attempt: uuid.UUID,
    items: Sequence[str] = (),
    session: ReadSession | None = None,
    reason_code: str = "",
) -> dict[str, Any]:
    """
    Build the ``handoff_refused`` body of a refused attempt.

    :param items: the EPCs that the refusal is about, and ``session`` the frozen one in which they were read
    :param reason_code: what a capture that did not count, or an authorisation that does not fit, was refused for: where
        ``code`` leaves that open
    """
    body: dict[str, Any] = {
        "refusal": refused.pk.urn,
        "attempt": attempt.urn,
        "code": refused.code,
        "goods": goods(refused.consignment),
        "to": _person(to_person),
        "where": where(read_point),
        "when": {"refused_at": format_time(refused.at)},
        "operator": refused.by.pk.urn,
    }
    if refused.handoff is not None:
        body["handoff"] = refused.handoff.pk.urn
        body["from"] = _released_by(refused.handoff)
    if refused.verification is not None:
        body["face"] = refused.verification.record
    if refused.code == "liveness_failed":
        body["liveness"] = _liveness(refused, reason_code)
    if refused.code == "unauthorised_custodian":
        body["reason"] = reason_code
    if session is not None:
        body["reads"] = _session(session)
    if refused.note is not None:
        body["note"] = refused.note.commitment
    if items:
        body["items"] = list(items[:LISTED])
        body["items_total"] = len(items)
    return body


def _liveness(refused: Refused, reason_code: str) -> dict[str, Any]:
    liveness = {"method": "challenge_response", "outcome": "failed", "reason": reason_code}
    challenge = refused.challenge
    if challenge is not None:
        liveness["challenge"] = challenge.pk.urn
        # The transcript of an earlier answer, that passed, is not what was refused here.
        if challenge.transcript is not None and challenge.outcome == challenge.Outcome.FAILED:
            liveness["transcript"] = challenge.transcript.commitment
    return liveness


def _session(session: ReadSession) -> dict[str, Any]:
    return {
        "session": session.pk.urn,
        "document": session.document_sha256,
        "reports_root": session.reports_root,
    }


def goods(consignment: Consignment) -> dict[str, Any]:
    named: dict[str, Any] = goods_of(consignment) | {"sscc": [], "units": consignment.units.count()}
    for name in ("sscc", "grai", "bic"):
        held = consignment.units.exclude(**{name: ""}).order_by(name).values_list(name, flat=True)
        if codes := list(held[:LISTED]):
            named[name] = codes
    return named | _declared(consignment)


def _declared(consignment: Consignment) -> dict[str, Any]:
    """What was declared of the goods last, before this entry; absent where nothing was."""
    version = declared_last(consignment)
    if version is None:
        return {}
    declaration: dict[str, Any] = {"declaration": version.declaration_id.urn, "version": version.number}
    # The sealer may lag behind: without its entry's number a version is found by the other two.
    if version.statement.entry_id is not None:
        declaration["entry"] = version.statement.entry_id
    return {"declaration": declaration}


def _person(person: Person) -> dict[str, Any]:
    return {"person": person.pk.urn, "role": person.kind}


def _released_by(handoff: Handoff) -> dict[str, Any]:
    if handoff.from_person is not None:
        return _person(handoff.from_person)
    # First intake: no custodian yet, so the party that consigned the goods stands there.
    party = handoff.from_party
    return {"role": "consignor"} | ({"party": party.gln} if party and party.gln else {})


def where(read_point: ReadPoint) -> dict[str, Any]:
    return {"site": read_point.site.gln, "read_point": read_point.sgln}
