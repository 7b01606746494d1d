"""Retention: each rule destroys what is due and nothing else, an entry says so, and a hold stops it."""

import threading
import uuid
from datetime import timedelta

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.db import connection
from django.urls import reverse
from django.utils import timezone

from accounts.models import User
from biometrics import retention
from biometrics.errors import HeldByAuthority, HoldAlreadyLifted, HoldAuthorityMissing
from biometrics.holds import lift_hold, place_hold, require_not_held
from biometrics.models import (
    Consent,
    DuplicateReview,
    Evidence,
    EvidenceKind,
    LivenessChallenge,
    Person,
    Template,
    TemplatePhoto,
    Verification,
    WatchlistEntry,
    WatchlistLead,
)
from biometrics.retention import purge_due, report
from biometrics.retention_rules import RULES, read_rules
from biometrics.vault import seal_evidence
from ledger import sweeps
from ledger.models import Statement
from ledger.tlog import canonical

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)


def sealed(person: Person, kind: EvidenceKind, *, hours: float = 0) -> Evidence:
    """Evidence as the services store it, of so many hours ago."""
    row = seal_evidence(person=person, kind=kind, value=b"a value")
    Evidence.objects.filter(pk=row.pk).update(created_at=timezone.now() - hours * HOUR)
    return row


def statement(person: Person) -> Statement:
    return Statement.objects.create(key=str(uuid.uuid4()), kind="enrolment", subject=person.pk.urn, body=b"{}")


def template(person: Person, by: User) -> Template:
    made = Template.objects.create(
        person=person,
        version=1,
        k=1,
        evidence=sealed(person, EvidenceKind.TEMPLATE, hours=10_000),
        document=sealed(person, EvidenceKind.DOCUMENT, hours=10_000),
        consent=person.consents.get(),
        enrolled_by=by,
        statement=statement(person),
    )
    TemplatePhoto.objects.create(
        template=made,
        number=1,
        evidence=sealed(person, EvidenceKind.PHOTO, hours=10_000),
        descriptor=sealed(person, EvidenceKind.DESCRIPTOR, hours=10_000),
    )
    return made


@pytest.fixture
def enrolled(ignacio: Person, beto: User) -> Template:
    """An enrolment by its rows alone: how it is made is not the subject here."""
    return template(ignacio, beto)


def verified(template: Template, outcome: str, *, hours: float, after: Verification | None = None) -> Verification:
    person = template.person
    challenge = LivenessChallenge.objects.create(
        person=person,
        context="handoff:1",
        nonce=uuid.uuid4().hex,
        turns=["left"],
        issued_to=template.enrolled_by,
        expires_at=timezone.now(),
        answered_at=timezone.now(),
        outcome="passed",
        transcript=sealed(person, EvidenceKind.TRANSCRIPT, hours=hours),
    )
    return Verification.objects.create(
        person=person,
        template=template,
        probe=sealed(person, EvidenceKind.PROBE, hours=hours),
        descriptor=sealed(person, EvidenceKind.DESCRIPTOR, hours=hours),
        camera=sealed(person, EvidenceKind.NOTE, hours=hours),
        challenge=challenge,
        first_capture=after,
        outcome=outcome,
        distance_e4=3000,
        record_json=b"{}",
        requested_by=template.enrolled_by,
    )


def of(verification: Verification) -> set[uuid.UUID]:
    rows = (verification.probe, verification.descriptor, verification.camera, verification.challenge.transcript)
    return {row.pk for row in rows}


def destroyed() -> dict[uuid.UUID, str]:
    return dict(Evidence.objects.exclude(destroyed_at=None).values_list("pk", "destroyed_for"))


def entries() -> list[dict]:
    return [canonical.decode(bytes(row.body)) for row in Statement.objects.filter(kind="erasure").order_by("pk")]


# Rules --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("outcome", "hours", "rule"),
    [
        ("no_match", 11.9, None),
        ("no_match", 12.1, "unmatched_probes"),
        ("second_capture", 11.9, None),
        ("second_capture", 12.1, "unmatched_probes"),
        ("match", 89 * 24, None),
        ("match", 91 * 24, "matched_probes"),
    ],
)
def test_a_probe_goes_when_its_time_is_over_with_descriptor_camera_and_transcript(enrolled, outcome, hours, rule):
    verification = verified(enrolled, outcome, hours=hours)
    assert purge_due() == (4 if rule else 0)
    assert destroyed() == (dict.fromkeys(of(verification), rule) if rule else {})


