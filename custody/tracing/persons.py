"""
Trace a person: of which shipments they held custody, what was lost meanwhile, and what else names them.

Whoever looks is recorded before the answer: a trace makes a profile of somebody's movements out of entries that each
say little. It is a row and no entry, for nothing sealed is opened by it; the page shows who looked before.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from accounts.models import User
from accounts.roles import Capability
from biometrics.models import Person
from custody.models import Handoff, HandoffState, PersonTraced, Refused, ZoneAlert
from custody.tracing.chains import Chain, TakeOver, Told, read_chain
from custody.tracing.tags import Window, find_losses
from refusals import Refusal
from shipments.models import Consignment

# The newest shipments that are traced at once.
SHIPMENTS = 20


class TraceNotYours(Refusal):
    code = "trace_not_yours"
    message = _("Persons are traced by officers and auditors. Name such an account.")
    status = 403


@dataclass(frozen=True)
class CustodyOf:
    """One time that the person held custody; ``until`` is the handoff that ended it, None while it lasts."""

    shipment: Consignment
    takeover: TakeOver
    until: TakeOver | None
    lost: Sequence[tuple[str, Window]]


@dataclass(frozen=True)
class PersonTrace:
    """
    :param refused: attempts in their name that were refused, ``acts`` what they did to goods, both by entries
    :param shipments_total: of how many shipments they held custody in all, by rows
    """

    person: Person
    custody: Sequence[CustodyOf]
    refused: Sequence[Told]
    acts: Sequence[Told]
    alerts: Sequence[ZoneAlert]
    broken: Sequence[str]
    shipments: int
    shipments_total: int
    looked_before: Sequence[PersonTraced]

    @property
    def with_losses(self) -> int:
        return len({one.shipment.pk for one in self.custody if one.lost})


def trace_person(*, person: Person, asked_by: User, way: str, most: int = SHIPMENTS) -> PersonTrace:
    """
    Trace a person through the newest shipments that name them.

    :param way: by which door: page, api or command
    :raises TraceNotYours: where the account may not read the ledger
    """
    if not asked_by.may(Capability.READ_LEDGER):
        raise TraceNotYours
    before = list(PersonTraced.objects.filter(person=person).select_related("traced_by")[:5])
    PersonTraced.objects.create(person=person, traced_by=asked_by, way=way)
    named = _shipments(person)
    chains = [read_chain(one) for one in Consignment.objects.filter(pk__in=named[:most])]
    order = {pk: place for place, pk in enumerate(named)}
    chains.sort(key=lambda chain: order[chain.shipment.pk])
    urn = person.pk.urn
    held = [one for chain in chains for one in _custody(chain, urn)]
    told = [one for chain in chains for one in chain.told if not one.fault]
    return PersonTrace(
        person=person,
        custody=held,
        refused=[one for one in told if one.kind == "handoff_refused" and _receiver(one) == urn],
        acts=[one for one in told if one.person == urn],
        alerts=list(
            ZoneAlert.objects.filter(event__person=person).select_related("event__zone__site", "statement")[:50]
        ),
        broken=[line for chain in chains for line in (*chain.broken, *chain.rows)],
        shipments=len(chains),
        shipments_total=len(named),
        looked_before=before,
    )


def _shipments(person: Person) -> list[Any]:
    """The shipments that name the person, the newest first: found by rows, told by entries."""
    handed = Handoff.objects.filter(Q(to_person=person) | Q(from_person=person), state=HandoffState.ACCEPTED)
    refused = Refused.objects.filter(handoff__to_person=person)
    newest = [
        *handed.order_by("-opened_at").values_list("opened_at", "consignment_id"),
        *refused.order_by("-at").values_list("at", "consignment_id"),
    ]
    return list(dict.fromkeys(pk for _at, pk in sorted(newest, key=lambda row: row[0], reverse=True)))


def _receiver(told: Told) -> str:
    to = told.body.get("to")
    return str(to.get("person", "")) if isinstance(to, dict) else ""


def _custody(chain: Chain, urn: str) -> list[CustodyOf]:
    if not any(one.to == urn for one in chain.takeovers):
        return []
    losses = find_losses(chain)
    held = []
    for place, one in enumerate(chain.takeovers):
        if one.to != urn:
            continue
        until = chain.takeovers[place + 1] if place + 1 < len(chain.takeovers) else None
        lost = [
            (epc, window)
            for epc, window in losses.items()
            if any(part.takeover is not None and part.takeover.told.seq == one.told.seq for part in window.held)
        ]
        held.append(CustodyOf(chain.shipment, one, until, lost))
    return held
