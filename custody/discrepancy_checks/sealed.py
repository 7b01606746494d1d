"""
What sealed entries give cause for, in the order of the log: refused handoffs, seals, handoffs off the plan, outside
the hours or with exceptions, declarations that the manifest does not bear out.

The sealer commits no entry before one with a lower number, so that none is passed by. An entry that does not hold by
itself is a finding of its own.
"""

import logging
import uuid
from collections.abc import Callable

from django.db import transaction

from accounts.models import User
from accounts.roles import Capability
from custody.discrepancies import Evidence, open_discrepancy
from custody.discrepancy_checks.cursors import lock_cursor
from custody.discrepancy_checks.declared import check_declared
from custody.discrepancy_checks.exceptions import check_exceptions
from custody.discrepancy_checks.places import check_hours, check_order, check_route
from custody.discrepancy_codes import Code, Severity
from custody.entry_checks import first_fault, own_verifiers
from custody.models import Handoff, HandoffState
from ledger.models import Entry as EntryRow
from ledger.tlog.entry import Entry, parse_entry
from ledger.tlog.times import parse_time
from shipments.models import Consignment, ReadPoint, SealState

logger = logging.getLogger(__name__)

BATCH = 100
MOST_BATCHES = 10

# Reasons of those who may break seals by law: what they did stands in the entry itself.
_LAWFUL = ("customs_inspection", "authority_order")
# Goods are loaded and delivered every day; the seal is then broken by whoever had it in their hands.
_EXPECTED = ("loading", "delivery")
_FOUND = {
    SealState.TAMPERED: Code.SEAL_BROKEN,
    SealState.MISSING: Code.SEAL_MISSING,
    SealState.NUMBER_DIFFERS: Code.SEAL_MISMATCH,
}


def check_new_entries() -> int:
    """Look at the entries sealed since the last time. :returns: how many"""
    verifiers, looked_at = own_verifiers(), 0
    for _batch in range(MOST_BATCHES):
        with transaction.atomic():
            cursor = lock_cursor("entries")
            rows = list(EntryRow.objects.filter(index__gte=cursor.position).order_by("index")[:BATCH])
            for row in rows:
                if fault := first_fault(row, verifiers):
                    logger.error("entry %s does not hold: %s", row.index, fault)
                    _open_broken(row)
                elif row.kind in _CHECKS:
                    _check(row)
            if rows:
                cursor.position = rows[-1].index + 1
                cursor.save(update_fields=["position"])
        looked_at += len(rows)
        if len(rows) < BATCH:
            break
    return looked_at


def _check(row: EntryRow) -> None:
    entry = parse_entry(bytes(row.note))
    consignment = Consignment.objects.filter(pk=uuid.UUID(entry.subject)).first()
    if consignment is None:
        return
    try:
        with transaction.atomic():
            _CHECKS[entry.kind](entry, bytes(row.leaf_hash).hex(), consignment)
    except (KeyError, TypeError, ValueError) as error:
        # A body of a shape that this version does not know must not stop the entries behind it.
        logger.error("entry %s was not checked: %s: %s", row.index, type(error).__name__, error)


def _open_broken(row: EntryRow) -> None:
    open_discrepancy(
        code=Code.CHAIN_BROKEN,
        consignment=None,
        key=f"chain_broken:{row.index}",
        evidence=Evidence(entries=(bytes(row.leaf_hash).hex(),), figures={"entry_index": row.index}),
        once=True,
    )


