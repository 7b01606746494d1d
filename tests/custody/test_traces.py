"""Traces on pages, through the API and on the command line: who may see what, and what a reader is told."""

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.urls import reverse
from rest_framework.test import APIClient

from accounts.models import User
from accounts.tokens import issue_token
from custody.models import Handoff, PersonTraced
from custody.tracing.patterns import TooFewShipments, trace_pattern
from custody.tracing.significance import corrected, tail
from custody.tracing.tags import trace_tag
from ledger import append_only
from ledger.models import Attachment, Entry
from ledger.sealing import seal_all
from shipments.models import RawReport
from tests.custody.conftest import Dock
from tests.custody.test_case_files import hand_over

pytestmark = pytest.mark.django_db


@pytest.fixture
def lost(dock: Dock) -> str:
    """LRD-1042 goes from Marco to Elena, and its last tag is not with it any more."""
    kept, also_kept, taken = dock.tags()
    hand_over(dock, to=dock.marco, sessions=[[kept, also_kept, taken]])
    hand_over(dock, to=dock.elena, sessions=[[kept, also_kept], [kept, also_kept]])
    return taken


def page(user: User, url: str, status: int = 200, **query: str) -> str:
    client = Client()
    client.force_login(user)
    answer = client.get(url, query)
    assert answer.status_code == status, answer.content.decode()[:2000]
    return " ".join(answer.content.decode().split())


def api(user: User) -> APIClient:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {issue_token(user=user, purpose='tests')}")
    return client


def test_pages_for_an_officer_with_names_and_an_auditor_without(dock: Dock, lost: str, olga: User, ana: User) -> None:
    shipment = reverse("shipment_trace", args=[dock.shipment.pk])
    tag = reverse("tag_trace", args=[dock.shipment.pk, lost])
    for told in (page(olga, tag), page(olga, shipment)):
        assert "Marco Ruiz held custody" in told
        assert ">Direct<" in told and "was not seen in two sessions" in told
        assert 'class="is-loss"' in told and "Verified by face" in told
        assert "Ciudad Juárez yard" in told
    assert "Not seen" in page(olga, tag) and lost in page(olga, shipment)
    for told in (page(ana, tag), page(ana, shipment)):
        assert f"{dock.marco.pk} held custody" in told
        assert "Marco" not in told and "Elena" not in told
    # They are reached by links.
    assert shipment in page(olga, reverse("shipment", args=[dock.shipment.pk]))
    assert tag in page(olga, reverse("shipment", args=[dock.shipment.pk]))
    assert shipment in page(ana, reverse("shipment_timeline", args=[dock.shipment.pk]))
    person = reverse("person_trace", args=[dock.marco.pk])
    assert person in page(olga, reverse("person", args=[dock.marco.pk])) and person in page(olga, tag)


def test_who_traced_a_person_is_recorded_and_shown(dock: Dock, lost: str, olga: User, ana: User) -> None:
    url = reverse("person_trace", args=[dock.marco.pk])
    told = page(olga, url)
    assert "Marco Ruiz held custody of LRD-1042" in told and "1 tag was lost" in told
    assert "That you looked is recorded." in told and "Who traced them before" not in told
    told = page(ana, url)
    assert "Marco" not in told and str(dock.marco.pk) in told
    assert "Who traced them before" in told and "olga" in told
    assert api(olga).get(f"/api/v1/traces/persons/{dock.marco.pk}").data["shipments_with_losses"] == 1
    out = StringIO()
    call_command("trace_person", str(dock.marco.pk), username="ana", stdout=out)
    assert f"{dock.marco.pk} held custody of LRD-1042" in out.getvalue()
    looks = PersonTraced.objects.order_by("traced_at").values_list("traced_by__username", "way")
    assert list(looks) == [("olga", "page"), ("ana", "page"), ("olga", "api"), ("ana", "command")]
    # Nothing was lost while Elena held it: it was gone before.
    assert api(olga).get(f"/api/v1/traces/persons/{dock.elena.pk}").data["shipments_with_losses"] == 0


