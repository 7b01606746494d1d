"""Who may take what: what covers a shipment and what does not, who may grant it, and what the ledger says of it."""

import threading
import uuid
from datetime import UTC, date, datetime, time, timedelta
from time import sleep
from zoneinfo import ZoneInfo

import pytest
from django.db import IntegrityError, connection, transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from accounts.models import User
from accounts.roles import Role
from accounts.tokens import issue_token
from biometrics.consent import ConsentGiven
from biometrics.models import Person, PersonKind
from biometrics.people import register_person
from custody import handoffs
from custody.authorisations import Authorised, require_authorised
from custody.granting import (
    AttemptReused,
    AuthorisationRefused,
    EmploymentExists,
    GrantedToOneself,
    GrantingNotYours,
    Terms,
    end_employment,
    grant_authorisation,
    read_prefixes,
    record_employment,
    withdraw_authorisation,
)
from custody.hours import as_bits, within_hours
from custody.models import Authorisation, Employment, Handoff, HandoffState, Refused, WithdrawalReason
from custody.unauthorised import UnauthorisedCustodian
from ledger.models import Entry, Statement
from ledger.sealing import seal_all
from ledger.tlog.entry import parse_entry
from shipments.actors import Actor
from shipments.consignments import register_party
from shipments.declarations import amend_declaration, submit_declaration
from shipments.intake import PartyNamed
from shipments.models import Consignment, Party, ReadPoint, Site
from shipments.places import create_read_point, create_site
from tests.custody.conftest import PIN, Dock, authorise, shipment_of

pytestmark = pytest.mark.django_db

# A Monday, in the summer after anybody here was authorised; in Juárez it is 08:00.
MONDAY = datetime(2027, 7, 5, 14, 0, tzinfo=UTC)
JUAREZ = "America/Ciudad_Juarez"


class Yard:
    """Two sites, a shipment, a carrier, and Nora who is on file; Rosa says who may take what."""

    def __init__(self, beto: User, rosa: User) -> None:
        self.beto, self.rosa = beto, rosa
        self.site: Site = create_site(code="JRZ", name="Ciudad Juárez yard", gln="0614141000012")
        self.elsewhere: Site = create_site(code="ELP", name="El Paso warehouse", gln="0614141000029")
        self.read_point: ReadPoint = create_read_point(site=self.site, name="Dock 1", direction="in", extension="1")
        self.nora: Person = register_person(
            name="Nora Díaz", kind=PersonKind.DRIVER, registered_by=beto, consent=ConsentGiven(language="es")
        )
        self.carrier: Party = register_party(name="Transportes Paso del Norte")
        self.shipment: Consignment = shipment_of("LRD-1042", 1, 1)

    def grant(self, to: Person | Party | None = None, **allowed: object) -> Authorisation:
        return authorise(to or self.nora, by=self.rosa, **allowed)

    def employ(self, **span: date) -> Employment:
        return record_employment(person=self.nora, employer=self.carrier, by=self.rosa, attempt=uuid.uuid4(), **span)

    def asked(self, at: datetime = MONDAY, **other: object) -> Authorised:
        about = {"person": self.nora, "employer": None, "consignment": self.shipment, "site": self.site, "at": at}
        return require_authorised(**about | other)

    def refused(self, at: datetime = MONDAY, **other: object) -> UnauthorisedCustodian:
        with pytest.raises(UnauthorisedCustodian) as caught:
            self.asked(at, **other)
        return caught.value

    def declare(self, *codes: str, kind: str = "export"):
        return submit_declaration(
            consignment=self.shipment,
            told=told(*codes) | {"kind": kind, "lrn": f"{kind}-1"},
            parties={"declarant": PartyNamed("Maquiladora", "")},
            by=Actor(account=self.beto, person=self.nora.pk),
            attempt=uuid.uuid4(),
        )

    def open(self, attempt: uuid.UUID | None = None) -> Handoff:
        return handoffs.open_handoff(
            shipment="LRD-1042",
            receiver=self.nora,
            read_point=self.read_point,
            opened_by=self.beto,
            attempt=attempt or uuid.uuid4(),
        )


def told(*codes: str) -> dict:
    return {"items": [{"hs": code, "description": "Goods", "gross_g": 1000} for code in codes]}


@pytest.fixture
def yard(beto: User, rosa: User) -> Yard:
    return Yard(beto, rosa)


