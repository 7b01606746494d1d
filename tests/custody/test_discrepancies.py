"""Discrepancies: what is opened, in which window and with whom, and that nobody who is named in one settles it."""

import uuid
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from rest_framework.test import APIClient

from accounts.models import User
from accounts.roles import Role
from accounts.tokens import issue_token
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
from custody.discrepancy_checks.sealed import check_new_entries
from custody.errors import SamePersonOnBothSides
from custody.facts import lay_out
from custody.models import Discrepancy
from custody.narrative import shipment_lines
from custody.officers import OfficerNotOnFile
from custody.routes import plan_route
from ledger.models import Entry, Statement
from ledger.sealing import seal_all
from ledger.tlog import canonical
from ledger.tlog.entry import parse_entry
from tests.custody.conftest import Dock
from tests.custody.test_handoffs import together

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


# Pages and API --------------------------------------------------------------------------------------------------------


def logged_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def page(client: Client, url: str, status: int = 200) -> str:
    response = client.get(url)
    assert response.status_code == status
    return response.content.decode()


def test_the_queue_shows_the_gravest_and_oldest_first_and_filters_in_its_address(dock, officer):
    low = find(dock, "unencoded_tag", "low")
    old, new = find(dock, "missing_tag", "old"), find(dock, "missing_tag", "new")
    assign_discrepancy(discrepancy=new, assignee=officer, by=officer)
    client, url = logged_in(officer), reverse("discrepancies")

    def shown(query: str = "") -> list[Discrepancy]:
        return [row["one"] for row in client.get(url + query).context["rows"]]

    assert shown() == [old, new, low]
    assert shown("?whose=mine") == [new]
    assert shown("?whose=unassigned&severity=high") == [old]
    assert shown("?code=unencoded_tag") == [low]
    assert shown(f"?shipment={dock.other.pk}") == []
    resolve_discrepancy(discrepancy=low, outcome="explained", note="A note", by=officer)
    assert shown() == [old, new] and shown("?state=resolved") == [low]
    assert shown("?state=nonsense&severity=x&shipment=y&page=z") == [old, new]
    assert "Tag missing" in page(client, url)


def test_an_officer_takes_one_up_and_resolves_it_on_its_page(dock, officer):
    dock.accepted()
    found = find(dock, "missing_tag", evidence=Evidence(items=(dock.tags()[0],), read_point=dock.reader.read_point))
    seal_all()
    client, url = logged_in(officer), reverse("discrepancy", args=[found.pk])
    text = page(client, url)
    for expected in ("A tag of the manifest was not read", dock.tags()[0], "Marco Ruiz", "LRD-1042", "Dock 1"):
        assert expected in text
    client.post(reverse("discrepancy_assign", args=[found.pk]), {"assignee": "olga"})
    client.post(reverse("discrepancy_note", args=[found.pk]), {"note": "Rack 4 was searched"})
    text = page(client, url)
    assert "Assigned to olga" in text and "Rack 4 was searched" in text
    answer = {"outcome": "found", "resolution": "It lay under the pallet", "password": "wrong", "entry": ""}
    refused = client.post(reverse("discrepancy_resolve", args=[found.pk]), answer)
    assert refused.status_code == 422 and "Type it again" in refused.content.decode()
    assert "It lay under the pallet" in refused.content.decode() and "wrong" not in refused.content.decode()
    for entry in ("99999", "seven", "-1", "²"):
        refused = client.post(reverse("discrepancy_resolve", args=[found.pk]), answer | {"entry": entry})
        assert refused.status_code == 422 and "Look the number up" in refused.content.decode()
    done = client.post(reverse("discrepancy_resolve", args=[found.pk]), answer | {"password": PASSWORD}, follow=True)
    assert "The resolution is recorded." in done.content.decode()
    assert "The goods or the seal were found" in done.content.decode()
    again = client.post(reverse("discrepancy_resolve", args=[found.pk]), answer | {"password": PASSWORD})
    assert again.status_code == 409 and len(bodies("resolution")) == 1


def test_assigning_to_nobody_that_there_is_changes_nothing(dock, officer):
    found = find(dock)
    assign_discrepancy(discrepancy=found, assignee=officer, by=officer)
    for wrong in ("nobody-of-that-name", "beto"):
        answer = logged_in(officer).post(reverse("discrepancy_assign", args=[found.pk]), {"assignee": wrong})
        assert answer.status_code == 422
    assert Discrepancy.objects.get().assignee == officer