def test_others_may_not_trace(dock: Dock, beto: User, carla: User) -> None:
    tag = dock.tags()[0]
    urls = [
        reverse("traces"),
        reverse("shipment_trace", args=[dock.shipment.pk]),
        reverse("tag_trace", args=[dock.shipment.pk, tag]),
        reverse("person_trace", args=[dock.marco.pk]),
    ]
    for user in (beto, carla):
        for url in urls:
            page(user, url, 403)
        for path in (f"tags/{tag}", "shipments/LRD-1042", f"persons/{dock.marco.pk}", "pattern"):
            assert api(user).get(f"/api/v1/traces/{path}").status_code == 403
        with pytest.raises(CommandError, match="officers and auditors"):
            call_command("trace_person", str(dock.marco.pk), username=user.username)
    assert Client().get(urls[1]).status_code == 302
    assert not PersonTraced.objects.exists()


def test_the_api_takes_hex_and_uri_and_answers_names_to_whom_may_see_people(
    dock: Dock, lost: str, olga: User, ana: User
) -> None:
    uri = dock.shipment.manifest.get(epc_hex=lost).epc_uri
    by_hex, by_uri = (api(olga).get(f"/api/v1/traces/tags/{tag}").data for tag in (lost, uri))
    assert by_hex == by_uri
    assert by_hex["window"]["custody"][0] | {"since": 0, "until": 0} == {
        "person": dock.marco.pk.urn, "name": "Marco Ruiz", "since": 0, "until": 0,
        "entry": by_hex["window"]["last_good"]["entry"],
    }  # fmt: skip
    found = api(ana).get(f"/api/v1/traces/tags/{lost}").data
    assert "name" not in found["window"]["custody"][0] and "Marco" not in json.dumps(found)
    found = api(ana).get("/api/v1/traces/shipments/LRD-1042").data
    assert [(loss["epcs"], loss["window"]["grade"]) for loss in found["losses"]] == [([lost], "direct")]
    for path, code, status in (
        ("tags/zz", "epc_malformed", 422),
        ("tags/30361FAB80000000000000FF", "tag_unknown", 404),
        ("shipments/LRD-9999", "shipment_unknown", 404),
        ("pattern?shipment=LRD-1042", "too_few_shipments", 422),
    ):
        answer = api(ana).get(f"/api/v1/traces/{path}")
        assert (answer.status_code, answer.data["code"]) == (status, code)


def test_the_search_leads_to_the_tag_or_the_shipment(dock: Dock, lost: str, ana: User) -> None:
    client = Client()
    client.force_login(ana)
    assert client.get(reverse("traces"), {"q": lost}).url == reverse("tag_trace", args=[dock.shipment.pk, lost])
    assert client.get(reverse("traces"), {"q": "lrd-1042"}).url == reverse("shipment_trace", args=[dock.shipment.pk])
    assert "No shipment has the code" in page(ana, reverse("traces"), 404, q="nothing like it")


# What somebody with the database in their hands can do


def test_rows_that_were_changed_are_told_and_the_entries_stand(dock: Dock, lost: str, ana: User) -> None:
    first = Handoff.objects.order_by("opened_at").first()
    Handoff.objects.filter(pk=first.pk).update(to_person=dock.elena, from_person=None)
    found = trace_tag(tag=lost)
    assert found.window.custodians == [dock.marco.pk.urn]
    assert (found.window.graded.grade, found.window.graded.doubts) == ("inferred", ["row_differs"])
    (told,) = found.chain.rows
    assert "differ in who received" in told and str(dock.marco.pk) in told
    assert "who received" in page(ana, reverse("tag_trace", args=[dock.shipment.pk, lost]))


def test_a_manifest_that_hides_the_tag_does_not_hide_it_from_the_whole_log(dock: Dock, lost: str) -> None:
    dock.shipment.manifest.filter(epc_hex=lost).delete()
    with pytest.raises(CommandError, match="--whole-log"):
        call_command("trace_tag", lost)
    out = StringIO()
    call_command("trace_tag", lost, "--whole-log", "--json", stdout=out)
    assert json.loads(out.getvalue())["window"]["custody"][0]["person"] == dock.marco.pk.urn


def test_a_tag_moved_to_another_manifest_points_to_the_whole_log(dock: Dock, lost: str, ana: User) -> None:
    """Its trace would go by the other shipment, of which no handoff ever counted it."""
    hand_over(dock, to=dock.marco, sessions=[dock.tags(dock.other)], shipment="LRD-1043")
    dock.shipment.manifest.filter(epc_hex=lost).update(consignment=dock.other)
    found = api(ana).get(f"/api/v1/traces/tags/{lost}").data
    assert (found["shipment"], found["lost"]) == ("LRD-1043", False)
    assert "--whole-log" in found["sentences"][0]
    assert "--whole-log" in page(ana, reverse("tag_trace", args=[dock.other.pk, lost]))


