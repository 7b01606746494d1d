"""The readers' address over HTTP: who may post, what is too much, and what comes back."""

import gzip
import hashlib
import json
import time
import uuid
import zlib

import pytest
from django.db import transaction
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shipments.models import QuarantinedEvent, RawReport, ReaderCredential, TagRead
from shipments.reader_credentials import authenticate, issue_credential, revoke_credential
from shipments.report_body import MAX_BODY
from tests.shipments.conftest import PostingReader, item_epc
from tests.shipments.test_readers import IMPINJ_EVENT

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.shipments.urls")]

BODY = json.dumps([IMPINJ_EVENT]).encode()


def test_a_reader_posts_and_gets_counts(posting) -> None:
    answer = posting.post(BODY)
    assert answer.status_code == 200
    assert answer.json() == {
        "reads_new": 1,
        "reads_known": 0,
        "quarantined": 0,
        "gaps": 0,
        "heartbeat": False,
        "redelivered": False,
        "dialect": "impinj",
        "faults": [],
    }
    assert answer.cookies == {}
    assert TagRead.objects.get().epc_hex == "3074257BF7194E4000001A85"


def test_a_poison_event_is_no_reason_to_retry(posting) -> None:
    answer = posting.post(json.dumps([IMPINJ_EVENT, {"eventType": "tagInventory"}]).encode())
    assert answer.status_code == 200
    assert (answer.json()["reads_new"], answer.json()["quarantined"]) == (1, 1)
    assert answer.json()["faults"][0]["reason"] == "event_body_missing"
    assert QuarantinedEvent.objects.get().reason == "event_body_missing"


@pytest.mark.parametrize(
    "headers",
    [
        {"Accept": "text/html"},
        {"Accept": "application/x-impinj"},
        {"Accept": "rubbish"},
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "multipart/form-data"},
        {"Content-Type": ""},
    ],
)
def test_whatever_headers_a_reader_sends_its_report_is_taken(posting, headers) -> None:
    kind = headers.pop("Content-Type", "application/json")
    answer = posting.client.post(
        posting.address,
        data=BODY,
        content_type=kind,
        headers={"Authorization": posting.authorization(), **headers},
    )
    assert (answer.status_code, answer.json()["reads_new"]) == (200, 1)
    assert answer["Content-Type"] == "application/json"


def test_a_csrf_token_is_not_asked_for(posting) -> None:
    posting.client = Client(enforce_csrf_checks=True)
    assert posting.post(BODY).status_code == 200


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "Basic",
        "Basic ",
        "Basic ====",
        "Basic not base64!",
        "Basic bm9jb2xvbg==",  # no colon
        "Basic /////w==",  # not UTF-8
        "Basic bmFtZQA6cGFzcw==",  # a NUL in the name
        "Basic Og==",  # both empty
        "Basic " + "QQ" * 5_000,
        "Bearer reader",
        "Digest username=reader",
    ],
)
def test_no_reader_behind_the_header(posting, authorization) -> None:
    answer = posting.post(BODY, authorization=authorization)
    assert answer.status_code == 401
    assert answer["WWW-Authenticate"].startswith("Basic ")
    assert answer.json()["sentence"]
    assert RawReport.objects.count() == 0


def test_a_wrong_password_or_name(posting) -> None:
    for told in (
        posting.authorization(password="wrong"),
        posting.authorization(password=""),
        posting.authorization(username="reader-unknown"),
        posting.authorization(username=posting.username.upper()),
        posting.authorization(password=posting.password + "x"),
    ):
        answer = posting.post(BODY, authorization=told)
        assert (answer.status_code, answer.json()["code"]) == (401, "reader_credential_refused")


def test_a_revoked_credential_is_refused_at_once_and_another_still_serves(posting, reader) -> None:
    second = PostingReader(reader)
    revoke_credential(username=posting.username)
    assert posting.post(BODY).status_code == 401
    assert second.post(BODY).status_code == 200


