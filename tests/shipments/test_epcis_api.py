"""The interface as a partner's program meets it: capture, ask, page through, and be told what was wrong."""

import gzip
import re
from urllib.parse import quote

import pytest
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts.models import User
from accounts.roles import Role
from accounts.tokens import issue_token
from shipments.epcis.capture import work_job, work_waiting
from shipments.epcis.schema import check_document, check_event
from shipments.models import CaptureJob, EpcisEvent
from tests.shipments.epcis_samples import (
    ERROR,
    INVALID,
    OWN_CONTEXT,
    SSCC_LINK,
    SSCC_URN,
    VALID,
    as_bytes,
    bare,
    document,
    event,
    item,
)

pytestmark = pytest.mark.django_db


class Partner:
    """A program with a bearer token."""

    def __init__(self, role: str = Role.SUPERVISOR) -> None:
        user = User.objects.create_user(f"partner-{role}", role=role)
        self.client = Client(headers={"Authorization": f"Bearer {issue_token(user=user, purpose='tests')}"})

    def get(self, address: str, parameters=None, **headers: str):
        return self.client.get(f"/epcis/v2/{address}", parameters, headers=headers)

    def post(self, address: str, body, kind: str = "application/json", **headers: str):
        sent = body if isinstance(body, bytes) else as_bytes(body)
        return self.client.post(f"/epcis/v2/{address}", sent, content_type=kind, headers=headers)

    def capture(self, *events, **headers: str) -> dict:
        answer = self.post("capture", document(*events), **headers)
        assert answer.status_code == 202
        work_job(answer["Location"].rpartition("/")[2])
        return self.client.get(answer["Location"]).json()

    def find(self, **parameters: object) -> list[str]:
        """The numbers of the events that a query finds, in its order."""
        answer = self.get("events", parameters)
        assert answer.status_code == 200, answer.content
        return numbers(answer)


def numbers(answer) -> list[int]:
    found = answer.json()
    assert check_document(found) == []
    return [int(one["eventID"][-12:]) for one in found["epcisBody"]["queryResults"]["resultsBody"]["eventList"]]


def problem(answer, status: int, kind: str) -> dict:
    assert (answer.status_code, answer["Content-Type"]) == (status, "application/problem+json")
    told = answer.json()
    assert (told["status"], told["type"]) == (status, f"epcisException:{kind}")
    assert told["title"] and told["detail"]
    return told


@pytest.fixture
def partner(db) -> Partner:
    return Partner()


@pytest.fixture
def world(partner) -> Partner:
    """Events 1 to 9, of a minute each, and one of every other type."""
    assert partner.capture(*[event(number) for number in range(1, 10)], *list(VALID.values())[1:])["success"]
    return partner


# Capture ------------------------------------------------------------------------------------------------------------


def test_a_document_is_accepted_and_its_capture_can_be_watched(partner):
    answer = partner.post("capture", document(event(1), event(2)))
    assert (answer.status_code, answer.content) == (202, b"")
    assert re.fullmatch(r"/epcis/v2/capture/[0-9a-f-]{36}", answer["Location"])
    assert answer["GS1-Capture-Error-Behaviour"] == "rollback"
    job = partner.client.get(answer["Location"]).json()
    assert (job["running"], job["success"], job["errors"]) == (True, False, [])
    work_waiting()
    job = partner.client.get(answer["Location"]).json()
    assert job.keys() == {
        "captureID",
        "createdAt",
        "finishedAt",
        "running",
        "success",
        "captureErrorBehaviour",
        "errors",
    }
    assert (job["running"], job["success"], job["captureErrorBehaviour"]) == (False, True, "rollback")
    assert partner.post("capture", document(event(1), event(2)))["Location"] == answer["Location"]


def test_proceed_keeps_what_it_can(partner):
    job = partner.capture(event(1), event(2, action="LOOK"), **{"GS1-Capture-Error-Behaviour": "proceed"})
    assert (job["success"], job["captureErrorBehaviour"]) == (False, "proceed")
    assert [error["pointer"] for error in job["errors"]] == ["/epcisBody/eventList/1/action"]
    assert partner.find() == [1]
    told = problem(
        partner.post("capture", document(), **{"GS1-Capture-Error-Behaviour": "maybe"}), 400, "ValidationException"
    )
    assert "rollback, proceed" in told["detail"]


