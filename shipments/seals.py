"""
Seals after ISO 17712: put on, looked at, broken and replaced, each by a named person and each an entry of the ledger.

A seal is in force until somebody breaks it. What was found of it stays found: a seal that was seen tampered with, or
gone, is not intact again because somebody says so later.
"""

import re
import uuid
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from ledger.models import Statement
from ledger.submission import submit
from ledger.tlog.times import format_time
from refusals import Refusal
from shipments.actors import Actor
from shipments.entry_parts import goods_of, where_of
from shipments.models import (
    MAX_SEAL_NUMBER,
    Consignment,
    LogisticUnit,
    ReadPoint,
    Seal,
    SealAct,
    SealClass,
    SealEvent,
    SealState,
)
from shipments.units import GoodsClosed, UnitOfAnotherShipment, lock_open_shipment

MAX_ISSUER = 60
# What a handoff's entry names.
LISTED = 100

REASONS = {
    "customs_inspection": _("Customs inspection"),
    "authority_order": _("Order of another authority"),
    "loading": _("Goods are loaded or unloaded"),
    "delivery": _("Delivery at the destination"),
    "damaged": _("The seal is damaged"),
    "tampered": _("The seal was tampered with"),
    "wrong_seal": _("It is not the seal that was declared"),
    "emergency": _("Danger to people or goods"),
    "other": _("Another reason, in the note"),
}
"""Why a seal is broken. Entries hold the code; a code is never taken away."""

FINDINGS = (SealState.INTACT, SealState.TAMPERED, SealState.MISSING, SealState.NUMBER_DIFFERS)
# A number may have been misread, and be read again; these two are not taken back.
_DAMNING = (SealState.TAMPERED, SealState.MISSING)
_NUMBER = re.compile(r"[A-Z0-9](?:[A-Z0-9./-]*[A-Z0-9])?", re.ASCII)
_KINDS = {
    SealAct.AFFIXED: "seal_applied",
    SealAct.CHECKED: "seal_checked",
    SealAct.BROKEN: "seal_broken",
    SealAct.REPLACED: "seal_replaced",
}
_COMMITMENT = re.compile(r"[0-9a-f]{64}", re.ASCII)


class SealRefused(Refusal):
    code = "seal_refused"
    message = _("The seal was not recorded: %(problem)s")
    status = 422


class SealNumberTaken(Refusal):
    code = "seal_number_taken"
    message = _("The seal %(number)s is in force on %(unit)s of shipment %(reference)s. Read the number again.")


class SealNotInForce(Refusal):
    code = "seal_not_in_force"
    message = _("The seal %(number)s was broken before. Put on a new one, or look at the page of the shipment.")


class SealFoundOtherwise(Refusal):
    code = "seal_found_otherwise"
    message = _(
        "The seal %(number)s was found before: %(before)s. After that it cannot be found intact. Break it, with the "
        "reason."
    )


class SealReasonMissing(Refusal):
    code = "seal_reason_missing"
    message = _("Say why the seal is broken: choose one of the reasons.")
    status = 422


class SealFindingUnknown(Refusal):
    code = "seal_finding_unknown"
    message = _("Say how the seal was found: intact, tampered with, missing, or with another number.")
    status = 422


@dataclass(frozen=True, slots=True)
class NewSeal:
    """A seal as it is put on: its number, its class after ISO 17712 (I, S or H), and what organisation issued it."""

    number: str
    seal_class: str
    issuer: str = ""


@dataclass(frozen=True, slots=True)
class Act:
    """Who acts, where and when; ``note`` is the commitment to what was written, as 64 hex digits."""

    actor: Actor
    read_point: ReadPoint | None = None
    acted_at: datetime = field(default_factory=timezone.now)
    note: str = ""


def seals_in_force(consignment: Consignment) -> QuerySet[Seal]:
    """Return the shipment's seals that nobody has broken, in the order in which they were put on."""
    found = consignment.seals.filter(ended_at__isnull=True)
    return found.select_related("unit", "statement__entry").order_by("affixed_at", "id")