def test_who_is_named_sees_no_form_and_auditors_and_supervisors_read_without_the_notes(dock, officer, ana):
    dock.accepted(receiver=dock.elena)
    named, other = find(dock), find(dock, key="other", since=timezone.now(), until=timezone.now())
    other.custodians.clear()
    assert "Another officer must resolve it" in page(logged_in(officer), reverse("discrepancy", args=[named.pk]))
    note_discrepancy(discrepancy=other, note="Only for officers", by=officer)
    for reader in (ana, User.objects.create_user("sofia", role=Role.SUPERVISOR)):
        client = logged_in(reader)
        text = page(client, reverse("discrepancy", args=[other.pk]))
        assert "Only for officers" not in text and "Record the resolution" not in text
        assert client.post(reverse("discrepancy_resolve", args=[other.pk])).status_code == 403
    for stranger in (dock.beto, User.objects.create_user("rita", role=Role.REPRESENTATIVE)):
        assert logged_in(stranger).get(reverse("discrepancies")).status_code == 403


def test_the_ledger_tells_both_entries_in_sentences(dock, officer):
    dock.accepted()
    found = find(dock, "weight_mismatch", evidence=Evidence(figures={"measured_g": 900, "declared_g": 1000}))
    plan_route(
        consignment=dock.shipment,
        sites=[dock.reader.read_point.site],
        by=User.objects.create_user("sofia", role=Role.SUPERVISOR),
    )
    resolve_discrepancy(discrepancy=found, outcome="corrected", note="Scale was off", by=officer)
    seal_all()
    lines = {line.kind: line for line in shipment_lines(dock.shipment)}
    assert "LRD-1042, severity medium: Weight differs. Held custody then: Marco Ruiz." in lines["discrepancy"].sentence
    assert "Elena Cortés resolved a discrepancy about LRD-1042" in lines["resolution"].sentence
    assert "planned the places of LRD-1042: Ciudad Juárez yard." in lines["route_planned"].sentence
    for kind, expected in (("discrepancy", "measured_g"), ("resolution", "Corrected"), ("route_planned", "1")):
        told = [fact for section in lay_out(lines[kind]) for fact in section.facts]
        assert expected in {fact.name for fact in told} | {fact.value for fact in told}
    client = logged_in(officer)
    for line in lines.values():
        assert client.get(reverse("entry", args=[line.entry.index])).status_code == 200


def test_the_api_answers_as_the_pages_do(dock, officer, ana):
    found = find(dock)
    api = APIClient()
    api.credentials(HTTP_AUTHORIZATION=f"Bearer {issue_token(user=officer, purpose='test')}")
    [told] = api.get("/api/v1/discrepancies?severity=medium").json()
    assert told["id"] == str(found.pk) and told["evidence"] == {"items": ["E2801160"]} and told["outcome"] is None
    own = f"/api/v1/discrepancies/{found.pk}"
    assert api.post(f"{own}/assign", {"assignee": "beto"}, format="json").json()["code"] == "assignee_refused"
    assert api.post(f"{own}/assign", {"assignee": "olga"}, format="json").json()["assignee"] == "olga"
    assert api.post(f"{own}/note", {"note": "Asked"}, format="json").status_code == 201
    assert [step["step"] for step in api.get(own).json()["steps"]] == ["assigned", "noted"]
    assert "Asked" not in str(api.get(own).json())
    refused = api.post(f"{own}/resolve", {"outcome": "gone", "note": "A note"}, format="json")
    assert refused.status_code == 400 and refused.json()["code"] == "fields_refused"
    done = api.post(f"{own}/resolve", {"outcome": "explained", "note": "A note"}, format="json").json()
    assert done["outcome"] == "explained"
    assert api.post(f"{own}/resolve", {"outcome": "explained", "note": "A note"}, format="json").status_code == 409
    route = f"/api/v1/shipments/{dock.shipment.pk}/route"
    assert api.get(route).json()["sites"] == []
    gln = dock.reader.read_point.site.gln
    assert api.put(route, {"sites": [gln]}, format="json").status_code == 403
    supervisor = User.objects.create_user("sofia", role=Role.SUPERVISOR)
    api.credentials(HTTP_AUTHORIZATION=f"Bearer {issue_token(user=supervisor, purpose='test')}")
    assert api.put(route, {"sites": [gln]}, format="json").json()["sites"] == [gln]
    assert api.post(f"{own}/resolve", {"outcome": "explained", "note": "A note"}, format="json").status_code == 403
    api.credentials(HTTP_AUTHORIZATION=f"Bearer {issue_token(user=dock.beto, purpose='test')}")
    assert api.get("/api/v1/discrepancies").status_code == 403


