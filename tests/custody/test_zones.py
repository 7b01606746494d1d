"""Restricted zones on real faces: who is let be, who raises an alert, and who was there afterwards."""

import base64
import io
from datetime import UTC, datetime, time, timedelta

import pytest
from django.core.exceptions import ObjectDoesNotExist
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from PIL import Image, ImageFilter

from accounts.models import User
from accounts.tokens import issue_token
from biometrics.groups import add_member, make_group
from biometrics.models import Evidence, EvidenceKind, EvidenceLook, Person, PersonKind, WatchlistLead
from biometrics.retention import purge_due
from biometrics.vault import open_evidence
from custody.hours import within_hours
from custody.models import Camera, CameraCoverage, Zone, ZoneAlert, ZoneEvent
from custody.zone_alerts import AlertDecidedBefore, AlertNoteMissing, AlertNotYours, decide_alert
from custody.zone_search import how_watched, who_was_there
from custody.zone_watch import CameraBusy, watch_frame
from custody.zones import (
    ZoneExists,
    ZoneRefused,
    add_camera,
    change_zone,
    create_zone,
    find_camera,
    renew_camera_token,
    switch_camera,
)
from ledger.models import Entry
from ledger.sealing import seal_all
from ledger.tlog.entry import parse_entry
from shipments.places import create_site
from tests.biometrics.watching import put_on_watchlist, second_officer
from tests.custody.conftest import Dock

NOON = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)  # a Wednesday
MEMBER, STRANGER = "obama2.jpg", "grace_hopper.jpg"


@pytest.fixture
def watched(dock: Dock) -> tuple[Zone, Camera]:
    """Marco alone may be in the vault; Elena is enrolled and may not."""
    group = make_group(name="Vault", made_by=dock.beto)
    add_member(group=group, person=dock.marco)
    zone = create_zone(site=dock.reader.read_point.site, name="Vault 2", group=group, made_by=dock.beto)
    camera, _token = add_camera(zone=zone, name="Vault 2, door", added_by=dock.beto)
    return zone, camera


def side_by_side(*photos: bytes) -> bytes:
    pictures = [Image.open(io.BytesIO(photo)).convert("RGB") for photo in photos]
    pictures = [picture.resize((round(picture.width * 600 / picture.height), 600)) for picture in pictures]
    frame = Image.new("RGB", (sum(picture.width for picture in pictures), 600))
    left = 0
    for picture in pictures:
        frame.paste(picture, (left, 0))
        left += picture.width
    file = io.BytesIO()
    frame.save(file, "JPEG", quality=92)
    return file.getvalue()


def blurred(photo: bytes) -> bytes:
    file = io.BytesIO()
    Image.open(io.BytesIO(photo)).convert("RGB").filter(ImageFilter.GaussianBlur(6)).save(file, "JPEG")
    return file.getvalue()


def watch(camera: Camera, data: bytes, at: datetime = NOON):
    return watch_frame(camera=Camera.objects.select_related("zone__group").get(pk=camera.pk), data=data, received_at=at)


def entries(kind: str) -> list[dict]:
    seal_all()
    return [parse_entry(bytes(row.note)).body for row in Entry.objects.filter(kind=kind).order_by("index")]


def test_a_member_is_seen_and_nothing_of_them_is_kept(dock, watched):
    kept = Evidence.objects.count()
    first, second = (watch(watched[1], dock.photo(MEMBER), NOON + timedelta(seconds=s)) for s in (0, 5))
    event = ZoneEvent.objects.get()
    assert (event.outcome, event.person, event.frames) == ("authorised", dock.marco, 2)
    assert (first.alerts, second.alerts) == ([], [])
    assert Evidence.objects.count() == kept


