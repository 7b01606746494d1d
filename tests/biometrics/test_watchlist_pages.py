"""The watchlist as officers see it, on the pages and through the API."""

from datetime import timedelta
from pathlib import Path

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import User
from biometrics import gallery
from biometrics.models import EvidenceLook, Person, WatchlistEntry, WatchlistLead
from biometrics.watchlist import entry_state, search_watchlist
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
def lead(olga: User, otto: User, ignacio: Person, photos: Path) -> WatchlistLead:
    put_on_watchlist(olga, otto, sitting(photos, "obama.jpg"))
    photo = sitting(photos, "obama_partial_face.jpg")
    [made] = search_watchlist(descriptor=described(photo), probe=probe_of(ignacio, photo), person=ignacio)
    return made


def text(response) -> str:
    return response.content.decode()


def as_(client: Client, user: User) -> Client:
    client.force_login(user)
    return client


def filled(*photos: bytes, **also) -> dict:
    fields = {
        "authority": AUTHORITY,
        "reason": REASON,
        "expires_on": (timezone.now() + timedelta(days=30)).date().isoformat(),
        "name": NAME,
        "photos": [SimpleUploadedFile(f"{n}.jpg", photo, "image/jpeg") for n, photo in enumerate(photos)],
    }
    return fields | also


def test_from_a_proposal_to_a_removal(client: Client, olga: User, otto: User, photos: Path) -> None:
    made = as_(client, olga).post(reverse("watchlist_new"), filled(sitting(photos, "obama.jpg")))
    entry = WatchlistEntry.objects.get()
    page = reverse("watchlist_entry", args=[entry.pk])
    assert made.url == page
    shown = text(client.get(page))
    for said in (NAME, AUTHORITY, REASON, "Waits for a second officer", "You proposed this entry."):
        assert said in shown
    assert "Confirm the entry" not in shown
    refused = client.post(reverse("watchlist_confirm", args=[entry.pk]))
    assert refused.status_code == 403
    assert "second_officer_needed" in text(refused)

    as_(client, otto)
    assert "Confirm the entry" in text(client.get(page))
    client.post(reverse("watchlist_confirm", args=[entry.pk]))
    assert "Searched for" in text(client.get(reverse("watchlist")))
    assert "watchlist_reason_missing" in text(client.post(reverse("watchlist_remove", args=[entry.pk]), {"reason": ""}))
    client.post(reverse("watchlist_remove", args=[entry.pk]), {"reason": "Lifted"})
    assert NAME not in text(client.get(reverse("watchlist")))
    assert NAME in text(client.get(reverse("watchlist"), {"ended": "yes"}))
    assert "Remove the entry" not in text(client.get(page))


def test_a_refused_proposal_keeps_what_was_typed(client: Client, olga: User) -> None:
    refused = as_(client, olga).post(reverse("watchlist_new"), filled(b"text"))
    assert refused.status_code == 422
    assert "watchlist_photo_refused" in text(refused)
    assert REASON in text(refused)
    assert "see the fields marked below" in text(client.post(reverse("watchlist_new"), filled(authority="")))
    assert not WatchlistEntry.objects.exists()


def test_photos_are_shown_by_a_recorded_look_alone(client: Client, olga: User, photos: Path) -> None:
    entry = propose(olga, sitting(photos, "obama.jpg"))
    page = as_(client, olga).get(reverse("watchlist_entry", args=[entry.pk]))
    assert "data:image" not in text(page)
    assert not EvidenceLook.objects.exists()
    shown = client.post(reverse("watchlist_photos", args=[entry.pk]))
    assert "data:image/jpeg;base64," in text(shown)
    assert "no-store" in shown["Cache-Control"]
    assert [body["evidence"] for body in bodies("evidence_opened")] == [entry.photos.get().evidence.commitment]
    assert client.get(reverse("watchlist_photos", args=[entry.pk])).status_code == 405


