"""The goods' pages as supervisors, operators and auditors see them."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import User
from accounts.roles import Role
from shipments.consignments import close_consignment
from shipments.models import Consignment, Reader, ReaderCredential, ReadPoint, Site
from tests.shipments.conftest import SSCC, item_epc

NEW = {
    "reference": "NLD-7",
    "description": "Ceramic tiles",
    "declared_gross_mass": "1250.5",
    "consignor": "Azulejos del Norte",
    "consignee": "Franklin Imports LLC",
    "units": "",
    "manifest": f"{item_epc(101)},Box 1\n{item_epc(102)},Box 2",
}


@pytest.fixture
def supervisor(db: None) -> User:
    return User.objects.create_user("sofia", role=Role.SUPERVISOR)


@pytest.fixture
def desk(client: Client, supervisor: User) -> Client:
    client.force_login(supervisor)
    return client


def text(response) -> str:
    return response.content.decode()


def heard(reader: Reader, receive, *, reads=(), at: datetime | None = None, extra=()) -> None:
    now = (at or datetime.now(tz=UTC)).isoformat()
    events = [{"epc": epc, "read_at": now, "antenna": 3, "rssi_cdbm": -5425} for epc in reads]
    receive(json.dumps({"reads": [*events, *extra]}).encode(), by=reader, at=at)


# Who may see what ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["shipments", "shipment_new", "places", "site_new", "read_point_new", "reader_new"])
def test_whoever_is_not_logged_in_is_asked_to(client: Client, db: None, name: str) -> None:
    response = client.get(reverse(name))
    assert response.status_code == 302
    assert response.url.startswith("/login/")


@pytest.mark.parametrize("name", ["shipment_new", "places", "site_new", "read_point_new", "reader_new"])
def test_an_operator_manages_no_goods(client: Client, beto: User, name: str) -> None:
    client.force_login(beto)
    assert client.get(reverse(name)).status_code == 403


def test_an_operator_may_not_touch_a_readers_credentials(client: Client, beto: User, reader: Reader) -> None:
    client.force_login(beto)
    assert client.get(reverse("reader", args=[reader.pk])).status_code == 403
    assert client.post(reverse("reader_credential_issue", args=[reader.pk])).status_code == 403
    assert not ReaderCredential.objects.exists()


def test_each_role_finds_its_own_way_on_from_a_shipment(
    client: Client, ana: User, beto: User, shipment: Consignment
) -> None:
    address, timeline = reverse("shipment", args=[shipment.pk]), reverse("shipment_timeline", args=[shipment.pk])
    client.force_login(beto)
    page = text(client.get(address))
    assert "Hand over" in page
    assert timeline not in page
    client.force_login(ana)
    page = text(client.get(address))
    assert timeline in page
    assert "Hand over" not in page


# Shipments ----------------------------------------------------------------------------------------------------------


def test_the_list_shows_reference_goods_parties_and_number_of_tags(desk: Client, shipment: Consignment) -> None:
    page = text(desk.get(reverse("shipments")))
    for shown in ("LRD-1042", "Automotive harnesses", "Acme Maquila", "Laredo Imports", ">5<"):
        assert shown in page


@pytest.mark.parametrize(
    "code", ["lrd-1042", "6US0614141LRD1042", SSCC, f"(00){SSCC}", item_epc(3), item_epc(3).lower()]
)
def test_any_code_of_a_shipment_leads_straight_to_it(desk: Client, shipment: Consignment, code: str) -> None:
    response = desk.get(reverse("shipments"), {"q": code})
    assert response.url == reverse("shipment", args=[shipment.pk])


def test_a_word_finds_shipments_by_description_and_parties(desk: Client, shipment: Consignment) -> None:
    assert "LRD-1042" in text(desk.get(reverse("shipments"), {"q": "harness"}))
    assert "LRD-1042" in text(desk.get(reverse("shipments"), {"q": "acme"}))
    assert "No shipment fits" in text(desk.get(reverse("shipments"), {"q": "bananas"}))


def test_open_and_closed_shipments_are_told_apart(desk: Client, shipment: Consignment) -> None:
    assert "LRD-1042" in text(desk.get(reverse("shipments"), {"state": "open"}))
    assert "LRD-1042" not in text(desk.get(reverse("shipments"), {"state": "closed"}))
    close_consignment(consignment=shipment)
    assert "LRD-1042" in text(desk.get(reverse("shipments"), {"state": "closed"}))
    assert "Hand over" not in text(desk.get(reverse("shipment", args=[shipment.pk])))


def test_the_list_asks_the_database_no_more_for_more_shipments(
    desk: Client, shipment: Consignment, django_assert_max_num_queries
) -> None:
    for number in range(12):
        Consignment.objects.create(
            reference=f"X-{number}", consignor=shipment.consignor, consignee=shipment.consignee, description="Tiles"
        )
    with django_assert_max_num_queries(8):
        desk.get(reverse("shipments"))


def test_a_shipment_shows_its_units_and_each_tag_as_uri_and_as_raw_hex(desk: Client, shipment: Consignment) -> None:
    page = text(desk.get(reverse("shipment", args=[shipment.pk])))
    assert SSCC in page
    assert "Manifest: 5 tags" in page
    assert item_epc(4) in page
    assert shipment.manifest.get(epc_hex=item_epc(4)).epc_uri in page


def test_what_is_odd_about_a_tag_stands_beside_it(desk: Client) -> None:
    desk.post(reverse("shipment_new"), NEW | {"manifest": "E20034120000000000000001,blank chip"})
    page = text(desk.get(reverse("shipment", args=[Consignment.objects.get().pk])))
    assert "urn:epc:raw:96.xE20034120000000000000001" in page
    assert "Never encoded" in page


def test_a_new_shipment_is_on_file_with_its_mass_in_grams(desk: Client) -> None:
    response = desk.post(reverse("shipment_new"), NEW, follow=True)
    shipment = Consignment.objects.get()
    assert response.redirect_chain[-1][0] == reverse("shipment", args=[shipment.pk])
    assert shipment.declared_gross_mass_g == 1_250_500
    assert "Shipment NLD-7 is on file." in text(response)
    assert "1250.5 kg" in text(response)


def test_every_faulty_line_is_named_and_all_that_was_typed_comes_back(desk: Client, shipment: Consignment) -> None:
    lines = f"{item_epc(101)},Box 1\nZZ,Box 2\n{item_epc(101)},Box 3\n{item_epc(2)},Box 4"
    response = desk.post(reverse("shipment_new"), NEW | {"manifest": lines})
    page = text(response)
    assert response.status_code == 422
    assert "lines of the manifest that cannot be used: 3" in page
    assert "“ZZ” is no tag number." in page
    assert "This tag is on line 1 already." in page
    assert "This tag is on the manifest of shipment LRD-1042." in page
    assert f"{item_epc(101)},Box 3" in page
    assert 'value="Azulejos del Norte"' in page
    assert Consignment.objects.count() == 1


def test_a_faulty_file_comes_back_as_text_that_can_be_mended(desk: Client, db: None) -> None:
    file = SimpleUploadedFile("manifest.csv", f"epc,description\r\nZZ,Box ñ\r\n{item_epc(101)},Box 2\r\n".encode())
    response = desk.post(reverse("shipment_new"), NEW | {"manifest": "", "manifest_file": file})
    assert response.status_code == 422
    assert "ZZ,Box ñ" in text(response)
    assert not Consignment.objects.exists()


def test_a_file_takes_the_place_of_the_box(desk: Client) -> None:
    file = SimpleUploadedFile("manifest.csv", b"\xef\xbb\xbfepc\n" + item_epc(105).encode())
    desk.post(reverse("shipment_new"), NEW | {"manifest_file": file})
    assert [item.epc_hex for item in Consignment.objects.get().manifest.all()] == [item_epc(105)]


@pytest.mark.parametrize("content", [b"epc\n\xff\xfe", "epc,descripción".encode("cp1252"), b"PK\x03\x04\0\0"])
def test_a_file_that_is_no_text_is_refused_and_nothing_typed_is_lost(desk: Client, content: bytes) -> None:
    file = SimpleUploadedFile("manifest.xlsx", content)
    response = desk.post(reverse("shipment_new"), NEW | {"manifest_file": file})
    assert response.status_code == 422
    assert "choose it again" in text(response)
    assert f"{item_epc(101)},Box 1" in text(response)
    assert not Consignment.objects.exists()


def test_an_empty_form_says_what_is_missing(desk: Client) -> None:
    response = desk.post(reverse("shipment_new"), {})
    assert response.status_code == 422
    assert "see the fields marked below" in text(response)


def test_a_reference_in_use_keeps_what_was_typed(desk: Client, shipment: Consignment) -> None:
    response = desk.post(reverse("shipment_new"), NEW | {"reference": "lrd-1042"})
    assert response.status_code == 422
    assert "already in use" in text(response)
    assert "Ceramic tiles" in text(response)


def test_an_empty_list_says_how_to_begin(client: Client, desk: Client, beto: User) -> None:
    assert reverse("shipment_new") in text(desk.get(reverse("shipments")))
    client.force_login(beto)
    page = text(client.get(reverse("shipments")))
    assert reverse("shipment_new") not in page
    assert "enters the first one" in page


# Places and readers -------------------------------------------------------------------------------------------------


def test_a_site_its_read_point_and_its_reader_are_added_one_after_another(desk: Client) -> None:
    assert desk.get(reverse("read_point_new")).url == reverse("site_new")
    assert desk.get(reverse("reader_new")).url == reverse("read_point_new")
    site = {"code": "JRZ", "name": "Ciudad Juárez yard", "gln": "0614141 12345 2", "company_prefix_length": "7"}
    assert desk.post(reverse("site_new"), site).url == reverse("places")
    point = {"site": Site.objects.get().pk, "name": "Dock 1", "direction": "in", "extension": "1"}
    assert desk.post(reverse("read_point_new"), point).url == reverse("places")
    reader = {"read_point": ReadPoint.objects.get().pk, "name": "jrz-dock-1", "dialect": "impinj"}
    assert desk.post(reverse("reader_new"), reader).url == reverse("reader", args=[Reader.objects.get().pk])
    page = text(desk.get(reverse("places")))
    for shown in ("Ciudad Juárez yard", "Dock 1", "jrz-dock-1", "Never heard", "urn:epc:id:sgln:0614141.12345.1"):
        assert shown in page


def test_a_wrong_check_digit_is_told_and_the_form_keeps_its_input(desk: Client) -> None:
    typed = {"code": "JRZ", "name": "Ciudad Juárez yard", "gln": "0614141123453", "company_prefix_length": "7"}
    response = desk.post(reverse("site_new"), typed)
    assert response.status_code == 422
    assert "check digit 3, expected 2" in text(response)
    assert 'value="Ciudad Juárez yard"' in text(response)
    assert not Site.objects.exists()


def test_a_name_in_use_is_told(desk: Client, reader: Reader) -> None:
    typed = {"read_point": reader.read_point.pk, "name": reader.name, "dialect": ""}
    response = desk.post(reverse("reader_new"), typed)
    assert response.status_code == 422
    assert "already in use" in text(response)


def test_the_form_opened_from_a_place_has_it_chosen(desk: Client, door: ReadPoint, other_door: ReadPoint) -> None:
    page = text(desk.get(reverse("reader_new"), {"read_point": other_door.pk}))
    assert f'<option value="{other_door.pk}" selected>' in page


def test_a_readers_health_follows_from_when_it_was_last_heard(desk: Client, reader: Reader, receive) -> None:
    address = reverse("reader", args=[reader.pk])
    assert "Never heard" in text(desk.get(address))
    receive(b"[]")
    assert "Connected" in text(desk.get(address))
    Reader.objects.update(last_seen_at=timezone.now() - timedelta(hours=3))
    assert "Silent for 3" in text(desk.get(address))
    Reader.objects.update(enabled=False)
    assert "Switched off" in text(desk.get(address))


def test_the_reader_page_names_the_address_and_both_forms(desk: Client, reader: Reader) -> None:
    page = text(desk.get(reverse("reader", args=[reader.pk])))
    assert f"http://testserver/api/v1/readers/{reader.pk}/events" in page
    assert "tagInventoryEvent" in page
    assert "&quot;reads&quot;" in page or '"reads"' in page


def test_a_credential_is_shown_once_and_opens_the_readers_address(desk: Client, reader: Reader) -> None:
    response = desk.post(reverse("reader_credential_issue", args=[reader.pk]))
    issued = response.context["issued"]
    username, password = issued.credential.username, issued.secret
    assert password in text(response)
    assert "no-store" in response["Cache-Control"]
    page = text(desk.get(reverse("reader", args=[reader.pk])))
    assert username in page
    assert password not in page
    # The address stays in the bar: opening it again issues nothing.
    assert desk.get(reverse("reader_credential_issue", args=[reader.pk])).url == reverse("reader", args=[reader.pk])
    assert ReaderCredential.objects.count() == 1


def test_a_revoked_credential_is_gone_from_the_page(desk: Client, posting) -> None:
    credential = ReaderCredential.objects.get()
    address = reverse("reader_credential_revoke", args=[posting.reader.pk, credential.pk])
    assert desk.get(address).status_code == 405
    page = text(desk.post(address, follow=True))
    assert "is revoked and opens nothing any more" in page
    assert "Revoke" not in page
    assert posting.post(b"[]").status_code == 401


def test_a_credential_is_not_revoked_through_another_readers_page(desk: Client, posting, other_reader: Reader) -> None:
    credential = ReaderCredential.objects.get()
    assert desk.post(reverse("reader_credential_revoke", args=[other_reader.pk, credential.pk])).status_code == 404
    credential.refresh_from_db()
    assert credential.revoked_at is None


def test_reads_name_their_shipment_and_faults_their_reason(
    desk: Client, reader: Reader, shipment: Consignment, receive
) -> None:
    stranger = item_epc(999)
    faults = [{"epc": "ZZ<script>", "read_at": "2026-11-22T14:05:09Z"}, {"epc": item_epc(1)}]
    heard(reader, receive, reads=[item_epc(1), stranger], extra=faults)
    page = text(desk.get(reverse("reader", args=[reader.pk])))
    for shown in ("Box 1", "LRD-1042", stranger, "on no open manifest", "3 · -54.3 dBm", "No time", "epc_malformed"):
        assert shown in page, shown
    assert "<script>" not in page.replace("<script ", "").split("Quarantine")[1]
    assert "1 report, 2 reads, 2 quarantined" in " ".join(page.split())


def test_a_gap_that_the_reader_admits_is_shown(desk: Client, reader: Reader, receive) -> None:
    at = "2026-11-22T14:05:09.000000000Z"
    lost = {"firstEventTimestamp": at, "lastEventTimestamp": at, "eventsPurged": 12}
    receive(json.dumps([{"timestamp": at, "eventType": "overflow", "overflowEvent": lost}]).encode())
    page = text(desk.get(reverse("reader", args=[reader.pk])))
    assert "12 events lost" in page


def test_the_reader_page_asks_the_database_no_more_for_more_reads(
    desk: Client, reader: Reader, shipment: Consignment, receive, django_assert_max_num_queries
) -> None:
    heard(reader, receive, reads=[item_epc(serial) for serial in range(1, 40)])
    with django_assert_max_num_queries(12):
        desk.get(reverse("reader", args=[reader.pk]))


def test_unknown_shipments_and_readers_are_not_found(desk: Client) -> None:
    nobody = "00000000-0000-4000-8000-000000000000"
    for name in ("shipment", "reader"):
        assert desk.get(reverse(name, args=[nobody])).status_code == 404