def test_a_stranger_raises_one_alert_with_the_frame_committed(dock, watched):
    zone, camera = watched
    data = dock.photo(STRANGER)
    first = watch(camera, data)
    again = watch(camera, data, NOON + timedelta(seconds=3))
    assert [alert.code for alert in first.alerts] == ["stranger"]
    assert again.alerts == []
    event = ZoneEvent.objects.get()
    assert (event.frames, event.person.kind) == (2, PersonKind.UNKNOWN)
    [body] = entries("zone_alert")
    alert = ZoneAlert.objects.get()
    assert body["frame"] == alert.frame.commitment
    assert body["zone"] == zone.pk.urn and body["camera"] == camera.pk.urn and body["code"] == "stranger"
    assert "distance_e4" not in str(body)
    # What is kept is the picture itself, under the stranger's own key, and nothing of it in the clear.
    assert Image.open(io.BytesIO(open_evidence(alert.frame))).size == Image.open(io.BytesIO(data)).size
    assert data[200:400] not in bytes(alert.frame.ciphertext)


def test_who_is_enrolled_but_not_authorised_is_named(dock, watched):
    result = watch(watched[1], dock.elenas_face)
    assert [alert.code for alert in result.alerts] == ["unauthorised"]
    [body] = entries("zone_alert")
    assert body["person"] == dock.elena.pk.urn
    assert body["face"]["distance_e4"] <= body["face"]["threshold_e4"]
    assert body["face"]["target_fpir"] == "1e-3"
    assert result.alerts[0].frame.person == dock.elena


def test_every_face_of_a_frame_is_judged(dock, watched):
    result = watch(watched[1], side_by_side(dock.photo(MEMBER), dock.photo(STRANGER)))
    assert sorted(event.outcome for event in result.events) == ["authorised", "stranger"]
    [body] = entries("zone_alert")
    assert body["faces"] == 2


def test_a_member_outside_the_hours_raises_an_alert(dock, watched):
    zone, camera = watched
    hours = {"opens_at": time(22), "closes_at": time(6)}
    change_zone(zone=zone, name=zone.name, group=zone.group, time_zone="America/Ciudad_Juarez", **hours)
    # Noon UTC is 5 in the morning in Ciudad Juárez in winter; at 14 UTC the shift is over.
    assert watch(camera, dock.photo(MEMBER)).alerts == []
    late = watch(camera, dock.photo(MEMBER), NOON + timedelta(hours=2))
    assert [alert.code for alert in late.alerts] == ["outside_hours"]
    assert entries("zone_alert")[0]["person"] == dock.marco.pk.urn


@pytest.mark.parametrize(
    ("moment", "may"),
    [
        (datetime(2026, 11, 25, 22, 0, tzinfo=UTC), True),  # Wednesday's shift begins
        (datetime(2026, 11, 25, 21, 59, tzinfo=UTC), False),
        (datetime(2026, 11, 26, 5, 59, tzinfo=UTC), True),  # still Wednesday's
        (datetime(2026, 11, 26, 6, 0, tzinfo=UTC), False),
        (datetime(2026, 11, 27, 23, 0, tzinfo=UTC), False),  # Friday is none of its days
        (datetime(2026, 11, 27, 1, 0, tzinfo=UTC), True),  # Thursday's shift
        (datetime(2026, 11, 28, 1, 0, tzinfo=UTC), False),
    ],
)
def test_hours_past_midnight_belong_to_the_day_on_which_they_began(moment, may):
    zone = Zone(days=0b0001111, opens_at=time(22), closes_at=time(6), time_zone="UTC")
    assert within_hours(zone, moment) is may


def test_hours_follow_the_summer_time_of_the_place():
    zone = Zone(days=0b1111111, opens_at=time(8), closes_at=time(16), time_zone="Europe/Madrid")
    assert within_hours(zone, datetime(2026, 7, 1, 6, 30, tzinfo=UTC))
    assert not within_hours(zone, datetime(2026, 12, 1, 6, 30, tzinfo=UTC))


def test_one_stay_ends_where_nobody_is_seen_for_a_while(dock, watched):
    camera = watched[1]
    data = dock.photo(STRANGER)
    watch(camera, data)
    watch(camera, data, NOON + timedelta(seconds=59))
    watch(camera, data, NOON + timedelta(seconds=59 + 61))
    assert [event.frames for event in ZoneEvent.objects.order_by("first_seen_at")] == [2, 1]
    assert ZoneAlert.objects.count() == 2