def test_gzip_and_linked_data_are_read(partner):
    packed = gzip.compress(as_bytes(document(event(1))))
    assert partner.post("capture", packed, **{"Content-Encoding": "gzip"}).status_code == 202
    assert partner.post("capture", document(event(2)), "application/ld+json; charset=utf-8").status_code == 202


def test_what_is_no_document_is_a_problem(partner):
    for body in (b" ", b"{", b"[]", as_bytes(event(1)), as_bytes(document(type="EPCISQueryDocument")), b"\xff"):
        problem(partner.post("capture", body), 400, "ValidationException")
    told = problem(partner.post("capture", document(**{"@context": None})), 400, "ValidationException")
    assert told["errors"] == [{"pointer": "", "detail": "“@context” is missing."}]
    problem(partner.post("capture", b"<x/>", "application/xml"), 415, "UnsupportedMediaTypeException")
    problem(partner.post("capture", b"{}", "text/plain"), 415, "UnsupportedMediaTypeException")
    problem(partner.post("capture", b" " * (16 * 1024 * 1024 + 1)), 413, "CaptureLimitExceededException")
    bomb = gzip.compress(b" " * (17 * 1024 * 1024))
    problem(partner.post("capture", bomb, **{"Content-Encoding": "gzip"}), 413, "CaptureLimitExceededException")
    for encoding, named in (("br", "Content-Encoding: br"), ("gzip", "cannot be unpacked")):
        told = problem(partner.post("capture", b"x", **{"Content-Encoding": encoding}), 400, "ValidationException")
        assert named in told["detail"]
    problem(partner.post("capture", document(*[{}] * 10_001)), 413, "CaptureLimitExceededException")
    assert not CaptureJob.objects.exists()


def test_captures_are_listed_in_pages(partner):
    for number in range(5):
        partner.capture(event(number))
    seen, answer = [], partner.get("capture", {"perPage": 2})
    while True:
        seen += [job["captureID"] for job in answer.json()]
        if "Link" not in answer:
            break
        answer = partner.client.get(re.fullmatch(r'<http://testserver(.*)>; rel="next"', answer["Link"]).group(1))
    assert seen == [str(job.pk) for job in CaptureJob.objects.all()]
    problem(partner.get("capture", {"perPage": "0"}), 400, "QueryParameterException")
    problem(partner.get("capture", {"nextPageToken": "made-up"}), 400, "QueryParameterException")
    problem(partner.get("capture", {"state": "done"}), 400, "QueryParameterException")
    problem(partner.get("capture/0d9c2c6e-0000-4000-8000-000000000000"), 404, "NoSuchResourceException")


def test_one_event_is_created_and_has_an_address(partner):
    answer = partner.post("events", bare(1))
    assert (answer.status_code, answer["Location"]) == (201, f"/epcis/v2/events/{quote(event(1)['eventID'], safe='')}")
    got = partner.client.get(answer["Location"]).json()
    assert check_event(got, bare=True) == []
    assert {name: got[name] for name in event(1)} == event(1)
    again = partner.post("events", bare(1, disposition="active"))
    problem(again, 409, "ResourceAlreadyExistsException")
    assert again["Location"] == answer["Location"]
    problem(partner.get("events/urn:uuid:00000000-0000-4000-8000-000000000000"), 404, "NoSuchResourceException")


@pytest.mark.parametrize("name", INVALID)
def test_one_event_that_the_standard_refuses_is_a_problem(partner, name):
    wrong, pointer = INVALID[name]
    told = problem(partner.post("events", {"@context": OWN_CONTEXT, **wrong}), 400, "ValidationException")
    assert pointer in [error["pointer"] for error in told["errors"]]


