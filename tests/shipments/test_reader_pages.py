"""The pages about readers and their API: changing, moving, switching, credentials, alerts, quarantine; and who may."""

import json
import re
from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import User
from accounts.roles import Role
from accounts.tokens import issue_token
from shipments.models import AlertCode, Antenna, Reader, ReaderAlert, ReaderCredential, TagRead
from shipments.places import PlaceRefused, change_reader, name_antenna, switch_reader
from shipments.reader_alerts import acknowledge_alert, raise_alert
from shipments.reader_credentials import authenticate
from tests.shipments.conftest import PostingReader, item_epc

pytestmark = pytest.mark.django_db

AT = datetime(2026, 11, 22, 14, 5, tzinfo=UTC)


@pytest.fixture
def supervisor(db) -> User:
    return User.objects.create_user("sofia", role=Role.SUPERVISOR)


@pytest.fixture
def desk(client: Client, supervisor: User) -> Client:
    client.force_login(supervisor)
    return client


def text(response) -> str:
    return response.content.decode()


def body(*serials: int, at: datetime | None = None) -> bytes:
    now = (at or timezone.now()).isoformat()
    return json.dumps(
        {"reads": [{"epc": item_epc(serial), "read_at": now, "antenna": 2} for serial in serials]}
    ).encode()


# Changing ------------------------------------------------------------------------------------------------------------


def test_a_moved_reader_counts_at_the_new_door_from_then_on(desk, reader, door, other_door) -> None:
    posting = PostingReader(reader)
    posting.post(body(1))
    page = desk.get(reverse("reader_edit", args=[reader.pk]))
    assert f'value="{door.pk}" selected' in text(page)
    typed = {
        "read_point": other_door.pk,
        "name": "lane-4-left",
        "hostname": "lane4",
        "dialect": "",
        "silent_after_s": 60,
    }
    moved = desk.post(reverse("reader_edit", args=[reader.pk]), typed, follow=True)
    assert "what it reads now counts at NLD Lane 4" in text(moved)
    posting.post(body(2))
    found = {read.epc_hex: read.report.read_point for read in TagRead.objects.select_related("report__read_point")}
    assert found == {item_epc(1): door, item_epc(2): other_door}
    reader.refresh_from_db()
    assert (reader.name, reader.hostname, reader.silent_after_s) == ("lane-4-left", "lane4", 60)


def test_what_cannot_be_saved_comes_back_with_its_reason(desk, reader, other_reader) -> None:
    typed = {"read_point": reader.read_point.pk, "name": other_reader.name, "dialect": "", "silent_after_s": 300}
    response = desk.post(reverse("reader_edit", args=[reader.pk]), typed)
    assert (response.status_code, "place_exists" in text(response)) == (422, True)
    response = desk.post(reverse("reader_edit", args=[reader.pk]), typed | {"name": "x", "reports_per_s": 0})
    assert response.status_code == 422
    for wrong in ({"reports_per_s": 0}, {"reads_per_s": -1}, {"silent_after_s": 10**9}, {"dialect": "klingon"}):
        with pytest.raises(PlaceRefused):
            change_reader(reader=reader, name="x", read_point=reader.read_point, **wrong)
    reader.refresh_from_db()
    assert reader.name == "impinj-14-2f-f4"


def test_a_site_and_a_read_point_are_renamed_and_keep_their_numbers(desk, door) -> None:
    page = text(desk.get(reverse("site_edit", args=[door.site.pk])))
    assert door.site.gln in page
    desk.post(reverse("site_edit", args=[door.site.pk]), {"code": "LAR", "name": "Laredo north", "gln": "1"})
    desk.post(reverse("read_point_edit", args=[door.pk]), {"name": "Gate 2", "direction": "through"})
    before = (door.site.gln, door.sgln)
    door.refresh_from_db()
    assert (door.name, door.direction, str(door)) == ("Gate 2", "through", "LAR Gate 2")
    assert (door.site.gln, door.sgln) == before
    assert desk.post(reverse("site_edit", args=[door.site.pk]), {"code": " ", "name": "x"}).status_code == 422