def bodies(kind: str) -> list[dict]:
    seal_all()
    return [parse_entry(bytes(entry.note)).body for entry in Entry.objects.filter(kind=kind).order_by("index")]


# What covers a shipment, and what does not


def test_nobody_takes_a_shipment_whom_nobody_authorised_and_the_refusal_is_an_entry(yard):
    attempt = uuid.uuid4()
    for _twice in range(2):
        with pytest.raises(UnauthorisedCustodian) as refused:
            yard.open(attempt)
    assert refused.value.code == "unauthorised_custodian"
    assert refused.value.facts["reason_code"] == "no_authorisation"
    assert refused.value.sentence == (
        "Nora Díaz may not take LRD-1042: no authorisation is on file. Somebody else must take it, or a supervisor "
        "grants one."
    )
    [body] = bodies("handoff_refused")
    assert (body["code"], body["reason"]) == ("unauthorised_custodian", "no_authorisation")
    assert body["to"]["person"] == yard.nora.pk.urn
    assert not Handoff.objects.exists()


def test_who_is_authorised_for_anything_takes_what_nobody_declared(yard):
    granted = yard.grant()
    assert yard.asked().authorisations == (granted.pk,)
    assert yard.open(uuid.uuid4()).state == HandoffState.READING


@pytest.mark.parametrize(
    ("limits", "reason", "says"),
    [
        ({"valid_until": date(2027, 7, 4)}, "authorisation_expired", "ended with 2027-07-04"),
        ({"valid_from": date(2027, 7, 6)}, "authorisation_not_begun", "begins on 2027-07-06"),
        (
            {"licence": "driving_licence", "licence_until": date(2027, 7, 4)},
            "licence_expired",
            "was valid until 2027-07-04 (Driving licence)",
        ),
        ({"days": [5, 6]}, "outside_hours", "for Sat, Sun (America/Ciudad_Juarez), and there it is Mon 08:00"),
        (
            {"opens_at": time(22), "closes_at": time(6)},
            "outside_hours",
            "for every day from 22:00 to 06:00 (America/Ciudad_Juarez), and there it is Mon 08:00",
        ),
    ],
)
def test_what_does_not_fit_is_said_in_its_own_words(yard, limits, reason, says):
    yard.grant(time_zone=JUAREZ, **limits)
    refusal = yard.refused()
    assert refusal.facts["reason_code"] == reason
    assert says in refusal.sentence


def test_the_last_day_of_an_authorisation_and_of_a_licence_counts_in_their_own_time_zone(yard):
    yard.grant(time_zone=JUAREZ, valid_until=date(2027, 7, 5), licence="badge", licence_until=date(2027, 7, 5))
    last = datetime(2027, 7, 5, 23, 59, 59, tzinfo=ZoneInfo(JUAREZ))
    assert yard.asked(last)
    assert yard.refused(last + timedelta(seconds=1)).facts["reason_code"] == "authorisation_expired"


def test_another_site_and_another_route_are_refused(yard):
    granted = yard.grant(sites=[yard.elsewhere])
    refusal = yard.refused()
    assert refusal.facts["reason_code"] == "site_not_covered"
    assert "at Ciudad Juárez yard: the authorisation is for El Paso warehouse" in refusal.sentence
    assert yard.asked(site=yard.elsewhere).authorisations == (granted.pk,)

    withdraw_authorisation(authorisation=granted, reason=WithdrawalReason.REPLACED, by=yard.rosa)
    yard.grant(consignor=yard.shipment.consignor, consignee=yard.carrier)
    refusal = yard.refused()
    assert refusal.facts["reason_code"] == "route_not_covered"
    assert "goes from Consignor of LRD-1042 to Consignee of LRD-1042" in refusal.sentence
    assert "from Consignor of LRD-1042 to Transportes Paso del Norte" in refusal.sentence
    either_end = yard.grant(consignee=yard.shipment.consignee)
    assert yard.asked().authorisations == (either_end.pk,)


def test_what_is_limited_to_a_commodity_does_not_cover_what_was_not_declared(yard):
    yard.grant(hs=["8544"])
    assert yard.refused().facts["reason_code"] == "nothing_declared"
    yard.declare("8544300000")
    assert yard.asked()