def test_a_first_capture_that_a_second_confirmed_is_kept_like_it_and_one_that_was_not_is_not(enrolled):
    confirmed = verified(enrolled, "second_capture", hours=24)
    verified(enrolled, "match", hours=24, after=confirmed)
    refuted = verified(enrolled, "second_capture", hours=24)
    second = verified(enrolled, "no_match", hours=24, after=refuted)
    purge_due()
    assert set(destroyed()) == of(refuted) | of(second)


def test_everything_of_an_exempt_persons_face_goes_within_hours_and_the_name_stays(enrolled, lucia, ignacio):
    Person.objects.filter(pk=ignacio.pk).update(exempt=True)
    fresh = sealed(ignacio, EvidenceKind.PHOTO, hours=11)
    other = sealed(lucia, EvidenceKind.PHOTO, hours=13)
    purge_due()
    gone = Evidence.objects.filter(person=ignacio, destroyed_for="exempt_person")
    assert set(gone.values_list("kind", flat=True)) == {"template", "document", "photo", "descriptor"}
    assert not {fresh.pk, other.pk} & set(destroyed())
    assert Evidence.objects.get(person=ignacio, kind="name").destroyed_at is None
    assert not Template.objects.get(person=ignacio).active


def test_an_enrolment_stays_while_consent_stands_and_goes_at_once_when_it_ends(enrolled, ignacio):
    assert purge_due() == 0
    Consent.objects.filter(person=ignacio).update(withdrawn_at=timezone.now())
    assert purge_due() == 4
    assert set(destroyed().values()) == {"consent_withdrawn"}
    assert not Template.objects.get().active
    assert Evidence.objects.get(person=ignacio, kind="name").destroyed_at is None


def test_a_consent_that_was_renewed_keeps_the_enrolment(enrolled, ignacio, beto):
    old = ignacio.consents.get()
    Consent.objects.filter(pk=old.pk).update(withdrawn_at=timezone.now())
    old.pk, old._state.adding, old.withdrawn_at = uuid.uuid4(), True, None
    old.save()
    assert purge_due() == 0


@pytest.mark.parametrize(
    ("outcome", "context", "rule"),
    [
        ("failed", "handoff:1", "failed_challenges"),
        ("passed", "handoff:1", "unattached_captures"),
        ("passed", "enrolment:1", None),
    ],
)
def test_a_transcript_that_no_verification_names_goes_unless_an_enrolment_rests_on_it(
    ignacio, beto, outcome, context, rule
):
    transcript = sealed(ignacio, EvidenceKind.TRANSCRIPT, hours=13)
    LivenessChallenge.objects.create(
        person=ignacio, context=context, nonce="n", turns=[], issued_to=beto, outcome=outcome, transcript=transcript,
        expires_at=timezone.now(), answered_at=timezone.now(),
    )  # fmt: skip
    purge_due()
    assert destroyed() == ({transcript.pk: rule} if rule else {})


def test_a_capture_that_nothing_names_goes(ignacio):
    left = sealed(ignacio, EvidenceKind.PROBE, hours=13)
    sealed(ignacio, EvidenceKind.PROBE, hours=11)
    sealed(ignacio, EvidenceKind.NOTE, hours=1000)
    purge_due()
    assert destroyed() == {left.pk: "unattached_captures"}


def test_the_capture_of_a_duplicate_waits_for_the_officer_and_half_a_day_more(ignacio, lucia, beto, olga):
    capture = sealed(ignacio, EvidenceKind.PROBE, hours=1000)
    review = DuplicateReview.objects.create(
        person=ignacio, other=lucia, capture=capture, distance_e4=1, threshold_e4=2, target_fmr="1e-4", raised_by=beto
    )
    purge_due()
    assert destroyed() == {}
    decided = DuplicateReview.objects.filter(pk=review.pk)
    decided.update(
        state="different_people", decided_by=olga, decided_at=timezone.now() - 11 * HOUR, statement=statement(ignacio)
    )
    purge_due()
    assert destroyed() == {}
    decided.update(decided_at=timezone.now() - 13 * HOUR)
    purge_due()
    assert destroyed() == {capture.pk: "decided_duplicates"}


@pytest.fixture
def watched(db, beto, olga) -> WatchlistEntry:
    from biometrics.people import make_person_key

    subject = Person.objects.create(kind="watchlisted", registered_by=olga)
    make_person_key(person=subject)
    return WatchlistEntry.objects.create(
        subject=subject, reason=sealed(subject, EvidenceKind.NOTE, hours=5000), authority="Court, 7/26", k=1,
        template=sealed(subject, EvidenceKind.TEMPLATE, hours=5000), expires_at=timezone.now() + HOUR,
        proposed_by=olga, proposed_at=timezone.now() - 5000 * HOUR,
    )  # fmt: skip