def test_a_reader_is_switched_off_and_on(desk, reader) -> None:
    posting = PostingReader(reader)
    address = reverse("reader_switch", args=[reader.pk])
    assert "turned away" in text(desk.post(address, follow=True))
    assert posting.post(body(1)).status_code == 401
    assert "Switched off" in text(desk.get(reverse("places")))
    desk.post(address, {"enabled": "yes"})
    assert posting.post(body(1)).status_code == 200


def test_an_antenna_says_what_it_looks_at_beside_each_read(desk, reader, receive) -> None:
    receive(body(1))
    address = reverse("reader_antenna", args=[reader.pk])
    desk.post(address, {"port": "2", "looks_at": "Left of the door"})
    desk.post(address, {"port": "2", "looks_at": "Right of the door"})
    page = text(desk.get(reverse("reader", args=[reader.pk])))
    assert page.count("Right of the door") == 2
    assert "Left of the door" not in page
    for port, looks_at in (("0", "x"), ("٣", "x"), ("99999", "x"), ("", "x"), ("3", " ")):
        assert "place_refused" in text(desk.post(address, {"port": port, "looks_at": looks_at}, follow=True))
    desk.post(address, {"port": "2", "forget": "yes"})
    assert not Antenna.objects.exists()


def test_the_clock_stands_on_the_readers_page(desk, reader) -> None:
    address = reverse("reader", args=[reader.pk])
    assert "not measured yet" in text(desk.get(address))
    Reader.objects.update(clock_skew_ms=-420, clock_checked_at=AT)
    assert "within 5 seconds of ours" in text(desk.get(address))
    Reader.objects.update(clock_skew_ms=-3_600_000)
    assert "3,600 seconds behind ours" in text(desk.get(address))


def test_a_reader_that_says_nothing_when_idle_is_not_silent(desk, reader, receive) -> None:
    receive(body(1), at=timezone.now() - timedelta(hours=1))
    assert "Silent for" in text(desk.get(reverse("places")))
    Reader.objects.update(silent_after_s=0)
    assert "Connected" in text(desk.get(reverse("places")))


# Credentials ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["basic", "bearer", "signature"])
def test_each_kind_is_shown_once_and_named_afterwards(desk, reader, kind) -> None:
    response = desk.post(reverse("reader_credential_issue", args=[reader.pk]), {"kind": kind})
    assert "shown this once" in text(response)
    assert "no-store" in response["Cache-Control"]
    credential = ReaderCredential.objects.get()
    page = text(desk.get(reverse("reader", args=[reader.pk])))
    assert "shown this once" not in page
    assert credential.username in page
    assert credential.get_kind_display() in page


def test_a_rotation_shows_the_new_one_and_says_when_the_old_one_ends(desk, posting) -> None:
    old = ReaderCredential.objects.get()
    address = reverse("reader_credential_rotate", args=[posting.reader.pk, old.pk])
    response = desk.post(address, {"hours": "1"})
    new, secret = response.context["issued"].credential, response.context["issued"].secret
    assert new != old
    assert secret in text(response)
    assert authenticate(new.username, secret) == posting.reader
    assert posting.post(body(1)).status_code == 200
    assert "It ends" in text(desk.get(reverse("reader", args=[posting.reader.pk])))
    assert desk.get(address).url == reverse("reader", args=[posting.reader.pk])
    for hours in ("", "0", "999", "x" * 50):
        page = text(desk.post(address, {"hours": hours}, follow=True))
        assert "reader_credential_not_rotated" in page
    assert ReaderCredential.objects.count() == 2


def test_a_certificate_is_offered_only_where_a_proxy_is_named(desk, reader, settings) -> None:
    address = reverse("reader", args=[reader.pk])
    assert "client certificate" not in text(desk.get(address))
    settings.READER_MTLS_HEADER, settings.READER_MTLS_PROXIES = "X-Client", ["10.0.0.1"]
    assert "client certificate" in text(desk.get(address))
    desk.post(reverse("reader_certificate_add", args=[reader.pk]), {"certificate": "AB:" * 31 + "AB"})
    assert ReaderCredential.objects.get().certificate == "ab" * 32
    page = text(desk.post(reverse("reader_certificate_add", args=[reader.pk]), {"certificate": ""}, follow=True))
    assert "reader_certificate_refused" in page