def test_two_strangers_are_two_stays(dock, watched):
    watch(watched[1], dock.photo(STRANGER))
    watch(watched[1], dock.photo("biden.jpg"), NOON + timedelta(seconds=2))
    assert ZoneEvent.objects.filter(outcome="stranger").count() == 2


def test_an_alert_may_wait_for_a_second_frame(dock, watched):
    zone, camera = watched
    change_zone(zone=zone, name=zone.name, group=zone.group, alert_after=2)
    assert watch(camera, dock.photo(STRANGER)).alerts == []
    assert [a.code for a in watch(camera, dock.photo(STRANGER), NOON + timedelta(seconds=1)).alerts] == ["stranger"]


def test_a_face_too_poor_to_compare_is_no_stranger_until_it_stays(dock, watched):
    data = blurred(dock.photo(STRANGER))
    raised = [watch(watched[1], data, NOON + timedelta(seconds=s)).alerts for s in range(4)]
    assert [[alert.code for alert in alerts] for alerts in raised] == [[], [], ["unclear"], []]
    assert ZoneEvent.objects.get().outcome == "unclear"


def test_a_face_on_the_watchlist_is_a_lead_and_an_alert(dock, watched, olga):
    put_on_watchlist(olga, second_officer(), dock.photo(STRANGER))
    result = watch(watched[1], dock.photo(STRANGER))
    assert sorted(alert.code for alert in result.alerts) == ["stranger", "watchlisted"]
    assert watch(watched[1], dock.photo(STRANGER), NOON + timedelta(seconds=1)).alerts == []
    lead = WatchlistLead.objects.get()
    assert lead.person is None
    [body] = [body for body in entries("zone_alert") if body["code"] == "watchlisted"]
    assert body["lead"] == lead.pk.urn
    assert lead.probe == ZoneAlert.objects.get(code="watchlisted").frame


def test_a_member_on_the_watchlist_is_let_be_and_told_of(dock, watched, olga):
    put_on_watchlist(olga, second_officer(), dock.photo("obama.jpg"))
    result = watch(watched[1], dock.photo(MEMBER))
    assert [alert.code for alert in result.alerts] == ["watchlisted"]
    assert ZoneEvent.objects.get().outcome == "authorised"
    assert WatchlistLead.objects.get().person == dock.marco


def test_an_empty_frame_covers_and_shows_nobody(watched):
    file = io.BytesIO()
    Image.new("RGB", (640, 480), (90, 90, 90)).save(file, "JPEG")
    assert watch(watched[1], file.getvalue()).events == []
    assert CameraCoverage.objects.get().frames == 1


def test_the_search_names_stays_and_the_time_nobody_watched(dock, watched):
    zone, camera = watched
    for seconds in (0, 8, 16, 300, 305):
        watch(camera, dock.photo(MEMBER), NOON + timedelta(seconds=seconds))
    since, until = NOON - timedelta(seconds=10), NOON + timedelta(seconds=400)
    stays = list(who_was_there(zone=zone, since=since, until=until))
    assert [(stay.person, stay.frames) for stay in stays] == [(dock.marco, 3), (dock.marco, 2)]
    [seen] = how_watched(zone=zone, since=since, until=until)
    at = [tuple(int((moment - NOON).total_seconds()) for moment in gap) for gap in seen.gaps]
    assert at == [(-10, 0), (16, 300), (305, 400)]
    assert seen.watched == timedelta(seconds=21)
    assert not who_was_there(zone=zone, since=NOON + timedelta(seconds=60), until=NOON + timedelta(seconds=200))


def test_an_officer_decides_once_and_the_decision_is_an_entry(dock, watched, olga):
    [alert] = watch(watched[1], dock.photo(STRANGER)).alerts
    decide_alert(alert=alert, decision="intruder", decided_by=olga, note="Fled when the guard came")
    with pytest.raises(AlertDecidedBefore):
        decide_alert(alert=alert, decision="allowed", decided_by=olga, note="No")
    [body] = entries("resolution")
    assert (body["alert"], body["decision"], body["by"]) == (alert.pk.urn, "intruder", olga.pk.urn)
    alert.refresh_from_db()
    assert open_evidence(alert.note) == b"Fled when the guard came" and body["note"] == alert.note.commitment


