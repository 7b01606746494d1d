"""Discrepancies: what is opened, in which window and with whom, and that nobody who is named in one settles it."""

import uuid
from datetime import timedelta

import pytest
from django.db import transaction
from django.utils import timezone

from accounts.models import User
from accounts.roles import Role
from biometrics.people import name_account
from biometrics.vault import open_evidence
from custody.discrepancies import (
    AssigneeRefused,
    DiscrepancyNoteMissing,
    DiscrepancyNotYours,
    Evidence,
    HeldCustodyThen,
    LaterEntryUnknown,
    OutcomeUnknown,
    PasswordNotConfirmed,
    ResolvedBefore,
    assign_discrepancy,
    note_discrepancy,
    open_discrepancy,
    resolve_discrepancy,
)
from custody.interventions import OfficerNotOnFile
from custody.models import Discrepancy
from ledger.models import Entry, Statement
from ledger.sealing import seal_all
from ledger.tlog import canonical
from ledger.tlog.entry import parse_entry
from tests.custody.conftest import Dock

PASSWORD = "a long enough password 7"


def bodies(kind: str) -> list[dict]:
    return [canonical.decode(bytes(row.body)) for row in Statement.objects.filter(kind=kind).order_by("pk")]


@pytest.fixture
def officer(dock: Dock, olga: User) -> User:
    """Olga's account, with Elena's record as hers."""
    name_account(person=dock.elena, user=olga)
    olga.set_password(PASSWORD)
    olga.save()
    return olga


def find(dock: Dock, code: str = "unexpected_tag", key: str = "k", **also) -> Discrepancy:
    fields = {"evidence": Evidence(items=("E2801160",)), "consignment": dock.shipment} | also
    return open_discrepancy(code=code, key=key, **fields)


def test_a_discrepancy_is_an_entry_that_names_the_window_and_who_held_custody(dock):
    accepted = dock.accepted()
    seal_all()
    found = find(
        dock,
        "weight_mismatch",
        evidence=Evidence(
            figures={"measured_g": 900_000, "declared_g": 1_000_000, "tolerance_g": 20_000},
            read_point=dock.reader.read_point,
        ),
        by=dock.beto,
    )
    seal_all()
    entry = parse_entry(bytes(Entry.objects.get(kind="discrepancy").note))
    body = entry.body
    assert entry.subject == dock.shipment.pk.urn
    assert (body["code"], body["severity"], body["goods"]["reference"]) == ("weight_mismatch", "medium", "LRD-1042")
    assert body["evidence"]["figures"]["declared_g"] == 1_000_000
    assert body["evidence"]["site"] == dock.reader.read_point.site.gln
    handed_over = Entry.objects.get(kind="handoff").index
    assert body["window"]["from"] == {"handoff": accepted.pk.urn, "entry": handed_over}
    assert body["window"]["custodians"] == [dock.marco.pk.urn]
    assert body["by"] == {"operator": dock.beto.pk.urn}
    assert list(found.custodians.all()) == [dock.marco]


def test_what_is_found_at_a_handoff_happened_before_it_and_not_under_its_receiver(dock):
    first = dock.accepted()
    second = dock.accepted(receiver=dock.elena)
    found = find(dock, "missing_tag", evidence=Evidence(items=tuple(dock.tags()[:1]), handoff=second))
    assert found.last_good == first and found.until == second.closed_at
    assert list(found.custodians.all()) == [dock.marco]


def test_the_window_begins_where_the_goods_were_last_as_they_should_be(dock):
    first, tag = dock.accepted(), dock.tags()[0]
    second = dock.accepted(receiver=dock.elena)
    find(dock, "missing_tag", "first", evidence=Evidence(items=(tag,), handoff=second))
    third = dock.accepted()
    again = find(dock, "missing_tag", "second", evidence=Evidence(items=(tag,), handoff=third))
    assert again.last_good == first
    assert set(again.custodians.all()) == {dock.marco, dock.elena}
    other = find(dock, "missing_tag", "third", evidence=Evidence(items=(dock.tags()[1],), handoff=third))
    assert other.last_good == second and list(other.custodians.all()) == [dock.elena]