def test_a_supervisor_plans_places_and_says_what_a_site_is_watched_for(dock, ana):
    sofia = User.objects.create_user("sofia", role=Role.SUPERVISOR)
    client, url = logged_in(sofia), reverse("shipment_route", args=[dock.shipment.pk])
    assert "Nothing is planned" in page(client, url)
    refused = client.post(url, {"sites": "JRZ\nNOGALES"})
    assert refused.status_code == 422 and "No site has the code “NOGALES”" in refused.content.decode()
    assert client.post(url, {"sites": "jrz"}, follow=True).status_code == 200
    assert "Ciudad Juárez yard" in page(client, url)
    assert logged_in(ana).post(url, {"sites": "JRZ"}).status_code == 403
    site = dock.reader.read_point.site
    url = reverse("site_watch", args=[site.pk])
    hours = {"days": ["0", "1"], "opens_at": "08:00", "closes_at": "18:00", "time_zone": "America/Ciudad_Juarez"}
    wrong = client.post(url, hours | {"closes_at": ""})
    assert wrong.status_code == 422 and "an end without a beginning" in wrong.content.decode()
    client.post(url, hours | {"dwell_limit_h": "48", "latitude": "31.6904", "longitude": "-106.4245"})
    client.post(url, hours | {"dwell_limit_h": "48", "latitude": "31.6904", "longitude": "-106.4245"})
    [body] = bodies("site_watched")
    assert body["watch"] == {
        "days": 3,
        "opens_at": "08:00",
        "closes_at": "18:00",
        "time_zone": "America/Ciudad_Juarez",
        "dwell_limit_h": 48,
        "latitude_e6": 31_690_400,
        "longitude_e6": -106_424_500,
    }
    text = page(client, reverse("site_watches"))
    assert "08:00–18:00" in text and "at most 48 h" in text and "place known" in text
    assert logged_in(ana).get(url).status_code == 403


# At once --------------------------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_two_that_find_the_same_at_once_open_one(dock):
    opened: list[uuid.UUID] = []

    def open_it() -> None:
        try:
            opened.append(find(dock).pk)
        finally:
            connection.close()

    together(open_it, 6)
    assert len(opened) == 6 and len(set(opened)) == 1 and len(bodies("discrepancy")) == 1


@pytest.mark.django_db(transaction=True)
def test_two_that_find_something_about_the_log_at_once_open_one(dock):
    opened: list[uuid.UUID] = []

    def open_it() -> None:
        try:
            opened.append(
                open_discrepancy(code="chain_broken", consignment=None, key="chain_broken:1", evidence=Evidence()).pk
            )
        finally:
            connection.close()

    together(open_it, 6)
    assert len(opened) == 6 and len(set(opened)) == 1 and len(bodies("discrepancy")) == 1


@pytest.mark.django_db(transaction=True)
def test_of_two_officers_who_resolve_at_once_one_does(dock, officer):
    found, told = find(dock), []

    def resolve_it() -> None:
        try:
            resolve_discrepancy(discrepancy=found, outcome="explained", note="A note", by=officer)
            told.append("resolved")
        except ResolvedBefore as refusal:
            told.append(refusal.code)
        finally:
            connection.close()

    together(resolve_it, 4)
    assert sorted(told) == ["discrepancy_resolved_before"] * 3 + ["resolved"]
    assert len(bodies("resolution")) == 1


@pytest.mark.django_db(transaction=True)
def test_two_sweeps_at_once_find_the_same_once(dock):
    dock.accepted()
    with pytest.raises(SamePersonOnBothSides):
        dock.open()
    seal_all()

    def sweep() -> None:
        try:
            check_new_entries()
        finally:
            connection.close()

    together(sweep, 4)
    assert [one.code for one in Discrepancy.objects.all()] == ["same_person_both_sides"]