def test_every_declared_code_must_be_covered_by_one_or_by_several_together(yard):
    yard.declare("8544300000", "9018900000")
    wires = yard.grant(hs=["8544"])
    refusal = yard.refused()
    assert refusal.facts["reason_code"] == "commodity_not_covered"
    assert "under 9018900000." in refusal.sentence and "8544" not in refusal.sentence
    medical = yard.grant(hs=["90"])
    assert yard.asked().authorisations == (wires.pk, medical.pk)
    both = yard.grant(hs=["90", "85"])
    assert yard.asked().authorisations == (both.pk,)


def test_one_that_is_over_is_said_to_be_so_whatever_it_covered(yard):
    yard.declare("9018900000")
    yard.grant(hs=["8544"], time_zone=JUAREZ, valid_until=date(2027, 7, 4))
    assert yard.refused().facts["reason_code"] == "authorisation_expired"
    yard.grant(hs=["8544"], time_zone=JUAREZ, days=[6])
    assert yard.refused().facts["reason_code"] == "commodity_not_covered"


def test_one_that_covers_the_rest_but_not_now_is_what_is_told(yard):
    yard.declare("8544300000", "9018900000")
    yard.grant(hs=["8544"])
    yard.grant(hs=["9018"], sites=[yard.elsewhere])
    yard.grant(hs=["9018"], time_zone=JUAREZ, days=[6])
    assert yard.refused().facts["reason_code"] == "outside_hours"


def test_what_is_in_force_of_every_declaration_counts(yard):
    yard.grant(hs=["8544"])
    version = yard.declare("8544300000")
    yard.declare("9018900000", kind="import")
    assert yard.refused().facts["codes"] == "9018900000"
    declaration = yard.shipment.declarations.get(kind="import")
    amend_declaration(
        declaration=declaration,
        told=told("8544420000"),
        parties={"declarant": PartyNamed("Maquiladora", "")},
        by=Actor(account=yard.beto, person=yard.nora.pk),
        attempt=uuid.uuid4(),
    )
    assert yard.asked() and version.number == 1


def test_who_works_for_an_employer_takes_what_the_employer_may_and_no_longer(yard):
    granted = yard.grant(yard.carrier)
    assert yard.refused().facts["reason_code"] == "no_authorisation"
    employment = yard.employ(until=date(2027, 7, 5))
    assert yard.asked().authorisations == (granted.pk,)
    assert yard.asked(employer=yard.carrier) and yard.refused(employer=yard.shipment.consignor)
    assert yard.refused(MONDAY + timedelta(days=1)).facts["reason_code"] == "no_authorisation"
    end_employment(employment=employment, by=yard.rosa)
    assert yard.refused().facts["reason_code"] == "no_authorisation"
    yard.employ(since=date(2027, 7, 6))
    assert yard.refused() and yard.asked(MONDAY + timedelta(days=1))


def test_a_driver_who_is_not_on_file_acts_for_an_employer_and_for_nobody_he_does_not(yard):
    granted = yard.grant(yard.carrier)
    yard.grant(yard.nora)
    assert yard.asked(person=None, employer=yard.carrier).authorisations == (granted.pk,)
    refusal = yard.refused(person=None, employer=yard.shipment.consignee)
    assert refusal.sentence.startswith("Consignee of LRD-1042 may not take LRD-1042")
    assert yard.refused(person=None).facts["reason_code"] == "no_authorisation"


def test_what_is_granted_or_recorded_later_says_nothing_of_a_moment_before(yard):
    moment = timezone.now()
    yard.grant(valid_from=date(2020, 1, 1))
    assert yard.refused(moment).facts["reason_code"] == "no_authorisation"
    assert yard.asked(timezone.now())


def test_what_was_withdrawn_later_was_in_force_before(yard):
    granted = yard.grant()
    moment = timezone.now()
    withdraw_authorisation(authorisation=granted, reason=WithdrawalReason.LICENCE, by=yard.rosa)
    assert yard.asked(moment)
    assert yard.refused(timezone.now()).facts["reason_code"] == "authorisation_withdrawn"