def test_an_event_keeps_its_own_words_in_any_company(partner):
    body = as_bytes({"@context": [OWN_CONTEXT, {"other": "https://o.example/"}], **event(1, **{"other:a": 7})})
    partner.post("events", body.replace(b'"other:a": 7', b'"other:a": 1.50'))
    partner.capture(event(2, **{"example:b": {"example:c": "d"}}))
    found = partner.get("events", {"orderDirection": "ASC"}).json()
    contexts = [one.get("@context") for one in found["epcisBody"]["queryResults"]["resultsBody"]["eventList"]]
    assert contexts == [[OWN_CONTEXT, {"other": "https://o.example/"}], [OWN_CONTEXT]]
    alone = partner.get(f"events/{quote(event(1)['eventID'], safe='')}")
    assert b'"other:a":1.50' in alone.content
    assert {"other": "https://o.example/"} in alone.json()["@context"]


def test_an_identifier_with_a_question_mark_has_an_address(partner):
    odd = "ni:///sha-256;df7bb3c352fef055578554f09f5e2aa41782150ced7bd0b8af24dd3ccb30ba69?ver=CBV2.0"
    answer = partner.post("events", bare(1, eventID=odd))
    assert partner.client.get(answer["Location"]).json()["eventID"] == odd


def test_the_later_word_on_an_event_is_the_error(partner):
    partner.capture(event(1), ERROR)
    assert "errorDeclaration" in partner.get(f"events/{quote(event(1)['eventID'], safe='')}").json()
    assert partner.find(EXISTS_errorDeclaration="true") == [1]
    assert partner.find() == [1, 1]


# Asking -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"EQ_bizStep": "packing|assembling"}, [21, 22]),
        ({"EQ_bizStep": "https://ref.gs1.org/cbv/BizStep-packing"}, [21]),
        ({"EQ_bizStep": "urn:epcglobal:cbv:bizstep:packing"}, [21]),
        ({"EQ_bizStep": "https://example.com/step/weighing"}, [27]),
        ({"EQ_disposition": "example:weighed"}, [27]),
        ({"EQ_action": "ADD", "eventType": "TransactionEvent|AssociationEvent"}, [22, 23]),
        ({"eventType": "example:InventoryEvent"}, [26]),
        ({"EQ_eventID": event(4)["eventID"]}, [4]),
        ({"MATCH_epc": item(3)}, [3, 22]),
        ({"MATCH_anyEPC": item(4)}, [4, 24]),
        ({"MATCH_inputEPC": item(4)}, [24]),
        ({"MATCH_outputEPC": item(5)}, [24]),
        ({"MATCH_parentID": SSCC_URN}, [21, 22, 23]),
        ({"MATCH_parentID": SSCC_LINK}, [21, 22, 23]),
        ({"MATCH_parentID": "urn:epc:idpat:sscc:0614141.*"}, [21]),
        ({"MATCH_epc": "urn:epc:idpat:sgtin:0614141.999999.*"}, []),
        ({"MATCH_epc": "urn:epc:idpat:sgtin:*.*.*", "EQ_bizStep": "packing"}, [21]),
        ({"EQ_bizTransaction_po": "https://example.com/po/5|https://example.com/po/6"}, [5, 6]),
        ({"EQ_bizTransaction_inv": "https://example.com/po/5"}, []),
        ({"EQ_readPoint": "urn:epc:id:sgln:0614141.12345.dock1", "EQ_action": "ADD", "MATCH_epc": item(3)}, [22]),
        ({"WD_readPoint": "urn:epc:id:sgln:0614141.12345.0", "MATCH_epc": item(3)}, [3, 22]),
        ({"WD_readPoint": "urn:epc:id:sgln:0614141.1234.0"}, []),
        ({"EQ_bizLocation": "urn:epc:id:sgln:0614141.12345.0", "MATCH_epc": item(3)}, [3, 22]),
        ({"GE_eventTime": "2026-11-22T14:00:02.500-06:00", "LT_eventTime": "2026-11-22T20:00:04.500Z"}, [2, 3]),
        ({"LT_recordTime": "2020-01-01T00:00:00Z"}, []),
        ({"GE_recordTime": "2020-01-01T00:00:00Z", "EQ_bizStep": "packing"}, [21]),
    ],
)
def test_filters(world, parameters, expected):
    assert sorted(world.find(**parameters)) == expected