def test_who_may_not_decide_is_refused(dock, watched, ana, olga):
    [alert] = watch(watched[1], dock.photo(STRANGER)).alerts
    for who in (ana, dock.beto):
        with pytest.raises(AlertNotYours):
            decide_alert(alert=alert, decision="allowed", decided_by=who, note="x")
    with pytest.raises(AlertNoteMissing):
        decide_alert(alert=alert, decision="allowed", decided_by=olga, note="   ")
    assert ZoneAlert.objects.get().decision == ""


def test_frames_go_when_their_time_is_up_and_the_entry_stands(dock, watched, settings):
    [alert] = watch(watched[1], dock.photo(STRANGER), timezone.now()).alerts
    for hours, left in ((31 * 24, True), (29 * 24, False)):
        Evidence.objects.filter(person=alert.event.person).update(created_at=timezone.now() - timedelta(hours=hours))
        purge_due()
        alert.frame.refresh_from_db()
        if left:
            assert alert.frame.destroyed_for == "zone_frames"
            kinds = set(alert.event.person.evidence.filter(destroyed_at=None).values_list("kind", flat=True))
            assert EvidenceKind.DESCRIPTOR not in kinds
            break
    assert len(entries("zone_alert")) == 1


def test_frames_younger_than_that_stay(dock, watched):
    [alert] = watch(watched[1], dock.photo(STRANGER), timezone.now()).alerts
    Evidence.objects.filter(person=alert.event.person).update(created_at=timezone.now() - timedelta(days=29))
    purge_due()
    alert.frame.refresh_from_db()
    assert alert.frame.destroyed_at is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"days": []},
        {"opens_at": time(8)},
        {"opens_at": time(8), "closes_at": time(8)},
        {"time_zone": "Mars/Olympus"},
        {"alert_after": 0},
        {"alert_after": 11},
        {"name": " "},
        {"name": "a\0b"},
    ],
)
def test_a_zone_that_cannot_be_is_refused_with_the_reason(dock, wrong):
    group = make_group(name="Vault", made_by=dock.beto)
    fields = {"site": dock.reader.read_point.site, "name": "Vault 3", "group": group, "made_by": dock.beto}
    with pytest.raises(ZoneRefused):
        create_zone(**(fields | wrong))
    assert not Zone.objects.exists()


def test_names_are_taken_once(dock, watched):
    zone, _camera = watched
    with pytest.raises(ZoneExists):
        create_zone(site=zone.site, name="Vault  2", group=zone.group, made_by=dock.beto)
    with pytest.raises(ZoneExists):
        add_camera(zone=zone, name="Vault 2, door", added_by=dock.beto)


def test_a_token_opens_its_own_camera_until_it_is_renewed(dock, watched):
    zone, _ = watched
    camera, token = add_camera(zone=zone, name="Vault 2, aisle", added_by=dock.beto)
    assert find_camera(camera_id=camera.pk, token=token) == camera
    assert find_camera(camera_id=watched[1].pk, token=token) is None
    newer = renew_camera_token(camera=camera)
    assert find_camera(camera_id=camera.pk, token=token) is None
    assert find_camera(camera_id=camera.pk, token=newer) == camera
    switch_camera(camera=camera, enabled=False)
    assert find_camera(camera_id=camera.pk, token=newer) is None
    assert find_camera(camera_id=camera.pk, token="") is None


def test_a_camera_never_gets_ahead_of_its_zone(dock, watched, monkeypatch):
    inner = {}

    def look(photo):
        with pytest.raises(CameraBusy) as refused:
            watch(watched[1], dock.photo(MEMBER))
        inner["status"] = refused.value.status
        return []

    monkeypatch.setattr("custody.zone_watch.look_for_faces", look)
    watch(watched[1], dock.photo(MEMBER))
    assert inner["status"] == 429