@given(
    days=st.sets(st.integers(0, 6), min_size=1),
    opens=st.builds(time, st.integers(0, 23), st.integers(0, 59)),
    closes=st.builds(time, st.integers(0, 23), st.integers(0, 59)),
    moment=st.datetimes(datetime(2026, 1, 1), datetime(2028, 1, 1)),
    zone=st.sampled_from(["UTC", JUAREZ, "Asia/Kolkata", "Pacific/Auckland"]),
)
def test_hours_hold_from_their_beginning_to_before_their_end_on_the_day_they_began(days, opens, closes, moment, zone):
    one = Authorisation(days=as_bits(days), opens_at=opens, closes_at=closes, time_zone=zone)
    local = moment.replace(tzinfo=UTC).astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    expected = False
    for back in (0, 1):
        began = local.date() - timedelta(days=back)
        since = datetime.combine(began, opens)
        until = datetime.combine(began + timedelta(days=1 if closes < opens else 0), closes)
        expected |= began.weekday() in days and since <= local < until
    assert within_hours(one, moment.replace(tzinfo=UTC)) is expected


# A row is believed as far as its entry says the same


@pytest.mark.parametrize(
    "change",
    [
        {"hs": []},
        {"valid_until": None},
        {"opens_at": None, "closes_at": None},
        {"licence_until": date(2099, 1, 1)},
        {"consignee": None},
    ],
)
@pytest.mark.parametrize("sealed", [True, False])
def test_a_row_that_was_widened_past_its_entry_authorises_nobody(yard, change, sealed):
    yard.declare("8544300000")
    granted = yard.grant(
        hs=["8544"],
        consignee=yard.shipment.consignee,
        opens_at=time(6),
        closes_at=time(22),
        valid_until=date(2028, 1, 1),
        licence="badge",
        licence_until=date(2028, 1, 1),
    )
    if sealed:
        seal_all()
    assert yard.asked()
    Authorisation.objects.filter(pk=granted.pk).update(**change)
    assert yard.refused().facts["reason_code"] == "authorisation_altered"


def test_a_row_that_was_given_to_another_or_brought_back_authorises_nobody(yard):
    granted = yard.grant(sites=[yard.elsewhere])
    granted.sites.add(yard.site)
    assert yard.refused().facts["reason_code"] == "authorisation_altered"

    other = yard.grant(yard.carrier)
    Authorisation.objects.filter(pk=other.pk).update(person=yard.nora, employer=None)
    assert yard.refused().facts["reason_code"] == "authorisation_altered"

    third = yard.grant()
    withdraw_authorisation(authorisation=third, reason=WithdrawalReason.SUSPICION, by=yard.rosa)
    back = {"withdrawn_at": None, "withdrawn_by": None, "withdrawn_for": "", "withdrawal": None}
    for change in ({"withdrawn_at": MONDAY + timedelta(days=1)}, back):
        Authorisation.objects.filter(pk=third.pk).update(**change)
        assert yard.refused().facts["reason_code"] == "authorisation_altered"
        seal_all()


def test_a_row_that_was_dated_back_authorises_nobody(yard):
    moment = timezone.now()
    granted = yard.grant(valid_from=date(2020, 1, 1))
    Authorisation.objects.filter(pk=granted.pk).update(granted_at=moment - timedelta(days=1))
    assert yard.refused(moment).facts["reason_code"] == "authorisation_altered"


def test_an_employment_that_was_changed_or_brought_back_helps_nobody(yard):
    yard.grant(yard.carrier)
    employment = yard.employ(until=date(2027, 1, 1))
    Employment.objects.filter(pk=employment.pk).update(until=None)
    assert yard.refused()
    end_employment(employment=employment, by=yard.rosa)
    second = yard.employ()
    assert yard.asked()
    end_employment(employment=second, by=yard.rosa)
    Employment.objects.filter(pk=second.pk).update(ended_at=None, ended_by=None, ending=None)
    assert yard.refused()
    later = {"ended_at": MONDAY + timedelta(days=1), "ended_by": yard.rosa, "ending": second.statement}
    Employment.objects.filter(pk=second.pk).update(**later)
    assert yard.refused()


# The handoff


def test_an_accepted_handoff_names_by_what_it_was_authorised(dock: Dock):
    dock.accepted()
    [body] = bodies("handoff")
    assert body["authorisation"] == [dock.marcos_right.pk.urn]