def seals_part(consignment: Consignment) -> dict[str, Any]:
    """
    The ``seals`` of a handoff's body, as a part to be merged: those in force, each as it was last found.

    ``affixed_entry`` is absent while that entry waits to be sealed. More than a hundred are named in no entry at once.
    """
    seals = [
        {"number": seal.number, "class": seal.seal_class, "state": seal.state} | _affixed_entry(seal)
        for seal in seals_in_force(consignment)[:LISTED]
    ]
    return {"seals": seals} if seals else {}


def affix_seal(*, unit: LogisticUnit, seal: NewSeal, act: Act, consignment: Consignment | None = None) -> Seal:
    """
    Put a seal on a unit of an open shipment; the ``seal_applied`` entry names both.

    :param consignment: where it is given, the shipment that the unit must belong to
    :raises Refusal: shipment_closed, unit_of_another_shipment, seal_refused, seal_number_taken
    """
    new = _read_seal(seal)
    with transaction.atomic():
        shipment = lock_open_shipment(unit.consignment_id)
        if consignment is not None and consignment.pk != shipment.pk:
            raise UnitOfAnotherShipment(unit=unit.code, other=shipment.reference, reference=consignment.reference)
        _require_free(new.number)
        return _affix(new, unit, shipment, act)


def check_seal(*, seal: Seal, finding: str, act: Act, found_number: str = "") -> Seal:
    """
    Record how a seal in force was found: intact, tampered, missing or number_differs. Each check is an entry.

    It may be looked at, and broken, after its shipment was closed: containers are opened when they have arrived.

    :param found_number: what stands on the seal, where ``finding`` is number_differs
    :raises Refusal: seal_not_in_force, seal_finding_unknown, seal_found_otherwise, seal_refused
    """
    found_number = _fold(found_number)
    if finding not in FINDINGS:
        raise SealFindingUnknown
    with transaction.atomic():
        seal = _lock_in_force(seal)
        damning = seal.events.filter(state__in=_DAMNING).first()
        if finding == SealState.INTACT and damning is not None:
            raise SealFoundOtherwise(number=seal.number, before=damning.get_state_display())
        if finding == SealState.NUMBER_DIFFERS:
            _require_number(found_number)
            if found_number == seal.number:
                raise SealRefused(problem=_("the number that was found is the seal’s own."))
        else:
            found_number = ""
        seal.state = finding
        seal.save(update_fields=["state"])
        statement = _submit(SealAct.CHECKED, seal, act, {"found_number": found_number} if found_number else {})
        _add_event(SealAct.CHECKED, seal, act, statement, found_number=found_number)
    return seal


def break_seal(*, seal: Seal, reason: str, act: Act) -> Seal:
    """
    Break a seal in force, with the reason; of two people who break it at once, one does and the other is told so.

    :raises Refusal: seal_not_in_force, seal_reason_missing
    """
    _require_reason(reason)
    with transaction.atomic():
        seal = _lock_in_force(seal)
        _end(seal, act)
        statement = _submit(SealAct.BROKEN, seal, act, {"reason": reason})
        _add_event(SealAct.BROKEN, seal, act, statement, reason=reason)
    return seal


def replace_seal(*, seal: Seal, by: NewSeal, reason: str, act: Act) -> Seal:
    """
    Break a seal and put another on the same unit, in one act and one ``seal_replaced`` entry that names both.

    :returns: the new seal
    :raises Refusal: shipment_closed, seal_not_in_force, seal_reason_missing, seal_refused, seal_number_taken
    """
    new = _read_seal(by)
    _require_reason(reason)
    with transaction.atomic():
        seal = _lock_in_force(seal)
        if seal.consignment.closed_at is not None:
            raise GoodsClosed(reference=seal.consignment.reference)
        if new.number == seal.number:
            raise SealRefused(problem=_("the new seal has the number of the old one."))
        _require_free(new.number)
        _end(seal, act)
        return _affix(new, seal.unit, seal.consignment, act, replaces=seal, reason=reason)