# Over HTTP -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def posting(dock, watched, client: Client):
    camera, token = add_camera(zone=watched[0], name="Vault 2, aisle", added_by=dock.beto)

    def post(data: bytes, authorization: str = f"Bearer {token}", **headers: str):
        return client.post(
            f"/api/v1/cameras/{camera.pk}/frames",
            data,
            content_type="image/jpeg",
            headers={"Authorization": authorization, **headers},
        )

    post.token = token
    return post


def test_a_camera_posts_a_frame_and_the_alert_is_on_the_officers_page_at_once(posting, dock, olga, client):
    answer = posting(dock.photo(STRANGER), **{"X-Captured-At": "2026-11-25T12:00:00Z"})
    assert answer.status_code == 202
    assert [face["outcome"] for face in answer.json()["faces"]] == ["stranger"]
    client.force_login(olga)
    shown = client.get(reverse("zone_alerts_live"))
    assert "A stranger" in shown.content.decode()
    assert client.get(reverse("zone_alerts_live"), headers={"If-None-Match": shown["ETag"]}).status_code == 304
    assert entries("zone_alert")[0]["when"]["captured_at"] == "2026-11-25T12:00:00.000Z"


def test_basic_is_taken_for_cameras_that_know_nothing_else(posting, dock):
    packed = base64.b64encode(f"camera:{posting.token}".encode()).decode()
    assert posting(dock.photo(MEMBER), f"Basic {packed}").status_code == 202


@pytest.mark.parametrize("authorization", ["", "Bearer wrong", "Basic !!!", "Basic Y2FtZXJh", "Token x"])
def test_without_its_token_no_frame_is_looked_at(posting, dock, authorization):
    assert posting(dock.photo(MEMBER), authorization).status_code == 401
    assert not ZoneEvent.objects.exists()


@pytest.mark.parametrize(
    ("data", "status", "code"), [(b"", 400, "photo_empty"), (b"not a picture", 415, "photo_not_an_image")]
)
def test_what_is_no_picture_is_refused_by_name(posting, data, status, code):
    answer = posting(data)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_too_large_a_frame_is_refused_before_it_is_read(posting):
    answer = posting(bytes(15 * 1024 * 1024 + 1))
    assert (answer.status_code, answer.json()["code"]) == (413, "frame_too_large")


def test_a_time_that_cannot_be_read_costs_no_frame(posting, dock):
    assert posting(dock.photo(STRANGER), **{"X-Captured-At": "yesterday"}).status_code == 202
    assert "captured_at" not in entries("zone_alert")[0]["when"]


def test_presence_and_decisions_through_the_api(dock, watched, olga, ana, client):
    zone, camera = watched
    [alert] = watch(camera, dock.photo(STRANGER)).alerts
    officer = {"Authorization": f"Bearer {issue_token(user=olga, purpose='test')}"}
    span = {"since": "2026-11-25T11:00:00Z", "until": "2026-11-25T13:00:00Z"}
    found = client.get(f"/api/v1/zones/{zone.pk}/presence", span, headers=officer).json()
    assert [event["outcome"] for event in found["events"]] == ["stranger"]
    assert found["cameras"][0]["watched_s"] == 0 and len(found["cameras"][0]["gaps"]) == 2
    assert client.get(f"/api/v1/zones/{zone.pk}/presence", {"since": "x"}, headers=officer).status_code == 400
    assert [one["id"] for one in client.get("/api/v1/zone-alerts?open=yes", headers=officer).json()] == [str(alert.pk)]
    decided = client.post(
        f"/api/v1/zone-alerts/{alert.pk}/decide",
        {"decision": "mistaken", "note": "A poster"},
        content_type="application/json",
        headers=officer,
    )
    assert decided.json()["decision"] == "mistaken"
    assert client.get("/api/v1/zone-alerts?open=yes", headers=officer).json() == []
    auditor = {"Authorization": f"Bearer {issue_token(user=ana, purpose='test')}"}
    assert client.get("/api/v1/zones", headers=auditor).status_code == 403


# On the pages --------------------------------------------------------------------------------------------------------