def test_an_officer_sees_both_faces_and_decides(client: Client, olga: User, lead: WatchlistLead) -> None:
    listed = text(as_(client, olga).get(reverse("watchlist_leads")))
    assert NAME in listed
    assert "Ignacio Peralta Quintanilla" in listed
    page = reverse("watchlist_lead", args=[lead.pk])
    assert "data:image" not in text(client.get(page))
    assert text(client.post(reverse("watchlist_lead_photos", args=[lead.pk]))).count("data:image/jpeg") == 2
    assert {body["reason"] for body in bodies("evidence_opened")} == {"watchlist_lead"}
    assert len(bodies("evidence_opened")) == 2
    decide = reverse("watchlist_lead_decide", args=[lead.pk])
    assert "watchlist_reason_missing" in text(client.post(decide, {"decision": "confirmed", "note": " "}))
    client.post(decide, {"decision": "perhaps", "note": "x"})
    lead.refresh_from_db()
    assert lead.state == "open"
    client.post(decide, {"decision": "dismissed", "note": "Another age"})
    lead.refresh_from_db()
    assert (lead.state, lead.decided_by) == ("dismissed", olga)
    assert "Another age" in text(client.get(page))
    assert "No lead waits" in text(client.get(reverse("watchlist_leads")))
    assert "Ignacio" in text(client.get(reverse("watchlist_leads"), {"decided": "yes"}))


@pytest.mark.parametrize("who", ["ana", "beto", "carla"])
def test_nobody_else_sees_anything_of_it(
    who: str, request: pytest.FixtureRequest, client: Client, lead: WatchlistLead
) -> None:
    as_(client, request.getfixturevalue(who))
    gets = [reverse("watchlist"), reverse("watchlist_new"), reverse("watchlist_leads")]
    gets += [reverse("watchlist_entry", args=[lead.entry_id]), reverse("watchlist_lead", args=[lead.pk])]
    gets += [reverse("api-watchlist"), reverse("api-watchlist-leads")]
    assert {client.get(address).status_code for address in gets} == {403}
    posts = [
        reverse(name, args=[lead.entry_id]) for name in ("watchlist_photos", "watchlist_confirm", "watchlist_remove")
    ]
    posts += [reverse(name, args=[lead.pk]) for name in ("watchlist_lead_photos", "watchlist_lead_decide")]
    posts += [reverse("api-watchlist"), reverse("api-watchlist-decide", args=[lead.pk])]
    assert {client.post(address).status_code for address in posts} == {403}
    assert reverse("watchlist") not in text(client.get("/", follow=True))


def test_the_watched_are_not_among_the_people(client: Client, olga: User, lead: WatchlistLead) -> None:
    assert NAME not in text(as_(client, olga).get(reverse("people")))
    assert client.get(reverse("person", args=[lead.entry.subject_id])).status_code == 404


# The API ------------------------------------------------------------------------------------------------------------


def test_the_same_through_the_api(client: Client, olga: User, otto: User, ignacio: Person, photos: Path) -> None:
    as_(client, olga)
    fields = {
        "photos": [SimpleUploadedFile("0.jpg", sitting(photos, "obama.jpg"), "image/jpeg")],
        "authority": AUTHORITY,
        "reason": REASON,
        "expires_at": (timezone.now() + timedelta(days=30)).isoformat(),
    }
    made = client.post(reverse("api-watchlist"), fields)
    assert made.status_code == 201
    entry = made.json()["id"]
    assert (made.json()["state"], made.json()["photos"]) == ("proposed", 1)
    assert not {"reason", "name"} & made.json().keys()
    confirm = reverse("api-watchlist-confirm", args=[entry])
    assert client.post(confirm).json()["code"] == "second_officer_needed"
    as_(client, otto)
    assert client.post(confirm).json()["state"] == "searched"
    photo = sitting(photos, "obama_partial_face.jpg")
    search_watchlist(descriptor=described(photo), probe=probe_of(ignacio, photo), person=ignacio)
    [lead] = client.get(reverse("api-watchlist-leads"), {"state": "open"}).json()
    assert (lead["entry"], lead["person"], lead["state"]) == (entry, str(ignacio.pk), "open")
    decide = reverse("api-watchlist-decide", args=[lead["id"]])
    assert client.post(decide, {"decision": "yes", "note": "x"}).json()["code"] == "fields_refused"
    assert client.post(decide, {"decision": "dismissed", "note": "Another age"}).json()["state"] == "dismissed"
    assert client.post(decide, {"decision": "confirmed", "note": "No"}).json()["code"] == "lead_decided_before"
    assert client.get(reverse("api-watchlist-leads"), {"state": "open"}).json() == []
    removed = client.post(reverse("api-watchlist-remove", args=[entry]), {"reason": "Lifted"})
    assert removed.json()["state"] == "removed"
    assert [one["id"] for one in client.get(reverse("api-watchlist")).json()] == [entry]
    assert entry_state(WatchlistEntry.objects.get()) == "removed"