def _affix(
    new: NewSeal, unit: LogisticUnit, shipment: Consignment, act: Act, *, replaces: Seal | None = None, reason: str = ""
) -> Seal:
    seal = Seal(
        consignment=shipment,
        unit=unit,
        number=new.number,
        seal_class=new.seal_class,
        issuer=new.issuer,
        replaces=replaces,
        affixed_at=act.acted_at,
    )
    what = SealAct.AFFIXED if replaces is None else SealAct.REPLACED
    extra: dict[str, Any] = {"reason": reason} if reason else {}
    if replaces is not None:
        entry = _affixed_entry(replaces)
        extra["replaces"] = {"number": replaces.number} | ({"entry": entry["affixed_entry"]} if entry else {})
    seal.statement = _submit(what, seal, act, extra)
    try:
        with transaction.atomic():
            seal.save(force_insert=True)
    except IntegrityError as error:
        # On another shipment, whose row was not locked here, somebody was faster.
        _require_free(new.number)
        raise error
    _add_event(what, seal, act, seal.statement, reason=reason)
    if replaces is not None:
        _add_event(SealAct.BROKEN, replaces, act, seal.statement, reason=reason)
    return seal


def _end(seal: Seal, act: Act) -> None:
    seal.state, seal.ended_at = SealState.BROKEN, act.acted_at
    seal.save(update_fields=["state", "ended_at"])


def _lock_in_force(seal: Seal) -> Seal:
    """Read the seal under the lock of its shipment. :raises SealNotInForce:"""
    shipment = Consignment.objects.select_for_update(of=("self",)).get(pk=seal.consignment_id)
    locked = Seal.objects.select_related("unit", "statement").get(pk=seal.pk)
    locked.consignment = shipment
    if locked.ended_at is not None:
        raise SealNotInForce(number=locked.number)
    return locked


def _submit(what: SealAct, seal: Seal, act: Act, extra: dict[str, Any]) -> Statement:
    named = {"number": seal.number, "class": seal.seal_class}
    if seal.issuer:
        named["issuer"] = seal.issuer
    body: dict[str, Any] = {
        "act": what.value,
        "seal": named,
        "unit": seal.unit.codes(),
        "state": str(seal.state),
        "goods": goods_of(seal.consignment),
        "when": {"acted_at": format_time(act.acted_at)},
        "by": act.actor.body(),
        **where_of(act.read_point),
        **extra,
    }
    if act.note:
        if not _COMMITMENT.fullmatch(act.note):
            raise ValueError("a note is given as the commitment to it")
        body["note"] = act.note
    kind = _KINDS[what]
    return submit(kind=kind, subject=seal.consignment.pk.urn, body=body, key=f"{kind}:{uuid.uuid4()}")


def _add_event(
    what: SealAct, seal: Seal, act: Act, statement: Statement, *, found_number: str = "", reason: str = ""
) -> None:
    SealEvent.objects.create(
        seal=seal,
        act=what,
        state=seal.state,
        found_number=found_number,
        reason=reason,
        note=act.note,
        person=act.actor.person,
        operator=act.actor.account,
        read_point=act.read_point,
        acted_at=act.acted_at,
        statement=statement,
    )


def _affixed_entry(seal: Seal) -> dict[str, int]:
    return {"affixed_entry": seal.statement.entry_id} if seal.statement.entry_id is not None else {}


def _read_seal(seal: NewSeal) -> NewSeal:
    """Fold case and spaces. :raises SealRefused:"""
    number, issuer = _fold(seal.number), " ".join(seal.issuer.split())
    _require_number(number)
    if seal.seal_class not in SealClass.values:
        raise SealRefused(problem=_("its class is one of I, S and H after ISO 17712."))
    if len(issuer) > MAX_ISSUER or not issuer.isprintable():
        problem = _("its issuer has more than %(limit)s characters, or some that cannot be printed.")
        raise SealRefused(problem=problem % {"limit": MAX_ISSUER})
    return NewSeal(number, seal.seal_class, issuer)


def _fold(number: str) -> str:
    return "".join(number.split()).upper()


def _require_number(number: str) -> None:
    if len(number) > MAX_SEAL_NUMBER or not _NUMBER.fullmatch(number):
        problem = _("a seal’s number has 1 to %(limit)s letters, digits, hyphens, dots and strokes.")
        raise SealRefused(problem=problem % {"limit": MAX_SEAL_NUMBER})


def _require_reason(reason: str) -> None:
    if reason not in REASONS:
        raise SealReasonMissing


def _require_free(number: str) -> None:
    held = Seal.objects.filter(number=number, ended_at__isnull=True).select_related("unit", "consignment").first()
    if held is not None:
        raise SealNumberTaken(number=number, unit=held.unit.code, reference=held.consignment.reference)
