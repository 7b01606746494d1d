"""The watchlist: two officers, an order and a day; and a likeness that is a lead and nothing more."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts.models import User
from biometrics import gallery, watchlist
from biometrics.engine import comparison
from biometrics.engine.search_calibration import read_search_calibration
from biometrics.erasure import Right, erase_person
from biometrics.errors import SecondOfficerNeeded, WatchlistFull
from biometrics.gallery import open_watchlist, vector_from_bytes
from biometrics.models import Evidence, EvidenceKind, Person, PersonKind, WatchlistEntry, WatchlistLead
from biometrics.vault import open_evidence
from biometrics.watchlist import (
    confirm_watchlisted,
    decide_lead,
    entry_state,
    remove_watchlisted,
    search_watchlist,
)
from demo.portraits import Portrait
from ledger.models import Entry, Statement
from ledger.sealing import seal_pending
from refusals import Refusal
from tests.biometrics.larger_set import larger_set
from tests.biometrics.pictures import side_by_side
from tests.biometrics.watching import (
    AUTHORITY,
    NAME,
    REASON,
    bodies,
    described,
    probe_of,
    propose,
    put_on_watchlist,
    second_officer,
    sitting,
)


@pytest.fixture(autouse=True)
def _nothing_opened() -> None:
    gallery.forget_galleries()


@pytest.fixture
def otto(db: None) -> User:
    return second_officer()


@pytest.fixture
def watched(olga: User, otto: User, photos: Path) -> WatchlistEntry:
    """Two sittings of one face, confirmed: searched for."""
    return put_on_watchlist(olga, otto, sitting(photos, "obama.jpg"), sitting(photos, "obama2.jpg"))


def found(photo: bytes, person: Person, **also) -> list[WatchlistLead]:
    return search_watchlist(descriptor=described(photo), probe=probe_of(person, photo), person=person, **also)


# Putting a face on it -----------------------------------------------------------------------------------------------


def test_a_proposal_is_sealed_and_its_entry_holds_opaque_things_alone(olga: User, photos: Path) -> None:
    entry = propose(olga, sitting(photos, "obama.jpg"), sitting(photos, "obama2.jpg"))
    subject = entry.subject
    assert (subject.kind, subject.consents.count(), entry_state(entry)) == (PersonKind.WATCHLISTED, 0, "proposed")
    [body] = bodies("watchlist_changed")
    held = Evidence.objects.filter(person=subject)
    assert sorted(held.values_list("kind", flat=True)) == ["name", "note", "note", "photo", "photo", "template"]
    authority = held.exclude(pk=entry.reason_id).get(kind=EvidenceKind.NOTE)
    assert open_evidence(authority).decode() == AUTHORITY
    assert open_evidence(entry.reason).decode() == REASON
    assert body["action"] == "proposed"
    assert (body["entry"], body["person"], body["by"]) == (entry.pk.urn, subject.pk.urn, olga.pk.urn)
    assert (body["template"], body["reason"]) == (entry.template.commitment, entry.reason.commitment)
    assert body["authority"] == authority.commitment
    assert body["photos"] == [photo.evidence.commitment for photo in entry.photos.all()]
    assert (body["k"], body["metric"]) == (2, "l2_mean")
    written = bytes(Statement.objects.get().body).decode()
    for secret in (NAME, "Prófugo", REASON, "theft", AUTHORITY, "FED", "olga"):
        assert secret not in written


def test_the_template_is_the_mean_of_the_photos(olga: User, photos: Path) -> None:
    entry = propose(olga, sitting(photos, "obama.jpg"), sitting(photos, "obama2.jpg"))
    vectors = [described(sitting(photos, name)) for name in ("obama.jpg", "obama2.jpg")]
    kept = vector_from_bytes(open_evidence(entry.template))
    assert comparison.distance_e4(kept, comparison.template(vectors)) == 0


def test_nobody_is_searched_for_before_another_officer_confirms(
    olga: User, otto: User, ignacio: Person, photos: Path
) -> None:
    entry = propose(olga, sitting(photos, "obama.jpg"))
    assert found(sitting(photos, "obama_partial_face.jpg"), ignacio) == []
    with pytest.raises(SecondOfficerNeeded):
        confirm_watchlisted(entry=entry, confirmed_by=olga)
    assert found(sitting(photos, "obama_partial_face.jpg"), ignacio) == []
    confirmed = confirm_watchlisted(entry=entry, confirmed_by=otto)
    assert entry_state(confirmed) == "searched"
    assert len(found(sitting(photos, "obama_partial_face.jpg"), ignacio)) == 1
    proposed, body = bodies("watchlist_changed")
    assert (body["action"], body["by"], body["proposed_by"]) == ("confirmed", otto.pk.urn, olga.pk.urn)
    assert body["template"] == proposed["template"]


def test_the_database_refuses_one_officer_in_both_roles(olga: User, photos: Path) -> None:
    entry = propose(olga, sitting(photos, "obama.jpg"))
    with pytest.raises(IntegrityError), transaction.atomic():
        WatchlistEntry.objects.filter(pk=entry.pk).update(confirmed_by=olga, confirmed_at=timezone.now())


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        ({"reason": " "}, "watchlist_reason_missing"),
        ({"reason": "x" * 501}, "watchlist_reason_missing"),
        ({"authority": ""}, "watchlist_authority_missing"),
        ({"authority": "x" * 121}, "watchlist_authority_missing"),
        ({"expires_at": timezone.now() - timedelta(seconds=1)}, "watchlist_expiry_unusable"),
        ({"expires_at": timezone.now() + timedelta(days=400)}, "watchlist_expiry_unusable"),
    ],
)
def test_an_order_that_lacks_something_is_refused(olga: User, photos: Path, spoil: dict, code: str) -> None:
    with pytest.raises(Refusal) as refused:
        propose(olga, sitting(photos, "obama.jpg"), **spoil)
    assert refused.value.code == code
    assert not (Person.objects.exists() or Statement.objects.exists())


def test_photos_that_cannot_be_used_are_refused_and_nothing_is_kept(olga: User, photos: Path) -> None:
    obama = sitting(photos, "obama.jpg")
    cases: list[tuple[list[bytes], str]] = [
        ([], "photos_missing"),
        ([obama] * 6, "photos_missing"),
        ([obama, b"text"], "watchlist_photo_refused"),
        ([side_by_side(photos / "obama.jpg", photos / "biden.jpg")], "watchlist_photo_refused"),
    ]
    for given, code in cases:
        with pytest.raises(Refusal) as refused:
            propose(olga, *given)
        assert refused.value.code == code
    assert not (Person.objects.exists() or Statement.objects.exists())


def test_two_faces_are_not_one_entry(olga: User, photos: Path, biden: Portrait) -> None:
    with pytest.raises(Refusal) as refused:
        propose(olga, sitting(photos, "obama.jpg"), sitting(photos, "obama2.jpg"), biden.live)
    assert (refused.value.code, refused.value.facts["photo"]) == ("photos_disagree", 3)


@pytest.mark.parametrize("role", ["ana", "beto", "carla"])
def test_only_officers_keep_it(
    role: str, request: pytest.FixtureRequest, watched: WatchlistEntry, photos: Path
) -> None:
    user = request.getfixturevalue(role)
    acts: list[Callable] = [
        lambda: propose(user, sitting(photos, "obama.jpg")),
        lambda: confirm_watchlisted(entry=watched, confirmed_by=user),
        lambda: remove_watchlisted(entry=watched, removed_by=user, reason=REASON),
    ]
    for act in acts:
        with pytest.raises(Refusal) as refused:
            act()
        assert (refused.value.code, refused.value.status) == ("watchlist_not_yours", 403)


def test_a_gallery_beyond_what_can_be_claimed_is_not_grown(
    olga: User, otto: User, watched: WatchlistEntry, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = propose(olga, sitting(photos, "obama.jpg"))
    point = type(read_search_calibration()).point

    def small(self, *, gallery_size: int, target_fpir: str = "1e-3"):
        return point(self, gallery_size=gallery_size if gallery_size < 2 else 10**12, target_fpir=target_fpir)

    monkeypatch.setattr(type(read_search_calibration()), "point", small)
    with pytest.raises(WatchlistFull):
        confirm_watchlisted(entry=entry, confirmed_by=otto)
    entry.refresh_from_db()
    assert entry.confirmed_at is None


# Taking it off ------------------------------------------------------------------------------------------------------


def test_one_officer_removes_and_nothing_is_found_any_more(
    watched: WatchlistEntry, olga: User, ignacio: Person, photos: Path
) -> None:
    assert len(open_watchlist().rows) == 1
    removed = remove_watchlisted(entry=watched, removed_by=olga, reason="The order was lifted")
    assert entry_state(removed) == "removed"
    assert found(sitting(photos, "obama_partial_face.jpg"), ignacio) == []
    assert len(open_watchlist().vectors) == 0
    body = bodies("watchlist_changed")[-1]
    assert (body["action"], body["by"]) == ("removed", olga.pk.urn)
    note = Evidence.objects.get(commitment=body["reason"])
    assert open_evidence(note).decode() == "The order was lifted"
    for act in (
        lambda: remove_watchlisted(entry=watched, removed_by=olga, reason=REASON),
        lambda: confirm_watchlisted(entry=watched, confirmed_by=olga),
    ):
        with pytest.raises(Refusal) as refused:
            act()
        assert refused.value.code == "watchlist_entry_ended"


def test_an_entry_ends_with_its_day(
    watched: WatchlistEntry, ignacio: Person, otto: User, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert len(open_watchlist().rows) == 1
    later = watched.expires_at
    monkeypatch.setattr(timezone, "now", lambda: later)
    assert len(open_watchlist().vectors) == 0
    assert found(sitting(photos, "obama_partial_face.jpg"), ignacio) == []
    assert entry_state(watched) == "expired"
    with pytest.raises(Refusal) as refused:
        confirm_watchlisted(entry=watched, confirmed_by=otto)
    assert refused.value.code == "watchlist_entry_ended"


def test_an_erased_subject_is_gone_from_memory(
    watched: WatchlistEntry, ignacio: Person, carla: User, photos: Path
) -> None:
    assert len(open_watchlist().rows) == 1
    erase_person(person=watched.subject, erased_by=carla, right=Right.UNLAWFUL)
    assert len(open_watchlist().vectors) == 0
    assert found(sitting(photos, "obama_partial_face.jpg"), ignacio) == []


# Leads --------------------------------------------------------------------------------------------------------------


def test_another_photo_of_the_same_face_is_a_lead_and_its_entry_gives_the_rate(
    watched: WatchlistEntry, ignacio: Person, photos: Path
) -> None:
    photo = sitting(photos, "obama_partial_face.jpg")
    [lead] = found(photo, ignacio)
    point = read_search_calibration().point(gallery_size=1, target_fpir="1e-3")
    kept = vector_from_bytes(open_evidence(watched.template))
    assert (lead.entry, lead.person, lead.state) == (watched, ignacio, WatchlistLead.State.OPEN)
    assert lead.distance_e4 == comparison.distance_e4(kept, described(photo))
    assert lead.distance_e4 <= lead.threshold_e4 < point.threshold_e4
    seal_pending()
    [body] = bodies("watchlist_lead")
    assert Entry.objects.get(kind="watchlist_lead").subject == watched.subject_id.urn
    assert body == {
        "lead": lead.pk.urn,
        "entry": watched.pk.urn,
        "action": "found",
        "at": body["at"],
        "probe": lead.probe.commitment,
        "metric": "l2_mean",
        "k": 2,
        "m": 1,
        "distance_e4": lead.distance_e4,
        "threshold_e4": lead.threshold_e4,
        "gallery_size": 1,
        "calibrated_size": point.gallery_size,
        "target_fpir": "1e-3",
        "dataset": point.dataset,
        "basis": point.basis,
        "calibration": read_search_calibration().sha256,
    }


def test_the_person_stays_as_they_were(watched: WatchlistEntry, enrolled: Person, photos: Path) -> None:
    before = Person.objects.filter(pk=enrolled.pk).values().get()
    assert len(found(sitting(photos, "obama_partial_face.jpg"), enrolled)) == 1
    assert Person.objects.filter(pk=enrolled.pk).values().get() == before
    assert enrolled.templates.filter(active=True).exists()


def test_strangers_are_no_lead(watched: WatchlistEntry, ignacio: Person, biden: Portrait) -> None:
    assert len(open_watchlist().rows) == 1
    assert [lead for photo in [*biden.captures, biden.live] for lead in found(photo, ignacio)] == []
    assert bodies("watchlist_lead") == []


def test_an_enrolment_is_searched_too(
    watched: WatchlistEntry, ignacio: Person, beto: User, obama: Portrait, biden: Portrait, lucia: Person
) -> None:
    from biometrics.enrolment import enrol_person

    enrol_person(person=ignacio, photos=obama.captures, document=obama.document, enrolled_by=beto)
    enrol_person(person=lucia, photos=biden.captures, document=biden.document, enrolled_by=beto)
    assert [lead.person for lead in WatchlistLead.objects.all()] == [ignacio]


def test_the_same_person_within_the_hour_is_the_same_lead(
    watched: WatchlistEntry, ignacio: Person, lucia: Person, photos: Path
) -> None:
    photo = sitting(photos, "obama_partial_face.jpg")
    [first] = found(photo, ignacio)
    assert found(photo, ignacio) == [first]
    [other] = found(photo, lucia)
    assert other != first
    WatchlistLead.objects.filter(pk=first.pk).update(found_at=timezone.now() - watchlist.SAME_LEAD)
    [again] = found(photo, ignacio)
    assert again not in (first, other)
    assert len(bodies("watchlist_lead")) == 3


def test_where_nobody_is_named_each_likeness_is_a_lead(watched: WatchlistEntry, ignacio: Person, photos: Path) -> None:
    photo = sitting(photos, "obama_partial_face.jpg")
    for _ in range(2):
        [lead] = search_watchlist(descriptor=described(photo), probe=probe_of(ignacio, photo))
        assert lead.person is None
    assert WatchlistLead.objects.count() == 2


def test_what_memory_alone_still_holds_makes_no_lead(
    watched: WatchlistEntry, ignacio: Person, olga: User, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stale = open_watchlist()
    monkeypatch.setattr(watchlist, "open_watchlist", lambda: stale)
    remove_watchlisted(entry=watched, removed_by=olga, reason=REASON)
    assert found(sitting(photos, "obama_partial_face.jpg"), ignacio) == []


@pytest.mark.parametrize(("confirmed", "decision"), [(True, "confirmed"), (False, "dismissed")])
def test_an_officer_decides_once_and_the_decision_is_an_entry(
    watched: WatchlistEntry, ignacio: Person, beto: User, olga: User, photos: Path, confirmed: bool, decision: str
) -> None:
    [lead] = found(sitting(photos, "obama_partial_face.jpg"), ignacio)
    with pytest.raises(Refusal) as refused:
        decide_lead(lead=lead, confirmed=confirmed, decided_by=beto, note="A likeness")
    assert refused.value.code == "watchlist_not_yours"
    decided = decide_lead(lead=lead, confirmed=confirmed, decided_by=olga, note="Document checked")
    assert (decided.state, decided.decided_by) == (decision, olga)
    assert open_evidence(decided.note).decode() == "Document checked"
    assert bodies("watchlist_lead")[1] == {
        "lead": lead.pk.urn,
        "entry": watched.pk.urn,
        "action": "decided",
        "decision": decision,
        "note": decided.note.commitment,
        "by": olga.pk.urn,
        "at": bodies("watchlist_lead")[1]["at"],
    }
    with pytest.raises(Refusal) as refused:
        decide_lead(lead=lead, confirmed=not confirmed, decided_by=olga, note="Changed my mind")
    assert refused.value.code == "lead_decided_before"


# What it does among strangers ---------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_on_the_larger_set_strangers_are_no_leads_and_the_same_people_are(
    olga: User, otto: User, ignacio: Person
) -> None:
    """
    One photo of each of four officials on the list; all other portraits are searched for.

    A dozen strangers cannot show a rate of 1 in 1,000: none may be found, and that is all that is claimed here.
    """
    usable: dict[Path, bytes] = {}
    for path in larger_set():
        try:
            described(path.read_bytes())
        except Refusal:
            continue
        usable[path] = path.read_bytes()
    pairs: dict[str, list[Path]] = {}
    for path in usable:
        if path.parent.parent.name == "pairs":
            pairs.setdefault(path.parent.name, []).append(path)
    watched = {name: two for name, two in pairs.items() if len(two) == 2}
    for first, _second in watched.values():
        put_on_watchlist(olga, otto, usable[first])
    strangers = [path for path in usable if path.parent.name not in watched]
    false = [path.name for path in strangers for _lead in found(usable[path], ignacio)]
    true = [
        name for name, (_first, second) in watched.items() if found(usable[second], Person.objects.get(pk=ignacio.pk))
    ]
    assert (len(watched), len(strangers)) >= (4, 15)
    assert false == []
    assert true == list(watched)