def test_before_the_first_handoff_a_window_has_no_beginning_and_no_custodian(dock):
    found = find(dock)
    assert found.since is None and not found.custodians.exists()
    assert "since" not in bodies("discrepancy")[0]["window"]


def test_the_same_finding_is_one_and_after_its_resolution_a_new_one(dock, officer):
    first = find(dock)
    assert find(dock) == first and len(bodies("discrepancy")) == 1
    resolve_discrepancy(discrepancy=first, outcome="explained", note="Pallet label", by=officer)
    second = find(dock)
    assert second != first and second.reopens == first and second.round == 2
    assert bodies("discrepancy")[1]["reopens"] == first.pk.urn
    once = find(dock, key="once", once=True)
    resolve_discrepancy(discrepancy=once, outcome="explained", note="Pallet label", by=officer)
    assert find(dock, key="once", once=True) == once


def test_a_finding_without_its_evidence_or_with_a_fraction_is_the_callers_mistake(dock):
    with pytest.raises(ValueError, match="opened with items"):
        find(dock, evidence=Evidence())
    with pytest.raises(ValueError, match="whole number"):
        find(dock, "weight_mismatch", evidence=Evidence(figures={"measured_g": 1.5}))
    with pytest.raises(ValueError, match="no_such"):
        find(dock, "no_such")
    assert not Discrepancy.objects.exists() and not bodies("discrepancy")


def test_what_the_caller_takes_back_was_never_found(dock):
    with transaction.atomic():
        find(dock)
        transaction.set_rollback(True)
    assert not Discrepancy.objects.exists() and not bodies("discrepancy")


def test_an_officer_resolves_with_a_sealed_note_and_the_entry_commits_to_every_note(dock, officer):
    found = find(dock)
    step = note_discrepancy(discrepancy=found, note="Asked the driver", by=officer)
    resolved = resolve_discrepancy(discrepancy=found, outcome="false_alarm", note="Tag of a pallet", by=officer)
    [body] = bodies("resolution")
    assert body["outcome"] == "false_alarm" and body["discrepancy"] == found.pk.urn
    assert body["by"] == {"person": dock.elena.pk.urn, "operator": officer.pk.urn}
    assert body["note"] == resolved.note.commitment and body["notes"] == [step.note.commitment]
    assert open_evidence(resolved.note) == b"Tag of a pallet" and "pallet" not in str(body)
    assert "second_factor" not in body
    with pytest.raises(ResolvedBefore):
        resolve_discrepancy(discrepancy=found, outcome="explained", note="Second thoughts", by=officer)
    with pytest.raises(ResolvedBefore):
        note_discrepancy(discrepancy=found, note="Too late", by=officer)
    assert len(bodies("resolution")) == 1


def test_high_severity_asks_for_the_password(dock, officer):
    found = find(dock, severity="high")
    for wrong in ("", "wrong"):
        with pytest.raises(PasswordNotConfirmed):
            resolve_discrepancy(discrepancy=found, outcome="found", note="Behind the rack", by=officer, password=wrong)
    assert Discrepancy.objects.get().is_open
    resolve_discrepancy(discrepancy=found, outcome="found", note="Behind the rack", by=officer, password=PASSWORD)
    assert bodies("resolution")[0]["second_factor"] == "password"


def test_who_held_custody_in_the_window_does_not_resolve_it(dock, officer):
    dock.accepted(receiver=dock.elena)
    found = find(dock)
    with pytest.raises(HeldCustodyThen):
        resolve_discrepancy(discrepancy=found, outcome="explained", note="It was I", by=officer)
    assert Discrepancy.objects.get().is_open and not bodies("resolution")