def test_withdrawn_between_opening_and_accepting_custody_does_not_pass(dock: Dock):
    handoff = dock.reconciled()
    dock.show_face(handoff, dock.marcos_face)
    withdraw_authorisation(authorisation=dock.marcos_right, reason=WithdrawalReason.LEFT, by=dock.rosa)
    with pytest.raises(UnauthorisedCustodian) as refused:
        handoffs.accept_handoff(handoff=handoff, by=dock.beto, pin=PIN)
    assert refused.value.facts["reason_code"] == "authorisation_withdrawn"
    [body] = bodies("handoff_refused")
    assert (body["handoff"], body["reason"]) == (handoff.pk.urn, "authorisation_withdrawn")
    assert not bodies("handoff")
    authorise(dock.marco, by=dock.rosa)
    assert handoffs.accept_handoff(handoff=handoff, by=dock.beto, pin=PIN).state == HandoffState.ACCEPTED


def test_withdrawn_while_the_second_factor_is_checked_custody_does_not_pass(dock: Dock, monkeypatch):
    handoff = dock.reconciled()
    dock.show_face(handoff, dock.marcos_face)
    check = handoffs.check_second_factor

    def withdrawn_meanwhile(**asked):
        withdraw_authorisation(authorisation=dock.marcos_right, reason=WithdrawalReason.LEFT, by=dock.rosa)
        return check(**asked)

    monkeypatch.setattr(handoffs, "check_second_factor", withdrawn_meanwhile)
    with pytest.raises(UnauthorisedCustodian):
        handoffs.accept_handoff(handoff=handoff, by=dock.beto, pin=PIN)
    assert Handoff.objects.get(pk=handoff.pk).state == HandoffState.RECONCILED
    assert [body["reason"] for body in bodies("handoff_refused")] == ["authorisation_withdrawn"]
    kinds = [entry.kind for entry in Entry.objects.order_by("index") if entry.kind != "enrolment"]
    assert kinds[-2:] == ["authorisation_withdrawn", "handoff_refused"]


@pytest.mark.django_db(transaction=True)
def test_a_withdrawal_waits_for_a_handoff_that_is_being_accepted_by_it(dock: Dock, monkeypatch):
    handoff = dock.reconciled()
    dock.show_face(handoff, dock.marcos_face)
    decided, failures, word = threading.Event(), [], handoffs.handoff_body

    def worded_slowly(*args, **kwargs):
        decided.set()
        sleep(0.5)
        return word(*args, **kwargs)

    def withdraw() -> None:
        try:
            assert decided.wait(timeout=30)
            withdraw_authorisation(authorisation=dock.marcos_right, reason=WithdrawalReason.LEFT, by=dock.rosa)
        except Exception as error:
            failures.append(error)
        finally:
            connection.close()

    monkeypatch.setattr(handoffs, "handoff_body", worded_slowly)
    thread = threading.Thread(target=withdraw)
    thread.start()
    accepted = handoffs.accept_handoff(handoff=handoff, by=dock.beto, pin=PIN)
    thread.join(timeout=60)
    assert failures == []
    withdrawn = Authorisation.objects.get(pk=dock.marcos_right.pk)
    assert accepted.state == HandoffState.ACCEPTED
    assert withdrawn.withdrawn_at > accepted.closed_at
    assert withdrawn.withdrawal_id > accepted.statement_id


# Granting, and who may


def test_the_entry_says_what_is_allowed_and_who_granted_it_and_holds_no_number(yard):
    granted = yard.grant(
        hs=["8544", "90"],
        sites=[yard.site],
        consignee=yard.carrier,
        days=[0, 1],
        opens_at=time(22, 0, 30),
        closes_at=time(6),
        time_zone=JUAREZ,
        valid_from=date(2026, 12, 1),
        valid_until=date(2027, 12, 1),
        licence="driving_licence",
        licence_until=date(2027, 5, 1),
        licence_number="CHIH-0099812",
    )
    [body] = bodies("authorisation_granted")
    assert body["terms"] == {
        "hs": ["8544", "90"],
        "sites": ["0614141000012"],
        "route": {"consignee": yard.carrier.pk.urn},
        "hours": {"days": [0, 1], "from": "22:00", "until": "06:00", "time_zone": JUAREZ},
        "valid": {"from": "2026-12-01", "until": "2027-12-01"},
        "licence": {
            "kind": "driving_licence",
            "until": "2027-05-01",
            "number": granted.licence_number.commitment,
        },
    }
    assert body["to"] == {"person": yard.nora.pk.urn} and body["by"] == {"operator": yard.rosa.pk.urn}
    assert not [one for one in Statement.objects.all() if b"0099812" in bytes(one.body)]