def test_a_plus_that_was_not_encoded_is_understood(world):
    answer = world.client.get("/epcis/v2/events?GE_eventTime=2026-11-22T21:00:08.500+01:00&MATCH_epc=" + item(9))
    assert numbers(answer) == [9]


@pytest.mark.parametrize(
    ("parameters", "named"),
    [
        ({"EQ_colour": "red"}, "EQ_colour"),
        ({"eq_bizStep": "packing"}, "eq_bizStep"),
        ({"EQ_bizTransaction_": "x"}, "EQ_bizTransaction_"),
        ({"GE_eventTime": "yesterday"}, "GE_eventTime"),
        ({"GE_eventTime": "0001-01-01T00:00:00+10:00"}, "GE_eventTime"),
        ({"MATCH_epc": "not a uri"}, "MATCH_epc"),
        ({"MATCH_epc": "urn:epc:idpat:sgtin:*.812345.1"}, "MATCH_epc"),
        ({"EQ_bizStep": ""}, "EQ_bizStep"),
        ({"EQ_bizStep": "a\0b"}, "EQ_bizStep"),
        ({"EQ_bizStep": "|".join("a" * 201)}, "EQ_bizStep"),
        ({"EQ_bizTransaction_\0": "x"}, "EQ_bizTransaction_\ufffd"),
        ({"perPage": "-1"}, "perPage"),
        ({"perPage": "٣"}, "perPage"),
        ({"orderBy": "colour"}, "orderBy"),
        ({"orderDirection": "up"}, "orderDirection"),
        ({"nextPageToken": "x"}, "nextPageToken"),
        ({"EXISTS_errorDeclaration": "maybe"}, "EXISTS_errorDeclaration"),
    ],
)
def test_what_cannot_be_asked_is_refused_by_its_name(world, parameters, named):
    told = problem(world.get("events", parameters), 400, "QueryParameterException")
    assert told["parameter"] == named


def test_a_parameter_that_stands_twice_is_refused(world):
    answer = world.client.get("/epcis/v2/events?EQ_action=ADD&EQ_action=OBSERVE")
    assert problem(answer, 400, "QueryParameterException")["parameter"] == "EQ_action"


@pytest.mark.parametrize("order", ["eventTime", "recordTime"])
@pytest.mark.parametrize("direction", ["ASC", "DESC"])
def test_pages_hold_each_event_once_whatever_comes_in_meanwhile(world, order, direction):
    whole = world.find(orderBy=order, orderDirection=direction, perPage=100)
    pages, answer = [], world.get("events", {"orderBy": order, "orderDirection": direction, "perPage": 4})
    while True:
        pages.append(numbers(answer))
        world.capture(event(100 + len(pages), eventTime="2020-01-01T00:00:00Z"))
        if "Link" not in answer:
            break
        answer = world.client.get(re.fullmatch(r'<http://testserver(.*)>; rel="next"', answer["Link"]).group(1))
    met = [number for page in pages for number in page if number < 100]
    assert met == whole
    assert all(len(page) <= 4 for page in pages)


def test_a_token_belongs_to_its_query(world):
    link = world.get("events", {"perPage": 2, "EQ_action": "OBSERVE"})["Link"]
    token = re.search(r"nextPageToken=([^&>]+)", link).group(1)
    assert world.client.get(f"/epcis/v2/events?EQ_action=OBSERVE&perPage=3&nextPageToken={token}").status_code == 200
    other = world.client.get(f"/epcis/v2/events?EQ_action=ADD&nextPageToken={token}")
    problem(other, 400, "QueryParameterException")


def test_a_page_ends_before_it_grows_too_large(world, monkeypatch):
    monkeypatch.setattr("shipments.epcis.query.PAGE_BYTES", 1_500)
    answer = world.get("events")
    assert 0 < len(numbers(answer)) < 5
    assert "Link" in answer


def test_types_are_listed(world):
    answer = world.get("eventTypes").json()
    assert answer["type"] == "Collection"
    assert {"ObjectEvent", "AssociationEvent", "example:InventoryEvent"} <= set(answer["member"])


# Headers and doors --------------------------------------------------------------------------------------------------