def test_a_supervisor_adds_a_zone_and_a_camera(dock, client):
    supervisor = User.objects.create_user("sara", role="supervisor")
    client.force_login(supervisor)
    group = make_group(name="Vault", made_by=dock.beto)
    site = dock.reader.read_point.site
    typed = {"site": site.pk, "name": "Vault 2", "group": group.pk, "days": [0, 1], "opens_at": "06:00",
             "closes_at": "14:00", "time_zone": "America/Ciudad_Juarez", "alert_after": 2}  # fmt: skip
    page = client.post(reverse("zone_new"), typed, follow=True).content.decode()
    assert "Vault 2" in page and "Monday, Tuesday" in page and "06:00 – 14:00" in page
    zone = Zone.objects.get()
    page = client.post(reverse("camera_new", args=[zone.pk]), {"name": "Door"})
    token = page.context["token"]
    assert token in page.content.decode() and "no-store" in page["Cache-Control"]
    camera = Camera.objects.get()
    assert find_camera(camera_id=camera.pk, token=token) == camera
    assert token not in client.get(reverse("zone", args=[zone.pk])).content.decode()
    client.post(reverse("camera_switch", args=[camera.pk]), {"enabled": "no"})
    assert "Switched off" in client.get(reverse("zone", args=[zone.pk])).content.decode()
    wrong = client.post(reverse("zone_edit", args=[zone.pk]), typed | {"time_zone": "Juárez"})
    assert wrong.status_code == 422 and "IANA" in wrong.content.decode()
    # Who was there is the officers' to see.
    assert "Who was there" not in client.get(reverse("zone", args=[zone.pk])).content.decode()
    assert client.get(reverse("zone_alerts")).status_code == 403


def test_an_officer_looks_at_the_frame_by_a_recorded_look_and_decides(dock, watched, olga, client):
    zone, camera = watched
    [alert] = watch(camera, dock.photo(STRANGER), timezone.now()).alerts
    client.force_login(olga)
    page = client.get(reverse("zone_alert", args=[alert.pk])).content.decode()
    assert "data:image" not in page and "Nobody who is enrolled here" in page
    page = client.post(reverse("zone_alert_frame", args=[alert.pk]))
    assert "data:image/jpeg;base64," in page.content.decode() and "no-store" in page["Cache-Control"]
    assert EvidenceLook.objects.get().reason == "zone_alert"
    refused = client.post(reverse("zone_alert_decide", args=[alert.pk]), {"decision": "intruder", "note": ""})
    assert refused.status_code == 422
    page = client.post(
        reverse("zone_alert_decide", args=[alert.pk]), {"decision": "intruder", "note": "Fled"}, follow=True
    ).content.decode()
    assert "An intruder" in page and "Fled" in page
    there = client.get(reverse("zone", args=[zone.pk])).content.decode()
    assert "A stranger" in there and "is no sign that nobody was there" in there
    seal_all()
    ledger = client.get(reverse("ledger")).content.decode()
    assert "A camera saw a stranger in Vault 2" in ledger and "decided on an alert in Vault 2" in ledger


def test_a_search_with_the_end_before_the_beginning_is_told_so(watched, olga, client):
    client.force_login(olga)
    answer = client.get(
        reverse("zone", args=[watched[0].pk]), {"since": "2026-11-25T12:00", "until": "2026-11-25T11:00"}
    )
    assert "The end lies behind the beginning" in answer.content.decode()


def test_strangers_are_nobody_that_a_handoff_or_a_group_may_name(dock, watched):
    watch(watched[1], dock.photo(STRANGER))
    stranger = Person.objects.get(kind=PersonKind.UNKNOWN)
    from biometrics.people import people_on_file

    assert stranger not in people_on_file()
    with pytest.raises(ObjectDoesNotExist):
        people_on_file().get(pk=stranger.pk)


def test_a_zone_needs_a_site_and_a_group(dock, client):
    client.force_login(User.objects.create_user("sara", role="supervisor"))
    assert client.get(reverse("zone_new")).url == reverse("groups")
    create_site(code="ELP", name="El Paso", gln="0614141000029")