def test_a_reader_that_is_switched_off(posting, reader) -> None:
    reader.enabled = False
    reader.save()
    answer = posting.post(BODY)
    assert answer.status_code == 401
    assert "switched off" in answer.json()["sentence"]


def test_a_credential_of_another_reader(posting, other_reader) -> None:
    answer = posting.post(BODY, address=f"/api/v1/readers/{other_reader.pk}/events")
    assert (answer.status_code, answer.json()["code"]) == (403, "reader_mismatch")
    answer = posting.post(BODY, address=f"/api/v1/readers/{uuid.uuid4()}/events")
    assert answer.status_code == 403
    assert RawReport.objects.count() == 0


def test_the_password_is_shown_once_and_never_stored(reader) -> None:
    username, password = issue_credential(reader=reader)
    row = ReaderCredential.objects.get(username=username)
    assert password not in str(row.__dict__)
    assert len(password) >= 26  # 160 bits
    assert authenticate(username, password) == reader


def test_a_digest_moved_to_another_row_opens_nothing(reader, other_reader) -> None:
    username, password = issue_credential(reader=reader)
    other_name, _ = issue_credential(reader=other_reader)
    stolen = ReaderCredential.objects.get(username=username).digest
    ReaderCredential.objects.filter(username=other_name).update(digest=stolen)
    assert authenticate(other_name, password) is None


@pytest.mark.parametrize(
    ("body", "reason"),
    [(b"", "empty"), (b"[", "not_json"), (b"\xff\xfe", "not_utf8"), (b"[" * 100_000, "too_deep"), (b"7", "not_events")],
)
def test_a_body_that_is_no_report(posting, body, reason) -> None:
    answer = posting.post(body)
    assert (answer.status_code, answer.json()["code"]) == (400, "report_unreadable")
    assert answer.json()["facts"]["reason"] == reason
    assert RawReport.objects.count() == 0


def test_a_body_over_the_cap(posting) -> None:
    answer = posting.post(b" " * (MAX_BODY + 1))
    assert (answer.status_code, answer.json()["code"]) == (413, "report_too_large")
    assert "16 MiB" in answer.json()["sentence"]


def test_a_body_of_exactly_the_cap(posting) -> None:
    assert posting.post(BODY + b" " * (MAX_BODY - len(BODY))).status_code == 200


@pytest.mark.parametrize("encoding", ["gzip", "x-gzip", "GZIP"])
def test_a_gzip_report_is_kept_unpacked(posting, encoding) -> None:
    answer = posting.post(gzip.compress(BODY), **{"Content-Encoding": encoding})
    assert (answer.status_code, answer.json()["reads_new"]) == (200, 1)
    assert bytes(RawReport.objects.get().body) == BODY


def test_a_gzip_report_in_several_members(posting) -> None:
    packed = gzip.compress(BODY[:40]) + gzip.compress(b"") + gzip.compress(BODY[40:])
    assert posting.post(packed, **{"Content-Encoding": "gzip"}).json()["reads_new"] == 1


def test_a_gzip_bomb(posting) -> None:
    began = time.monotonic()
    packer = zlib.compressobj(9, wbits=31)
    bomb = b"".join(packer.compress(b" " * (1 << 20)) for _ in range(200)) + packer.flush()
    built = time.monotonic() - began
    assert len(bomb) < 1 << 20
    began = time.monotonic()
    answer = posting.post(bomb, **{"Content-Encoding": "gzip"})
    assert (answer.status_code, answer.json()["code"]) == (413, "report_too_large")
    assert time.monotonic() - began < max(1.0, built)