@pytest.mark.parametrize("ended", ["expires_at", "removed_at"])
def test_watchlist_evidence_goes_a_month_after_its_end(watched, ended):
    assert purge_due() == 0
    entry = WatchlistEntry.objects.filter(pk=watched.pk)
    entry.update(**{ended: timezone.now() - 29 * 24 * HOUR})
    assert purge_due() == 0
    entry.update(**{ended: timezone.now() - 31 * 24 * HOUR})
    assert purge_due() == 2
    assert set(destroyed().values()) == {"watchlist_ended"}


def test_the_probe_of_a_lead_waits_for_the_officer(enrolled, watched, ignacio, olga):
    verification = verified(enrolled, "no_match", hours=1000)
    lead = WatchlistLead.objects.create(
        entry=watched, person=ignacio, verification=verification, probe=verification.probe, distance_e4=1,
        threshold_e4=2, gallery_size=1, target_fpir="1e-3", statement=statement(ignacio),
    )  # fmt: skip
    purge_due()
    assert verification.probe_id not in destroyed()
    decided = WatchlistLead.objects.filter(pk=lead.pk)
    decided.update(state="confirmed", decided_by=olga, decided_at=timezone.now() - 89 * 24 * HOUR)
    purge_due()
    assert verification.probe_id not in destroyed()
    decided.update(decided_at=timezone.now() - 91 * 24 * HOUR)
    purge_due()
    assert destroyed()[verification.probe_id] == "confirmed_leads"


def test_the_probe_of_a_dismissed_lead_goes_by_its_own_rule(enrolled, watched, ignacio, olga):
    verification = verified(enrolled, "no_match", hours=13)
    WatchlistLead.objects.create(
        entry=watched, person=ignacio, verification=verification, probe=verification.probe, distance_e4=1,
        threshold_e4=2, gallery_size=1, target_fpir="1e-3", statement=statement(ignacio), state="dismissed",
        decided_by=olga, decided_at=timezone.now(),
    )  # fmt: skip
    purge_due()
    assert destroyed()[verification.probe_id] == "unmatched_probes"


# Entries ------------------------------------------------------------------------------------------------------------


def test_the_entry_names_the_rule_and_the_commitments_of_one_person_each(enrolled, lucia, beto):
    mine, hers = verified(enrolled, "no_match", hours=13), verified(template(lucia, beto), "no_match", hours=13)
    purge_due()
    found = {entry["person"]: entry for entry in entries()}
    assert len(entries()) == 2
    for verification in (mine, hers):
        entry = found[verification.person_id.urn]
        commitments = Evidence.objects.filter(pk__in=of(verification)).values_list("commitment", flat=True)
        assert sorted(entry.pop("destroyed")) == sorted(commitments)
        assert entry == {
            "person": verification.person_id.urn,
            "scope": "retention",
            "rule": "unmatched_probes",
            "after_hours": 12,
            "kinds": {"probe": 1, "descriptor": 1, "note": 1, "transcript": 1},
        }


def test_a_second_purge_does_nothing(enrolled):
    verified(enrolled, "no_match", hours=13)
    assert purge_due() == 4
    assert purge_due() == 0
    assert len(entries()) == 1


def test_many_go_in_entries_of_bounded_size(ignacio, monkeypatch):
    monkeypatch.setattr(retention, "COMMITMENTS_AN_ENTRY", 3)
    monkeypatch.setattr(retention, "_PEOPLE_AT_ONCE", 1)
    for _ in range(7):
        sealed(ignacio, EvidenceKind.PROBE, hours=13)
    assert purge_due() == 7
    assert [len(entry["destroyed"]) for entry in entries()] == [3, 3, 1]


def test_the_sweeper_purges_at_most_so_often(ignacio, settings, monkeypatch):
    monkeypatch.setattr(sweeps, "_done_at", {})
    sealed(ignacio, EvidenceKind.PROBE, hours=13)
    assert sweeps.sweep() == ()
    assert len(destroyed()) == 1
    sealed(ignacio, EvidenceKind.PROBE, hours=13)
    assert sweeps.sweep() == ()
    assert len(destroyed()) == 1
    settings.LEDGER_SWEEP_PARTS = (("retention", "biometrics.retention.purge_due", 0),)
    assert sweeps.sweep() == ()
    assert len(destroyed()) == 2