def test_nobody_grants_to_himself_nor_to_his_employer_nor_employs_himself(yard):
    Person.objects.filter(pk=yard.nora.pk).update(user=yard.rosa)
    with pytest.raises(GrantedToOneself):
        yard.grant()
    with pytest.raises(GrantedToOneself):
        yard.employ()
    Person.objects.filter(pk=yard.nora.pk).update(user=None)
    yard.employ()
    Person.objects.filter(pk=yard.nora.pk).update(user=yard.rosa)
    with pytest.raises(GrantedToOneself):
        yard.grant(yard.carrier)
    assert not Authorisation.objects.exists()


def test_only_those_who_keep_authorisations_grant_or_withdraw(yard, olga, ana):
    granted = yard.grant()
    for account in (yard.beto, olga, ana):
        with pytest.raises(GrantingNotYours):
            authorise(yard.nora, by=account)
        with pytest.raises(GrantingNotYours):
            withdraw_authorisation(authorisation=granted, reason=WithdrawalReason.LEFT, by=account)
        with pytest.raises(GrantingNotYours):
            record_employment(person=yard.nora, employer=yard.carrier, by=account, attempt=uuid.uuid4())


def test_sent_twice_it_is_granted_recorded_withdrawn_and_ended_once(yard, carla):
    attempt = uuid.uuid4()
    first, again = (grant_authorisation(to=yard.nora, allowed=Terms(), by=yard.rosa, attempt=attempt) for _ in range(2))
    assert first == again
    with pytest.raises(AttemptReused):
        grant_authorisation(to=yard.nora, allowed=Terms(hs=["85"]), by=yard.rosa, attempt=attempt)
    with pytest.raises(AttemptReused):
        grant_authorisation(to=yard.carrier, allowed=Terms(), by=yard.rosa, attempt=attempt)
    with pytest.raises(AttemptReused):
        grant_authorisation(to=yard.nora, allowed=Terms(), by=carla, attempt=attempt)
    for reason in (WithdrawalReason.MISTAKE, WithdrawalReason.LEFT):
        withdrawn = withdraw_authorisation(authorisation=first, reason=reason, by=yard.rosa)
    assert withdrawn.withdrawn_for == WithdrawalReason.MISTAKE
    asked = {"person": yard.nora, "employer": yard.carrier, "by": yard.rosa}
    employment = record_employment(**asked, attempt=attempt)
    assert record_employment(**asked, attempt=attempt) == employment
    with pytest.raises(EmploymentExists):
        record_employment(**asked, attempt=uuid.uuid4())
    for _twice in range(2):
        end_employment(employment=employment, by=yard.rosa)
    kinds = ["authorisation_granted", "authorisation_withdrawn", "employment_recorded", "employment_ended"]
    assert [len(bodies(kind)) for kind in kinds] == [1, 1, 1, 1]


@pytest.mark.parametrize(
    ("allowed", "says"),
    [
        ({"hs": ["854"]}, "854 is no beginning of a commodity code"),
        ({"hs": ["٨٥"]}, "is no beginning"),
        ({"days": []}, "no day of the week"),
        ({"opens_at": time(6)}, "a beginning without an end"),
        ({"time_zone": "Juarez"}, "none of the IANA names"),
        ({"valid_from": date(2027, 1, 2), "valid_until": date(2027, 1, 1)}, "ends before it begins"),
        ({"licence": "badge"}, "the day until which it is valid"),
        ({"licence": "crown", "licence_until": date(2027, 1, 1)}, "the document is one of"),
        ({"licence_number": "B-1"}, "a number is kept of a person’s licence"),
    ],
)
def test_what_cannot_be_meant_is_not_granted(yard, allowed, says):
    with pytest.raises(AuthorisationRefused, match="Nothing was saved") as refused:
        yard.grant(**allowed)
    assert says in refused.value.sentence
    assert not Authorisation.objects.exists() and not Statement.objects.filter(kind="authorisation_granted").exists()


def test_the_database_holds_no_authorisation_without_a_holder_or_an_end_of_its_licence(yard):
    granted = yard.grant()
    for change in ({"person": None}, {"employer": yard.carrier}, {"licence": "badge"}, {"withdrawn_at": MONDAY}):
        with pytest.raises(IntegrityError), transaction.atomic():
            Authorisation.objects.filter(pk=granted.pk).update(**change)


def test_codes_are_read_as_people_type_them():
    assert read_prefixes("8544, 90; 9018.90\n8544") == ["8544", "90", "901890"]