def test_who_is_named_or_opened_it_does_not_resolve_it(dock, officer):
    named = find(dock, "same_person_both_sides", evidence=Evidence(persons=(dock.elena.pk,)))
    own = find(dock, key="own", by=officer)
    for found in (named, own):
        with pytest.raises(HeldCustodyThen):
            resolve_discrepancy(discrepancy=found, outcome="explained", note="It was I", by=officer)
        with pytest.raises(AssigneeRefused):
            assign_discrepancy(discrepancy=found, assignee=officer, by=officer)


def test_only_officers_on_file_settle_discrepancies(dock, olga, beto):
    found = find(dock)
    with pytest.raises(OfficerNotOnFile):
        resolve_discrepancy(discrepancy=found, outcome="explained", note="A note", by=olga)
    for role in (Role.OPERATOR, Role.SUPERVISOR, Role.AUDITOR, Role.ADMINISTRATOR):
        beto.role = role
        for act in (
            lambda: resolve_discrepancy(discrepancy=found, outcome="explained", note="A note", by=beto),
            lambda: note_discrepancy(discrepancy=found, note="A note", by=beto),
            lambda: assign_discrepancy(discrepancy=found, assignee=None, by=beto),
        ):
            with pytest.raises(DiscrepancyNotYours):
                act()


def test_a_resolution_says_what_it_rests_on(dock, officer):
    found = find(dock)
    for note in ("", "   ", "x" * 501, "bell \x07"):
        with pytest.raises(DiscrepancyNoteMissing):
            resolve_discrepancy(discrepancy=found, outcome="explained", note=note, by=officer)
    with pytest.raises(OutcomeUnknown):
        resolve_discrepancy(discrepancy=found, outcome="forgotten", note="A note", by=officer)
    seal_all()
    found = Discrepancy.objects.select_related("statement").get()
    own = found.statement.entry_id
    for entry in (own, own - 1, own + 1):
        with pytest.raises(LaterEntryUnknown):
            resolve_discrepancy(discrepancy=found, outcome="corrected", note="Amended", by=officer, later_entry=entry)
    find(dock, key="later")
    seal_all()
    resolve_discrepancy(discrepancy=found, outcome="corrected", note="Amended", by=officer, later_entry=own + 1)
    assert bodies("resolution")[0]["entry"] == own + 1 and bodies("resolution")[0]["opened_entry"] == own


def test_a_discrepancy_is_given_to_an_officer_and_its_history_kept(dock, officer):
    found = find(dock)
    with pytest.raises(AssigneeRefused):
        assign_discrepancy(discrepancy=found, assignee=dock.beto, by=officer)
    for _twice in range(2):
        assign_discrepancy(discrepancy=found, assignee=officer, by=officer)
    assign_discrepancy(discrepancy=found, assignee=None, by=officer)
    assert list(found.steps.values_list("step", "assignee")) == [("assigned", officer.pk), ("assigned", None)]


def test_a_finding_about_a_reader_joins_the_readers_chain_and_one_about_the_log_has_its_own(dock):
    gap = open_discrepancy(code="read_gap", consignment=None, key="gap", evidence=Evidence(reader=dock.reader))
    broken = open_discrepancy(code="chain_broken", consignment=None, key="log", evidence=Evidence())
    subjects = list(Statement.objects.filter(kind="discrepancy").order_by("pk").values_list("subject", flat=True))
    assert subjects == [dock.reader.pk.urn, broken.pk.urn]
    assert "goods" not in bodies("discrepancy")[0] and gap.site is None


def test_a_window_that_is_given_names_who_held_custody_in_it(dock):
    dock.accepted()
    second = dock.accepted(receiver=dock.elena)
    now = timezone.now()
    both = find(dock, since=second.closed_at - timedelta(microseconds=1), until=now)
    assert set(both.custodians.all()) == {dock.marco, dock.elena}
    last = find(dock, key=str(uuid.uuid4()), since=second.closed_at, until=now)
    assert list(last.custodians.all()) == [dock.elena]