# Alerts --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def alarmed(reader, other_reader) -> list[ReaderAlert]:
    """One alert of each kind."""
    facts = {
        AlertCode.CLOCK_SKEW: {"skew_ms": 7000},
        AlertCode.UNAUTHENTICATED: {
            "reason": "wrong_secret",
            "address": "10.0.0.9",
            "credential": "reader-0123456789ab",
        },
        AlertCode.CLAIM_MISMATCH: {"claim": "address", "claimed": other_reader.pk.urn, "site": "other"},
        AlertCode.OVERFLOW: {"gaps": 1, "purged": "12"},
        AlertCode.SILENT: {"silent_s": 900},
    }
    for number, code in enumerate(AlertCode):
        raise_alert(code=code, reader=reader, at=AT + timedelta(minutes=number), facts=facts[code])
    return list(ReaderAlert.objects.all())


def test_each_alert_says_what_happened_and_what_to_do(desk, alarmed, other_reader) -> None:
    page = text(desk.get(reverse("reader_alerts")))
    for told in (
        "7 seconds ahead of ours",
        "10.0.0.9 was turned away as reader-0123456789ab: the password or token was wrong",
        f"address of {other_reader.name}, at another site",
        "dropped 12 events",
        "Nothing came from it for 15 minutes",
    ):
        assert told in page
    assert "5 open alerts" in text(desk.get(reverse("places")))
    assert "7 seconds ahead" not in text(desk.get(reverse("reader_alerts"), {"code": "reader_silent"}))
    assert "No alert fits" in text(desk.get(reverse("reader_alerts"), {"reader": other_reader.pk}))


def test_an_alert_of_a_shape_that_is_not_known_is_still_shown(desk, alarmed) -> None:
    ReaderAlert.objects.update(facts={})
    page = text(desk.get(reverse("reader_alerts"), {"state": "all", "page": "7"}))
    for code in AlertCode:
        assert str(code.label) in page


def test_an_alert_is_acknowledged_and_no_longer_open(desk, alarmed, olga) -> None:
    alert = alarmed[0]
    address = reverse("reader_alert_acknowledge", args=[alert.pk])
    back = reverse("reader_alerts") + "?state=open"
    assert desk.post(address, {"back": back}).url == back
    assert desk.post(address, {"back": "https://evil.example/"}).url == reverse("reader_alerts")
    assert "acknowledged by sofia" in text(desk.get(reverse("reader_alerts"), {"state": "acknowledged"}))
    assert "4 open alerts" in text(desk.get(reverse("places")))
    desk.force_login(olga)
    assert "reader_alert_acknowledged" in text(desk.post(address, follow=True))


def test_nothing_wrong_is_said_so(desk) -> None:
    assert "Nothing is wrong with the readers" in text(desk.get(reverse("reader_alerts")))
    assert "Everything that readers sent could be read" in text(desk.get(reverse("quarantine")))


def test_the_list_of_alerts_asks_no_more_for_more(desk, alarmed, reader, django_assert_max_num_queries) -> None:
    for hour in range(40):
        raise_alert(code=AlertCode.OVERFLOW, reader=reader, at=AT - timedelta(hours=hour), facts={"purged": "1"})
    with django_assert_max_num_queries(9):
        assert desk.get(reverse("reader_alerts")).status_code == 200


# Quarantine ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def poisoned(receive, other_reader) -> None:
    receive(json.dumps({"reads": [{"epc": "zz<script>", "read_at": 1795356300000}, {"epc": item_epc(1)}]}).encode())
    receive(json.dumps({"reads": [{"read_at": 1795356300000}]}).encode(), by=other_reader)


def test_the_quarantine_shows_all_readers_or_one_or_one_reason(desk, poisoned, reader, other_reader) -> None:
    address = reverse("quarantine")

    def rows(**asked: object) -> int:
        return text(desk.get(address, asked)).count("<tr>") - 1

    assert rows() == 3
    assert rows(reader=reader.pk) == 2
    assert rows(reason="epc_missing") == 1
    assert "Nothing fits" in text(desk.get(address, {"reader": reader.pk, "reason": "epc_missing"}))
    assert rows(reader="rubbish") == 3
    assert "zz&lt;script&gt;" in text(desk.get(address))
    assert "3 in quarantine" in text(desk.get(reverse("places")))


