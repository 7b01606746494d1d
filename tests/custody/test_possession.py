"""
Whatever two clerks do with two shipments, in any order and on screens that show what is past, each shipment has one
custodian: possession is never doubled and never orphaned.

An officer stands in for every face: which face it was is not the subject here, and exempt persons go this way always.
"""

import contextlib
import time
import uuid
from collections.abc import Callable

import pytest
from django.utils import timezone
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from accounts.models import User
from accounts.roles import Role
from biometrics.models import Person, PersonKind
from biometrics.people import register_person
from biometrics.second_factor import set_pin
from custody import handoffs
from custody.approvals import approve, ask_officer, shown
from custody.countersigning import release_custody
from custody.models import OPEN_STATES, Handoff, HandoffState
from ledger.models import Entry
from ledger.sealing import seal_all
from ledger.tlog.entry import parse_entry
from refusals import Refusal
from shipments.epc import check_digit
from shipments.ingest import record_report
from shipments.models import Consignment, Reader
from shipments.places import create_read_point, create_reader, create_site
from shipments.simulation import Sighting, report_body
from tests.custody.conftest import PIN, PREFIX, authorise, shipment_of

SHIPMENTS, PERSONS, CLERKS = st.integers(0, 1), st.integers(0, 2), st.integers(0, 1)
SCREENS = st.integers(0, 30)
IN_ORDER = ("match", "give", "for_the_face")
STEPS = (*IN_ORDER, "for_the_goods", "read_again", "weigh", "ask", "refuse", "cancel")