@pytest.mark.parametrize(
    "packed",
    [
        b"",
        BODY,
        gzip.compress(BODY)[:-1],
        gzip.compress(BODY)[:20],
        gzip.compress(BODY) + b"rubbish",
        gzip.compress(b"") * 5_000,
        zlib.compress(BODY),
    ],
    ids=["empty", "plain", "cut", "cut early", "rubbish behind", "many members", "zlib"],
)
def test_what_says_gzip_and_is_not(posting, packed) -> None:
    answer = posting.post(packed, **{"Content-Encoding": "gzip"})
    assert answer.status_code == 400
    assert answer.json()["code"] in ("report_encoding_broken", "report_unreadable")
    assert RawReport.objects.count() == 0


def test_an_encoding_that_is_not_known(posting) -> None:
    answer = posting.post(BODY, **{"Content-Encoding": "br"})
    assert (answer.status_code, answer.json()["code"]) == (415, "report_encoding_unknown")


def test_only_post_is_answered(posting) -> None:
    answer = posting.client.get(posting.address, headers={"Authorization": posting.authorization()})
    assert answer.status_code == 405


def test_a_retry_after_a_lost_answer_changes_nothing(posting) -> None:
    body = json.dumps({"reads": [{"epc": item_epc(1), "read_at": 1795356300000}]}).encode()
    posting.post(body)
    again = posting.post(body)
    assert (again.status_code, again.json()["redelivered"], again.json()["reads_known"]) == (200, True, 1)
    assert TagRead.objects.count() == 1


TAKEN = [
    b'{"epc":"30","read_at":1795356300000}',
    b'{"epc":"30","read_at":1795356300001,"antenna":1,"rssi_cdbm":-5000}',
    b'{"epc":"30","epc":"31","read_at":1795356300000}',
    b'{"epc":"30","read_at":"2026-11-02T07:24:00.225324Z","tid":"E2"}',
    b'{"epc":"30","read_at":NaN}',
    b'{"epc":"\\u0000","read_at":1}',
    b'{"eventType":"overflow","overflowEvent":{}}',
    json.dumps(IMPINJ_EVENT).encode(),
]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.one_of(
        st.binary(max_size=80),
        st.text(max_size=40).map(lambda text: text.encode("utf-8", "surrogatepass")),
        st.lists(st.one_of(st.sampled_from(TAKEN), st.binary(max_size=6)), max_size=6).map(
            lambda parts: b"[" + b",".join(parts) + b"]"
        ),
        st.lists(st.sampled_from(TAKEN), max_size=6).map(b"\n".join),
        st.lists(st.sampled_from(TAKEN), max_size=6).map(lambda parts: b'{"reads":[' + b",".join(parts) + b"]}"),
    ),
    st.sampled_from(["plain", "packed", "cut", "said to be packed"]),
    st.sampled_from(["application/json", "", "text/\x01", "multipart/form-data", "application/json; charset=utf-16"]),
)
def test_any_bytes_are_stored_whole_or_refused_whole(posting, body: bytes, way: str, kind: str) -> None:
    sent = {"packed": gzip.compress(body), "cut": gzip.compress(body)[:-1]}.get(way, body)
    headers = {"Authorization": posting.authorization()} | ({} if way == "plain" else {"Content-Encoding": "gzip"})
    with transaction.atomic():
        # The test client raises what would be a 5xx.
        answer = posting.client.generic("POST", posting.address, sent, content_type=kind, headers=headers)
        told = answer.json()
        if answer.status_code == 200:
            report = RawReport.objects.get()
            assert bytes(report.body) == body
            assert report.sha256 == hashlib.sha256(body).hexdigest()
            assert report.reads.count() == TagRead.objects.count() == told["reads_new"]
            assert report.quarantined_events.count() == told["quarantined"] == QuarantinedEvent.objects.count()
            parts = told["reads_new"] + told["reads_known"] + told["quarantined"] + told["gaps"] + report.other_events
            assert parts == report.events
        else:
            assert answer.status_code == 400
            assert told["code"] in ("report_unreadable", "report_encoding_broken")
            assert (RawReport.objects.count(), TagRead.objects.count(), QuarantinedEvent.objects.count()) == (0, 0, 0)
        transaction.set_rollback(True)