def test_while_another_process_purges_this_one_leaves_it(ignacio, monkeypatch):
    monkeypatch.setattr(sweeps, "_done_at", {})
    sealed(ignacio, EvidenceKind.PROBE, hours=13)
    at_it, done = threading.Event(), threading.Event()

    def purge_elsewhere() -> None:
        # A connection of its own, as another process has.
        try:
            with sweeps._lease("retention") as ours:
                assert ours
                at_it.set()
                done.wait(30)
        finally:
            connection.close()

    other = threading.Thread(target=purge_elsewhere)
    other.start()
    try:
        assert at_it.wait(30)
        assert sweeps.sweep() == ()
        assert destroyed() == {}
    finally:
        done.set()
        other.join()
    assert sweeps.sweep() == ()
    assert len(destroyed()) == 1


# Holds --------------------------------------------------------------------------------------------------------------


def test_a_hold_keeps_what_is_due_until_it_is_lifted(enrolled, ignacio, olga):
    verification = verified(enrolled, "no_match", hours=13)
    hold = place_hold(person=ignacio, authority="Juzgado 3, 118/2026", placed_by=olga)
    other = place_hold(person=ignacio, authority="Customs, 4", placed_by=olga)
    assert purge_due() == 0
    with pytest.raises(HeldByAuthority, match="Juzgado 3"):
        require_not_held(ignacio)
    lift_hold(hold=hold, lifted_by=olga)
    assert purge_due() == 0
    lift_hold(hold=other, lifted_by=olga)
    require_not_held(ignacio)
    assert purge_due() == 4
    assert set(destroyed()) == of(verification)
    with pytest.raises(HoldAlreadyLifted):
        lift_hold(hold=hold, lifted_by=olga)


@pytest.mark.parametrize("authority", ["", "  ", "x" * 121])
def test_a_hold_names_who_ordered_it(ignacio, olga, authority):
    with pytest.raises(HoldAuthorityMissing):
        place_hold(person=ignacio, authority=authority, placed_by=olga)


# The operator's own hours -------------------------------------------------------------------------------------------


def test_the_operator_sets_other_hours(enrolled, settings):
    verified(enrolled, "match", hours=25)
    settings.BIOMETRICS_RETENTION = '{"matched_probes": 24}'
    assert purge_due() == 4
    assert entries()[0]["after_hours"] == 24
    assert {rule.code: rule.hours for rule in read_rules()} == {
        **{rule.code: rule.hours for rule in RULES},
        "matched_probes": 24,
    }


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "not JSON"),
        ("[]", "not a JSON object"),
        ('{"probes": 3}', "'probes'"),
        ('{"matched_probes": -1}', "whole hours"),
        ('{"matched_probes": 1.5}', "whole hours"),
        ('{"matched_probes": true}', "whole hours"),
        ('{"matched_probes": 10000000}', "whole hours"),
    ],
)
def test_hours_that_cannot_be_stop_the_start(settings, text, says):
    settings.BIOMETRICS_RETENTION = text
    with pytest.raises(ImproperlyConfigured, match=says):
        read_rules()
    from django.apps import apps

    with pytest.raises(ImproperlyConfigured):
        apps.get_app_config("biometrics").ready()


# The report ---------------------------------------------------------------------------------------------------------


def test_the_report_counts_rule_by_rule(enrolled, ignacio, lucia, beto, olga, capsys):
    verified(enrolled, "no_match", hours=14)
    fresh = verified(enrolled, "no_match", hours=10)
    verified(template(lucia, beto), "no_match", hours=13)
    place_hold(person=lucia, authority="Customs, 4", placed_by=olga)
    states = {state.rule.code: state for state in report()}
    unmatched = states["unmatched_probes"]
    assert (unmatched.kept, unmatched.due, unmatched.held, unmatched.destroyed_day) == (12, 4, 4, 0)
    assert unmatched.next_due == min(Evidence.objects.get(pk=row).created_at for row in of(fresh)) + 12 * HOUR
    call_command("purge_evidence", "--dry-run")
    assert "unmatched_probes: 4 due of 12, 4 held" in capsys.readouterr().out
    call_command("purge_evidence")
    assert "4 values destroyed" in capsys.readouterr().out
    unmatched = {state.rule.code: state for state in report()}["unmatched_probes"]
    assert (unmatched.kept, unmatched.due, unmatched.destroyed_day, unmatched.destroyed_month) == (8, 0, 4, 4)


def test_the_report_page_is_for_those_who_may_see_it(client, enrolled, ana, beto, carla, olga):
    verified(enrolled, "no_match", hours=14)
    for user in (ana, carla, olga):
        client.force_login(user)
        page = client.get(reverse("retention"))
        assert page.status_code == 200
        assert b"Probes that did not match" in page.content
        assert client.get("/api/v1/retention").json()["rules"][1]["due"] == 4
    client.force_login(beto)
    assert client.get(reverse("retention")).status_code == 403
    assert client.get("/api/v1/retention").status_code == 403