def test_every_answer_tells_version_and_form(world):
    for answer in (world.get("events"), world.get("capture"), world.get("nothing"), world.post("events", b"{")):
        assert (answer["GS1-EPCIS-Version"], answer["GS1-CBV-Version"]) == ("2.0.0", "2.0.0")
        assert answer["GS1-EPC-Format"] == answer["GS1-CBV-XML-Format"] == "Never_Translates"
    offered = world.client.options("/epcis/v2/capture")
    assert (offered.status_code, offered["Allow"]) == (204, "GET, POST, HEAD, OPTIONS")
    assert offered["GS1-Capture-Error-Behaviour"] == "rollback"
    assert (offered["GS1-EPCIS-Capture-Limit"], offered["GS1-EPCIS-Version"]) == ("10000", "2.0.0")


@pytest.mark.parametrize(
    "headers",
    [
        {"GS1-EPCIS-Version": "1.2.0"},
        {"GS1-CBV-Version": "1.2"},
        {"GS1-EPC-Format": "Always_EPC_URN"},
        {"GS1-CBV-XML-Format": "Always_URN"},
        {"Accept": "application/xml"},
    ],
)
def test_what_is_not_offered_is_said(world, headers):
    problem(world.get("events", None, **headers), 406, "NotAcceptableException")


def test_what_is_offered_can_be_asked_for(world):
    headers = {"GS1-EPCIS-Version": "2.0.0", "GS1-EPC-Format": "No_Preference", "Accept": "application/ld+json"}
    answer = world.get("events", None, **headers)
    assert (answer.status_code, answer["Content-Type"]) == (200, "application/ld+json")
    assert world.get("events", None, Accept="text/html,*/*;q=0.8")["Content-Type"] == "application/json"


def test_who_may_capture_and_who_may_ask(world):
    stranger = Client()
    for address in ("events", "capture", "eventTypes", "nothing"):
        answer = stranger.get(f"/epcis/v2/{address}")
        problem(answer, 401, "SecurityException")
        assert answer["WWW-Authenticate"] == "Bearer"
    problem(Client(headers={"Authorization": "Bearer made-up"}).get("/epcis/v2/events"), 401, "SecurityException")
    for role, reads, captures in (
        (Role.OPERATOR, 200, 403),
        (Role.OFFICER, 200, 403),
        (Role.AUDITOR, 200, 403),
        (Role.ADMINISTRATOR, 200, 202),
        (Role.WITNESS, 403, 403),
    ):
        somebody = Partner(role)
        assert somebody.get("events").status_code == reads
        assert somebody.client.head("/epcis/v2/capture").status_code == (200 if captures == 202 else 403)
        answer = somebody.post("capture", document(event(50)))
        assert answer.status_code == captures
        if captures == 403:
            problem(answer, 403, "SecurityException")
            problem(somebody.post("events", bare(51)), 403, "SecurityException")
            problem(somebody.get("capture"), 403, "SecurityException")


def test_a_session_captures_with_its_token_against_forgery_alone(db):
    user = User.objects.create_user("sue", password="sue's password", role=Role.SUPERVISOR)
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(user)
    assert browser.get("/epcis/v2/events").status_code == 200
    forged = browser.post("/epcis/v2/events", as_bytes(bare(1)), content_type="application/json")
    problem(forged, 403, "SecurityException")
    assert not EpcisEvent.objects.exists()


def test_other_methods_and_addresses_are_problems(world):
    assert problem(world.client.delete("/epcis/v2/events"), 405, "ValidationException")
    problem(world.get("topLevel"), 404, "NoSuchResourceException")


_ASKED = ("EQ_bizStep", "MATCH_epc", "MATCH_anyEPC", "GE_eventTime", "perPage", "nextPageToken", "EQ_bizTransaction_x")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    parameters=st.dictionaries(st.sampled_from(_ASKED) | st.text(max_size=8), st.text(max_size=30), max_size=3),
    body=st.binary(max_size=60),
)
def test_nothing_that_is_asked_or_sent_breaks_the_server(partner, parameters, body):
    # The test client answers an exception of the server's by raising it here.
    assert partner.get("events", parameters).status_code in (200, 400)
    # An empty body has no type.
    assert partner.post("events", body).status_code in (400, 415)
    assert partner.post("capture", body).status_code in (400, 415)