class Yard(RuleBasedStateMachine):
    """``screens`` are handoffs as a screen showed them once; they are acted on without a look at what is now."""

    numbers = iter(range(1, 10**6))

    def __init__(self) -> None:
        super().__init__()
        self.screens: list[Handoff] = []
        self.holder: dict[uuid.UUID, uuid.UUID | None] = {}

    @initialize()
    def begin(self) -> None:
        number = next(self.numbers)
        supervisor = _account("supervisor", Role.SUPERVISOR, number)
        self.clerks = [_account(f"clerk-{place}", Role.OPERATOR, number) for place in range(2)]
        self.officer = _account("officer", Role.OFFICER, number)
        _person(PersonKind.OFFICER, self.officer, self.officer)
        self.persons = [_person(PersonKind.DRIVER, supervisor) for _ in range(3)]
        for person in self.persons:
            authorise(person, by=supervisor)
        digits = f"{PREFIX}{number:05d}"
        site = create_site(code=f"Y{number}", name=f"Yard {number}", gln=digits + check_digit(digits))
        self.readers: list[Reader] = [
            create_reader(
                read_point=create_read_point(site=site, name=f"Dock {dock}", direction="in", extension=str(dock)),
                name=f"yard-{number}-{dock}",
            )
            for dock in range(2)
        ]
        self.shipments: list[Consignment] = [
            shipment_of(f"YRD-{number}-{place}", 2 * number + place, 2) for place in range(2)
        ]
        self.holder = {shipment.pk: None for shipment in self.shipments}

    @rule(shipment=SHIPMENTS, receiver=PERSONS, clerk=CLERKS)
    def open(self, shipment: int, receiver: int, clerk: int) -> None:
        self._try(
            lambda: self.screens.append(
                handoffs.open_handoff(
                    shipment=self.shipments[shipment].reference,
                    receiver=self.persons[receiver],
                    # Each shipment at its own dock, so that its tags are read there alone.
                    read_point=self.readers[shipment].read_point,
                    opened_by=self.clerks[clerk],
                    attempt=uuid.uuid4(),
                )
            )
        )

    @rule(shipment=SHIPMENTS, all_of_it=st.booleans())
    def read(self, shipment: int, all_of_it: bool) -> None:
        tags = list(self.shipments[shipment].manifest.values_list("epc_hex", flat=True))
        sightings = [Sighting(epc, antenna=1, rssi_cdbm=-5500) for epc in (tags if all_of_it else tags[:1])]
        body = report_body("impinj", sightings, first_ns=time.time_ns(), spacing_ns=10**6)
        reader = self.readers[shipment]
        record_report(reader=reader, body=body, content_type="application/json", received_at=timezone.now())

    @rule(screen=SCREENS, clerk=CLERKS, step=st.sampled_from(STEPS))
    def act(self, screen: int, clerk: int, step: str) -> None:
        if not self.screens:
            return
        one, by = self.screens[screen % len(self.screens)], self.clerks[clerk]
        steps: dict[str, Callable[[], object]] = {
            "match": lambda: handoffs.reconcile_handoff(handoff=one, by=by),
            "read_again": lambda: handoffs.read_again(handoff=one, by=by),
            "weigh": lambda: handoffs.weigh_shipment(handoff=one, measured_g=7_000),
            "give": lambda: release_custody(handoff=one, pin=PIN),
            "ask": lambda: ask_officer(handoff=one),
            "for_the_face": lambda: self._approve(one, "dual_control", "other", "passport"),
            "for_the_goods": lambda: self._approve(one, "exceptions", "shortage", ""),
            "refuse": lambda: handoffs.refuse_handoff(handoff=one, reason="Too late", by=by),
            "cancel": lambda: handoffs.cancel_handoff(handoff=one, by=by),
        }
        with contextlib.suppress(Refusal):
            steps[step]()

    def _approve(self, handoff: Handoff, purpose: str, reason: str, document: str) -> None:
        now = Handoff.objects.select_related("consignment").get(pk=handoff.pk)
        approve(
            handoff=handoff,
            purpose=purpose,
            reason=reason,
            document=document,
            note="As seen at the dock",
            by=self.officer,
            seen=shown(now),
            pin=PIN,
        )

    @rule(screen=SCREENS, clerk=CLERKS)
    def accept(self, screen: int, clerk: int) -> None:
        if not self.screens:
            return
        one = self.screens[screen % len(self.screens)]
        before = Handoff.objects.get(pk=one.pk).state
        try:
            accepted = handoffs.accept_handoff(handoff=one, by=self.clerks[clerk], pin=PIN)
        except Refusal:
            return
        assert accepted.state == HandoffState.ACCEPTED
        if before != HandoffState.ACCEPTED:
            self.holder[one.consignment_id] = one.to_person_id

    @rule(shipment=SHIPMENTS, receiver=PERSONS, clerk=CLERKS, left_out=st.sampled_from(["", "", "", *IN_ORDER]))
    def hand_over(self, shipment: int, receiver: int, clerk: int, left_out: str) -> None:
        """Begun anew, with the steps in their order or all but one: chance alone seldom finds it, or comes near."""
        for one in self.shipments[shipment].handoffs.filter(state__in=OPEN_STATES):
            handoffs.cancel_handoff(handoff=one, by=self.clerks[clerk])
        known = len(self.screens)
        self.open(shipment, receiver, clerk)
        if len(self.screens) == known:
            return
        self.read(shipment, all_of_it=True)
        for step in IN_ORDER:
            if step != left_out:
                self.act(known, clerk, step)
        self.accept(known, clerk)

    @invariant()
    def each_shipment_has_one_custodian(self) -> None:
        for shipment in self.shipments if self.holder else []:
            assert shipment.handoffs.filter(state__in=OPEN_STATES).count() <= 1
            held = handoffs.current_handoff(shipment)
            assert (held.to_person_id if held else None) == self.holder[shipment.pk]

    def teardown(self) -> None:
        """What the ledger says: whoever hands over is who took it before, from the consignor on."""
        seal_all()
        for shipment in self.shipments if self.holder else []:
            rows = Entry.objects.filter(subject=shipment.pk.urn, kind="handoff").order_by("subject_seq")
            bodies = [parse_entry(bytes(row.note)).body for row in rows]
            took = [body["to"]["person"] for body in bodies]
            gave = [body["from"].get("person") for body in bodies]
            assert gave == [None, *took[:-1]][: len(took)]
            assert len(took) == shipment.handoffs.filter(state=HandoffState.ACCEPTED).count()
            assert (took[-1] if took else None) == (holder.urn if (holder := self.holder[shipment.pk]) else None)
            assert all("second_factor" in body["from"] for body in bodies[1:])

    def _try(self, act: Callable[[], object]) -> None:
        with contextlib.suppress(Refusal):
            act()


def _account(name: str, role: Role, number: int) -> User:
    return User.objects.create_user(f"{name}-{number}", role=role)


def _person(kind: PersonKind, by: User, user: User | None = None) -> Person:
    person = register_person(name="Somebody", kind=kind, registered_by=by, consent=None, user=user, exempt=True)
    set_pin(person=person, pin=PIN)
    return person


@pytest.mark.django_db
def test_possession_is_never_doubled_and_never_orphaned() -> None:
    run_state_machine_as_test(
        Yard,
        settings=settings(
            max_examples=30, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