def test_the_quarantine_is_paged_and_counts_no_further_than_it_shows(desk, receive, monkeypatch) -> None:
    receive(b"[" + b"0," * 119 + b"0]")
    page = text(desk.get(reverse("quarantine"), {"page": 3}))
    assert "Page 3 of 3" in page
    monkeypatch.setattr("shipments.views.reader_alerts.MOST_COUNTED", 60)
    page = text(desk.get(reverse("quarantine")))
    assert "Page 1 of 2" in page
    assert "the newest 60" in page


# The API -------------------------------------------------------------------------------------------------------------


def api(user: User, method: str, path: str, **asked: object):
    headers = {"Authorization": f"Bearer {issue_token(user=user, purpose='test')}"}
    if method == "get":
        return Client().get(f"/api/v1/{path}", asked, headers=headers)
    return getattr(Client(), method)(f"/api/v1/{path}", asked, content_type="application/json", headers=headers)


def test_programs_learn_each_readers_health(supervisor, reader, receive, alarmed) -> None:
    receive(body(1))
    name_antenna(reader=reader, port=2, looks_at="Left")
    [told] = [one for one in api(supervisor, "get", "readers").json() if one["id"] == str(reader.pk)]
    assert (told["name"], told["site"], told["read_point"]) == (
        reader.name,
        reader.read_point.site.gln,
        reader.read_point.sgln,
    )
    assert (told["enabled"], told["silent"], told["alerts"]) == (True, False, 5)
    detail = api(supervisor, "get", f"readers/{reader.pk}").json()
    assert detail["antennas"] == [{"port": 2, "looks_at": "Left"}]
    assert detail["last_day"] == {"reports": 1, "reads": 1, "quarantined": 0, "gaps": 0}
    assert api(supervisor, "get", "readers/00000000-0000-4000-8000-000000000000").status_code == 404


def test_programs_read_and_acknowledge_alerts(supervisor, olga, alarmed, reader, other_reader) -> None:
    alerts = api(supervisor, "get", "reader-alerts").json()
    assert [alert["code"] for alert in alerts] == list(reversed(AlertCode.values))
    assert alerts[1]["facts"] == {"gaps": 1, "purged": "12"}
    done = api(supervisor, "post", f"reader-alerts/{alerts[0]['id']}/acknowledge")
    assert (done.status_code, done.json()["acknowledged_by"]) == (200, "sofia")
    assert api(olga, "post", f"reader-alerts/{alerts[0]['id']}/acknowledge").status_code == 409
    assert len(api(olga, "get", "reader-alerts", state="acknowledged").json()) == 1
    assert len(api(olga, "get", "reader-alerts", code="clock_skew", reader=reader.pk).json()) == 1
    assert api(olga, "get", "reader-alerts", reader=other_reader.pk).json() == []
    assert api(olga, "get", "reader-alerts", code="nonsense").status_code == 400


def test_programs_read_the_quarantine(supervisor, poisoned, reader) -> None:
    events = api(supervisor, "get", "quarantine", reader=reader.pk).json()
    assert [(event["position"], event["reason"]) for event in events] == [(1, "time_missing"), (0, "epc_malformed")]
    assert len(api(supervisor, "get", "quarantine", reason="epc_missing").json()) == 1


def test_programs_change_move_and_switch_a_reader(supervisor, reader, other_door) -> None:
    told = api(supervisor, "patch", f"readers/{reader.pk}", read_point=str(other_door.pk), enabled=False).json()
    assert (told["read_point"], told["enabled"], told["name"]) == (other_door.sgln, False, reader.name)
    answer = api(supervisor, "patch", f"readers/{reader.pk}", enabled=True, dialect="klingon")
    assert (answer.status_code, answer.json()["code"]) == (422, "place_refused")
    reader.refresh_from_db()
    assert (reader.enabled, reader.read_point) == (False, other_door)
    assert api(supervisor, "put", f"readers/{reader.pk}/antennas/3", looks_at="Floor").json()["looks_at"] == "Floor"
    assert api(supervisor, "delete", f"readers/{reader.pk}/antennas/3").status_code == 204
    assert api(supervisor, "put", f"readers/{reader.pk}/antennas/0", looks_at="Floor").status_code == 422
    assert not Antenna.objects.exists()