# Pages


@pytest.fixture
def supervisor(client: Client, rosa: User) -> Client:
    client.force_login(rosa)
    return client


def test_a_supervisor_grants_and_withdraws_on_pages(yard, supervisor):
    assert "Nobody may take anything yet" in supervisor.get(reverse("authorisations")).content.decode()
    address = reverse("authorisation_new")
    typed = {
        "person": str(yard.nora.pk),
        "hs": "8544, 90",
        "sites": [str(yard.site.pk)],
        "days": ["0", "4"],
        "opens_at": "22:00",
        "closes_at": "06:00",
        "time_zone": JUAREZ,
        "licence": "badge",
        "licence_until": "2027-05-01",
        "licence_number": "B-204",
        "attempt": str(uuid.uuid4()),
    }
    wrong = supervisor.post(address, typed | {"employer": str(yard.carrier.pk)})
    assert wrong.status_code == 422 and "one of the two" in wrong.content.decode()
    wrong = supervisor.post(address, typed | {"hs": "854"})
    assert wrong.status_code == 422 and "no beginning of a commodity code" in wrong.content.decode()
    made = supervisor.post(address, typed)
    granted = Authorisation.objects.get()
    assert made.url == reverse("authorisation", args=[granted.pk])
    page = supervisor.get(made.url).content.decode()
    for text in ("Nora Díaz", "8544, 90", "Ciudad Juárez yard", "Mon, Fri from 22:00 to 06:00", "B-204", "In force"):
        assert text in page
    withdraw = reverse("authorisation_withdraw", args=[granted.pk])
    assert supervisor.post(withdraw, {"reason": ""}).status_code == 422
    assert supervisor.post(withdraw, {"reason": "suspicion"}).url == made.url
    page = supervisor.get(made.url).content.decode()
    assert "Withdrawn" in page and "Suspected of misuse" in page and "Withdraw it" not in page


def test_the_list_is_narrowed_to_one_name(yard, supervisor):
    yard.grant()
    yard.grant(yard.carrier)
    page = supervisor.get(reverse("authorisations"), {"who": "nora diaz"}).content.decode()
    assert "Nora Díaz" in page and "Transportes" not in page
    assert "Transportes" in supervisor.get(reverse("authorisations"), {"who": "paso"}).content.decode()
    assert "Nobody of this name" in supervisor.get(reverse("authorisations"), {"who": "Ana"}).content.decode()


def test_a_supervisor_says_who_works_for_whom(yard, supervisor):
    address = reverse("employments")
    typed = {"person": str(yard.nora.pk), "employer": str(yard.carrier.pk), "attempt": str(uuid.uuid4())}
    assert supervisor.post(address, typed).url == address
    assert "Nora Díaz · Transportes Paso del Norte" in supervisor.get(address).content.decode()
    again = supervisor.post(address, typed | {"attempt": str(uuid.uuid4())})
    assert "working for Transportes Paso del Norte already" in again.content.decode()
    supervisor.post(reverse("employment_end", args=[Employment.objects.get().pk]))
    assert Employment.objects.get().ended_by == yard.rosa


def test_auditors_and_officers_see_and_change_nothing_and_operators_see_nothing(yard, client, ana, olga):
    granted = yard.grant(licence="badge", licence_until=date(2027, 5, 1), licence_number="B-204")
    for account, sees_number in ((ana, False), (olga, True)):
        client.force_login(account)
        page = client.get(reverse("authorisation", args=[granted.pk])).content.decode()
        assert "Nora Díaz" in page and ("B-204" in page) is sees_number and "Withdraw it" not in page
        assert client.get(reverse("authorisation_new")).status_code == 403
        assert client.post(reverse("authorisation_withdraw", args=[granted.pk]), {"reason": "left"}).status_code == 403
        assert client.post(reverse("employments"), {}).status_code == 200 and not Employment.objects.exists()
    client.force_login(yard.beto)
    assert client.get(reverse("authorisations")).status_code == 403