def _refused(entry: Entry, leaf: str, consignment: Consignment) -> None:
    body, code = entry.body, entry.body["code"]
    if code not in (
        Code.FACE_MISMATCH,
        Code.LIVENESS_FAILED,
        Code.SAME_PERSON,
        Code.WRONG_CONSIGNMENT,
        Code.UNAUTHORISED_CUSTODIAN,
    ):
        return
    handoff = Handoff.objects.filter(pk=uuid.UUID(body["handoff"])).first() if "handoff" in body else None
    # A face is looked at three times: the first two times it may be the light.
    if code == Code.FACE_MISMATCH and (handoff is None or handoff.state != HandoffState.REFUSED):
        return
    open_discrepancy(
        code=code,
        consignment=consignment,
        key=refusal_key(code, body.get("handoff") or body["attempt"]),
        evidence=Evidence(
            items=tuple(body.get("items", ())),
            entries=(leaf,),
            sessions=(uuid.UUID(body["reads"]["session"]),) if "reads" in body else (),
            persons=(uuid.UUID(body["to"]["person"]),),
            read_point=_read_point(body),
            handoff=handoff,
        ),
        until=parse_time(body["when"]["refused_at"]),
        by=User.objects.filter(pk=uuid.UUID(body["operator"])).first(),
        once=True,
    )


def refusal_key(code: str, act: str) -> str:
    """The key of what a refusal opens, once for each handoff. :param act: the URN of the handoff, or of the attempt"""
    return f"refusal:{code}:{act}"


def _seal(entry: Entry, leaf: str, consignment: Consignment) -> None:
    body = entry.body
    by = User.objects.filter(pk=uuid.UUID(body["by"]["operator"])).first()
    severity = ""
    number = body["replaces"]["number"] if "replaces" in body else body["seal"]["number"]
    if entry.kind == "seal_checked":
        if body["state"] not in _FOUND:
            return
        code = _FOUND[SealState(body["state"])]
    else:
        code, reason = Code.SEAL_BROKEN, body["reason"]
        if reason in _LAWFUL and by is not None and by.may(Capability.INTERVENE):
            return
        if reason == "wrong_seal":
            code = Code.SEAL_MISMATCH
        severity = Severity.LOW if reason in _EXPECTED else ""
    once = entry.kind != "seal_checked"
    open_discrepancy(
        code=code,
        consignment=consignment,
        # Who breaks a seal does so once; what is found of it may be found again.
        key=f"{code}:{leaf}" if once else f"{code}:{consignment.pk}:{number}",
        evidence=Evidence(
            entries=(leaf,),
            seals=tuple(dict.fromkeys([number, *([body["found_number"]] if "found_number" in body else [])])),
            # Who finds a broken seal is a witness; who breaks one is concerned.
            persons=(uuid.UUID(body["by"]["person"]),) if once else (),
            read_point=_read_point(body),
        ),
        until=parse_time(body["when"]["acted_at"]),
        by=by,
        severity=severity,
        once=once,
    )


def _handoff(entry: Entry, leaf: str, consignment: Consignment) -> None:
    handoff = Handoff.objects.select_related("read_point__site").get(pk=uuid.UUID(entry.body["handoff"]))
    at, site = parse_time(entry.body["when"]["accepted_at"]), handoff.read_point.site
    evidence = Evidence(entries=(leaf,), read_point=handoff.read_point, handoff=handoff)
    check_route(consignment, site, at, evidence)
    check_hours(consignment, site, at, evidence)
    check_order(handoff, at, leaf)
    check_declared(consignment, leaf)
    by = User.objects.filter(pk=uuid.UUID(entry.body["operator"])).first()
    check_exceptions(handoff, entry, leaf, consignment, at, by)


def _declaration(entry: Entry, leaf: str, consignment: Consignment) -> None:
    check_declared(consignment, leaf)


def _read_point(body: dict[str, dict[str, str]]) -> ReadPoint | None:
    if "where" not in body:
        return None
    return ReadPoint.objects.select_related("site").filter(sgln=body["where"]["read_point"]).first()


_CHECKS: dict[str, Callable[[Entry, str, Consignment], None]] = {
    "handoff_refused": _refused,
    "seal_checked": _seal,
    "seal_broken": _seal,
    "seal_replaced": _seal,
    "handoff": _handoff,
    "declaration": _declaration,
    "declaration_amended": _declaration,
}