def test_an_altered_entry_or_attachment_makes_everything_inconclusive(dock: Dock, lost: str) -> None:
    append_only.disarm(connection)
    try:
        sha256 = Handoff.objects.order_by("opened_at").last().reconciliation_sha256
        Attachment.objects.filter(pk=sha256).update(content=b'{"v":2}')
        found = trace_tag(tag=lost).window.graded
        assert (found.grade, found.doubts) == ("inconclusive", ["reads_unreadable"])
        entry = Entry.objects.filter(kind="handoff").order_by("index").first()
        Entry.objects.filter(pk=entry.pk).update(
            note=bytes(entry.note).replace(dock.marco.pk.urn.encode(), dock.elena.pk.urn.encode())
        )
        found = trace_tag(tag=lost)
        assert "does not fit these bytes" in " ".join(found.chain.broken)
        assert found.window.graded.grade == "inconclusive"
        assert dock.elena.pk.urn not in found.window.custodians
    finally:
        append_only.arm(connection)


def test_an_entry_that_is_missing_makes_it_inconclusive(dock: Dock, lost: str) -> None:
    append_only.disarm(connection)
    try:
        first, _second = Entry.objects.filter(subject=dock.shipment.pk.urn).order_by("subject_seq")
        Handoff.objects.filter(statement__entry=first).update(statement=None, state="cancelled")
        first.statement.delete()
        first.delete()
        found = trace_tag(tag=lost)
        assert found.window.graded.grade == "inconclusive"
        assert found.window.custodians == []
        assert "entries of this shipment are missing before entry" in " ".join(found.chain.broken)
    finally:
        append_only.arm(connection)


def test_a_raw_report_that_was_altered_is_told_as_such(dock: Dock, lost: str) -> None:
    dock.read(lost)
    assert [one.bound for one in trace_tag(tag=lost).window.afterwards] == ["nothing"]
    newest = RawReport.objects.order_by("-id").first()
    RawReport.objects.filter(pk=newest.pk).update(body=b"[]")
    window = trace_tag(tag=lost).window
    assert [one.bound for one in window.afterwards] == ["altered"]
    assert (window.graded.grade, window.graded.doubts) == ("inconclusive", ["seen_afterwards"])


# The pattern


def test_the_tail_is_the_exact_one() -> None:
    # An urn of 10 with 4 marked, 3 drawn: C(4,2)·C(6,1) + C(4,3) of C(10,3).
    assert tail(population=10, marked=4, drawn=3, hits=2) == pytest.approx((6 * 6 + 4) / 120)
    assert tail(population=10, marked=4, drawn=3, hits=0) == 1
    assert tail(population=10, marked=2, drawn=3, hits=3) == 0
    assert tail(population=5000, marked=25, drawn=6, hits=6) < 1e-12
    assert corrected(0.004, candidates=250) == 1
    with pytest.raises(ValueError, match="more marked"):
        tail(population=3, marked=4, drawn=1, hits=1)


def test_two_shipments_name_nobody(dock: Dock, lost: str, ana: User) -> None:
    """Marco held both in the windows of their losses, and is in all shipments there are: that is no pattern."""
    kept, taken = dock.tags(dock.other)
    hand_over(dock, to=dock.marco, sessions=[[kept, taken]], shipment="LRD-1043")
    hand_over(dock, to=dock.elena, sessions=[[kept], [kept]], shipment="LRD-1043")
    seal_all()
    found = trace_pattern(shipments=[dock.shipment, dock.other])
    marco = next(one for one in found.candidates if one.key == dock.marco.pk.urn)
    assert (marco.hits, marco.base, found.population, found.drawn) == (2, 2, 2, 2)
    assert marco.chance == 1 and not found.standing_out
    told = page(ana, reverse("traces"), shipments="LRD-1042, LRD-1043")
    assert "no reason to name anybody" in told and "2 / 2" in told
    out = StringIO()
    call_command("trace_pattern", "LRD-1042", "LRD-1043", stdout=out)
    assert "in the windows of 2 of 2 shipments with losses; in 2 of all 2" in out.getvalue()
    with pytest.raises(TooFewShipments):
        trace_pattern(shipments=[dock.shipment, dock.shipment])