def test_the_clerk_learns_before_anything_is_read(dock: Dock, client: Client):
    withdraw_authorisation(authorisation=dock.marcos_right, reason=WithdrawalReason.LEFT, by=dock.rosa)
    client.force_login(dock.beto)
    where = {"shipment": "LRD-1042", "read_point": str(dock.reader.read_point.pk)}
    page = client.get(reverse("handoff_new"), where).content.decode()
    assert page.count("Not authorised") == 1
    assert "Marco Ruiz may not take LRD-1042: the authorisation was withdrawn" in page
    chosen = client.get(reverse("handoff_new"), where | {"receiver": str(dock.marco.pk)}).content.decode()
    assert "unauthorised_custodian" in chosen
    assert not Refused.objects.exists()  # it was a look, and no attempt
    typed = {"step": "open", "receiver": str(dock.marco.pk), "attempt": str(uuid.uuid4())} | where
    insisted = client.post(reverse("handoff_new"), typed)
    assert insisted.status_code == 409 and "the authorisation was withdrawn" in insisted.content.decode()
    assert Refused.objects.get().code == "unauthorised_custodian"


def test_the_entries_are_told_in_words(yard, client, ana):
    granted = yard.grant(hs=["8544"], licence="badge", licence_until=date(2027, 5, 1), licence_number="B-204")
    withdraw_authorisation(authorisation=granted, reason=WithdrawalReason.LICENCE, by=yard.rosa)
    end_employment(employment=yard.employ(), by=yard.rosa)
    with pytest.raises(UnauthorisedCustodian):
        yard.open()
    seal_all()
    client.force_login(ana)
    pages = {
        entry.kind: client.get(reverse("entry", args=[entry.index])).content.decode() for entry in Entry.objects.all()
    }
    assert "rosa authorised Nora Díaz from" in pages["authorisation_granted"]
    assert "Badge, valid until 2027-05-01" in pages["authorisation_granted"]
    assert granted.licence_number.commitment in pages["authorisation_granted"]
    assert "Licence or badge lost, or taken away" in pages["authorisation_withdrawn"]
    assert "rosa recorded that Nora Díaz works for Transportes Paso del Norte." in pages["employment_recorded"]
    assert "does not work for Transportes Paso del Norte any more" in pages["employment_ended"]
    assert "their authorisation had been withdrawn" in pages["handoff_refused"]


# The API


def test_through_the_api(yard, client, rosa):
    bearer = {"headers": {"Authorization": f"Bearer {issue_token(user=rosa, purpose='test')}"}}
    fields = {"person": str(yard.nora.pk), "hs": ["8544"], "attempt": str(uuid.uuid4()), "time_zone": JUAREZ}

    def post(path: str, body: dict):
        return client.post(f"/api/v1/authorisations{path}", body, content_type="application/json", **bearer)

    assert post("", fields | {"employer": str(yard.carrier.pk)}).status_code == 400
    made = post("", fields)
    assert made.status_code == 201 and made.json()["state"] == "in_force"
    assert post("", fields).json()["id"] == made.json()["id"]
    listed = client.get(f"/api/v1/authorisations?person={yard.nora.pk}", **bearer).json()
    assert [one["hs"] for one in listed] == [["8544"]]
    assert client.get("/api/v1/authorisations?person=nobody", **bearer).status_code == 400

    asked = f"/api/v1/authorisations/check?shipment={yard.shipment.pk}&site={yard.site.pk}&person={yard.nora.pk}"
    refused = client.get(asked, **bearer)
    assert refused.status_code == 409 and refused.json()["facts"]["reason_code"] == "nothing_declared"
    yard.declare("8544300000")
    assert client.get(asked, **bearer).json() == {"authorisations": [made.json()["id"]]}

    gone = post(f"/{made.json()['id']}/withdraw", {"reason": "suspicion"})
    assert gone.json()["state"] == "authorisation_withdrawn"
    employed = post(
        "/employments",
        {"person": str(yard.nora.pk), "employer": str(yard.carrier.pk), "attempt": str(uuid.uuid4())},
    )
    assert employed.status_code == 201
    assert post(f"/employments/{employed.json()['id']}/end", {}).json()["ended_at"]
    client.force_login(yard.beto)
    assert client.post("/api/v1/authorisations", {}, content_type="application/json").status_code == 403


def test_a_witness_is_told_of_no_authorisation(yard, client):
    witness = User.objects.create_user("wanda", role=Role.WITNESS)
    bearer = {"headers": {"Authorization": f"Bearer {issue_token(user=witness, purpose='test')}"}}
    assert client.get("/api/v1/authorisations", **bearer).status_code == 403
    assert client.get("/api/v1/authorisations/employments", **bearer).status_code == 403