def test_programs_issue_rotate_and_revoke_credentials(supervisor, reader, other_reader) -> None:
    path = f"readers/{reader.pk}/credentials"
    answer = api(supervisor, "post", path)
    old = answer.json()
    assert (answer.status_code, "no-store" in answer["Cache-Control"]) == (201, True)
    assert authenticate(old["username"], old["secret"]) == reader
    new = api(supervisor, "post", f"{path}/{old['id']}/rotate", hours=2).json()
    assert authenticate(new["username"], new["secret"]) == authenticate(old["username"], old["secret"]) == reader
    assert api(supervisor, "post", f"{path}/{old['id']}/rotate", hours=0).status_code == 422
    listed = api(supervisor, "get", path).json()
    assert [credential["id"] for credential in listed if credential["expires_at"]] == [old["id"]]
    assert "secret" not in json.dumps(listed)
    assert api(supervisor, "delete", f"readers/{other_reader.pk}/credentials/{old['id']}").status_code == 404
    assert api(supervisor, "delete", f"{path}/{old['id']}").status_code == 204
    assert authenticate(old["username"], old["secret"]) is None
    made = api(supervisor, "post", path, kind="certificate", certificate="AB" * 32)
    assert (made.status_code, made.json()["certificate"]) == (201, "ab" * 32)
    assert api(supervisor, "post", path, kind="certificate").status_code == 422
    assert api(supervisor, "post", path, kind="telepathy").status_code == 400


# Who may -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["reader_alerts", "quarantine"])
@pytest.mark.parametrize(
    ("role", "status"),
    [("operator", 403), ("auditor", 403), ("officer", 200), ("supervisor", 200), ("administrator", 200)],
)
def test_supervisors_officers_and_administrators_watch_readers(client, alarmed, poisoned, name, role, status) -> None:
    client.force_login(User.objects.create_user("somebody", role=role))
    response = client.get(reverse(name))
    assert response.status_code == status
    if role == "officer":
        assert "/readers/" not in re.sub(r"/readers/(alerts|quarantine)/", "", text(response))


def test_an_officer_changes_no_reader(client, olga, reader, door, posting, alarmed) -> None:
    client.force_login(olga)
    credential = ReaderCredential.objects.get()
    for name, args in (
        ("reader_edit", [reader.pk]),
        ("reader_switch", [reader.pk]),
        ("reader_antenna", [reader.pk]),
        ("reader_certificate_add", [reader.pk]),
        ("reader_credential_rotate", [reader.pk, credential.pk]),
        ("site_edit", [door.site.pk]),
        ("read_point_edit", [door.pk]),
    ):
        assert client.post(reverse(name, args=args), {}).status_code == 403, name
    assert api(olga, "get", "readers").status_code == 403
    assert api(olga, "get", f"readers/{reader.pk}").status_code == 403
    assert api(olga, "patch", f"readers/{reader.pk}", enabled=False).status_code == 403
    assert api(olga, "post", f"readers/{reader.pk}/credentials").status_code == 403
    assert api(olga, "delete", f"readers/{reader.pk}/credentials/{credential.pk}").status_code == 403
    assert api(olga, "post", f"readers/{reader.pk}/credentials/{credential.pk}/rotate").status_code == 403
    assert api(olga, "put", f"readers/{reader.pk}/antennas/1", looks_at="x").status_code == 403


def test_an_operator_asks_the_api_in_vain(beto, alarmed) -> None:
    for path in ("readers", "reader-alerts", "quarantine"):
        assert api(beto, "get", path).status_code == 403
        assert Client().get(f"/api/v1/{path}").status_code == 401
    assert api(beto, "post", f"reader-alerts/{alarmed[0].pk}/acknowledge").status_code == 403
    assert not ReaderAlert.objects.filter(acknowledged_by=beto).exists()


def test_services_leave_what_they_do_not_change(reader, ana, alarmed) -> None:
    switch_reader(reader=reader, enabled=False)
    acknowledge_alert(alert=alarmed[0], account=ana)
    reader.refresh_from_db()
    assert (reader.name, reader.enabled) == ("impinj-14-2f-f4", False)
