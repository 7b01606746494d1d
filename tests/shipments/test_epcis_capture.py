"""A captured document: all of it or nothing, or what can be kept; twice the same is once; a crash leaves no half."""

import json
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import IntegrityError, connection
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts.models import User
from refusals import Refusal
from shipments.epcis import capture
from shipments.epcis.capture import (
    DocumentRefused,
    EventExists,
    capture_document,
    capture_event,
    work_job,
    work_waiting,
)
from shipments.epcis.documents import DocumentTooLarge, DocumentUnreadable
from shipments.models import CaptureJob, EpcisEpc, EpcisEvent
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


@pytest.fixture
def sue(db) -> User:
    return User.objects.create_user("sue", role="supervisor")


def captured(sue, *events, behaviour="rollback", **changes) -> CaptureJob:
    job = capture_document(body=as_bytes(document(*events, **changes)), by=sue, error_behaviour=behaviour)
    work_job(job.pk)
    job.refresh_from_db()
    return job


def stored(identifier: str) -> dict:
    return json.loads(EpcisEvent.objects.get(event_id=identifier).document)


def test_a_document_is_kept_byte_for_byte_with_its_events(sue):
    body = b" " + as_bytes(document(*VALID.values())) + b"\n"
    job = capture_document(body=body, by=sue)
    assert (job.state, job.events, EpcisEvent.objects.count()) == ("waiting", len(VALID), 0)
    work_job(job.pk)
    job.refresh_from_db()
    assert bytes(job.body) == body
    assert (job.state, job.success, job.errors, job.stored_events) == ("finished", True, [], len(VALID))
    row = EpcisEvent.objects.get(event_id=VALID["object"]["eventID"], is_error=False)
    assert (row.type, row.action, row.biz_step, row.disposition) == (
        "ObjectEvent",
        "OBSERVE",
        "receiving",
        "in_progress",
    )
    assert row.event_time.isoformat() == "2026-11-22T20:00:01.500000+00:00"
    answered = json.loads(row.document)
    assert {name: answered[name] for name in VALID["object"]} == VALID["object"]
    assert answered["@context"] == [OWN_CONTEXT]


def test_what_an_event_is_found_by(sue):
    captured(sue, *VALID.values())
    roles = set(EpcisEpc.objects.values_list("role", "value"))
    assert {
        ("parent", SSCC_URN),
        ("parent", SSCC_LINK),
        ("child", item(1)),
        ("input", item(4)),
        ("output", item(5)),
    } <= roles
    own = EpcisEvent.objects.get(type="example:InventoryEvent")
    assert (own.biz_step, own.read_point, own.epcs.count()) == ("", "", 0)


def test_all_or_nothing(sue):
    job = captured(sue, event(1), event(2, action="LOOK"), event(3))
    assert (job.state, job.success, job.refused_events, job.stored_events) == ("finished", False, 1, 0)
    assert EpcisEvent.objects.count() == 0
    assert job.errors[0]["pointer"] == "/epcisBody/eventList/1/action"
    assert job.errors[0]["type"] == "epcisException:ValidationException"


def test_what_can_be_kept_is_kept_and_the_rest_is_listed(sue):
    wrong = [one for one, _pointer in INVALID.values()]
    job = captured(sue, event(1), *wrong, event(2), 7, None, behaviour="proceed")
    assert (job.success, job.stored_events, job.refused_events) == (False, 2, len(wrong) + 2)
    assert len(job.errors) == 20
    assert {row.event_id for row in EpcisEvent.objects.all()} == {event(1)["eventID"], event(2)["eventID"]}


@pytest.mark.parametrize("behaviour", ["rollback", "proceed"])
def test_an_event_that_is_here_already_is_named(sue, behaviour):
    captured(sue, event(1))
    job = captured(sue, event(2), event(1, disposition="active"), event(2), behaviour=behaviour)
    assert [error["type"] for error in job.errors] == ["epcisException:ResourceAlreadyExistsException"] * 2
    assert {error["pointer"][-2:] for error in job.errors} == {"/1", "/2"}
    assert EpcisEvent.objects.count() == (2 if behaviour == "proceed" else 1)
    assert stored(event(1)["eventID"])["disposition"] == "in_progress"


def test_an_error_declaration_repeats_the_identifier_once(sue):
    assert captured(sue, event(1), ERROR).success
    assert sorted(EpcisEvent.objects.values_list("event_id", "is_error")) == [
        (event(1)["eventID"], False),
        (event(1)["eventID"], True),
    ]
    assert not captured(sue, ERROR | {"disposition": "active"}).success


def test_the_same_bytes_are_one_capture_unless_it_failed(sue):
    body = as_bytes(document(event(1, eventID=None), event(2, eventID=None)))
    first = capture_document(body=body, by=sue)
    assert capture_document(body=body, by=sue) == first
    work_job(first.pk)
    assert capture_document(body=body, by=sue, error_behaviour="proceed") == first
    assert EpcisEvent.objects.count() == 2
    failing = as_bytes(document(event(9, action="LOOK"), event(8, eventID=None)))
    failed = capture_document(body=failing, by=sue, error_behaviour="proceed")
    work_job(failed.pk)
    again = capture_document(body=failing, by=sue, error_behaviour="proceed")
    assert again != failed
    work_job(again.pk)
    # The event without an identifier is the same one in both.
    assert EpcisEvent.objects.count() == 3


def test_an_event_alone_is_captured_at_once(sue):
    body = as_bytes(bare(1))
    row = capture_event(body=body, by=sue)
    assert (bytes(row.job.body), row.job.success, row.job.stored_events) == (body, True, 1)
    for again in (body, as_bytes(bare(1, disposition="active"))):
        with pytest.raises(EventExists):
            capture_event(body=again, by=sue)
    assert (EpcisEvent.objects.count(), CaptureJob.objects.count()) == (1, 1)
    capture_event(body=as_bytes({"@context": document()["@context"], **ERROR}), by=sue)
    assert EpcisEvent.objects.count() == 2


@pytest.mark.parametrize("name", INVALID)
def test_an_event_alone_that_the_standard_refuses_leaves_nothing(sue, name):
    wrong, _pointer = INVALID[name]
    with pytest.raises(DocumentRefused):
        capture_event(body=as_bytes({"@context": document()["@context"], **wrong}), by=sue)
    assert not CaptureJob.objects.exists()


def test_nobody_else_speaks_for_this_ledger(sue, settings):
    claim = {"https://custody.example/epcis/v1/entry": {"x": [settings.LEDGER_ORIGIN]}}
    with pytest.raises(DocumentRefused):
        capture_event(body=as_bytes(bare(1, **claim)), by=sue)
    assert "this ledger" in captured(sue, event(1, **claim)).errors[0]["detail"]
    assert captured(sue, event(1, **{"custody:entry": {"custody:origin": "other.example/custody"}})).success


def test_a_document_that_is_none_is_refused_at_once(sue):
    for body in (event(1), document(**{"@context": None}), document(type="EPCISQueryDocument"), [], 7):
        with pytest.raises(Refusal) as refused:
            capture_document(body=as_bytes(body), by=sue)
        assert refused.value.status == 400
    with pytest.raises(DocumentTooLarge):
        capture_document(body=as_bytes(document(*[{}] * 10_001)), by=sue)
    assert not CaptureJob.objects.exists()


def test_an_empty_list_is_a_capture_of_nothing(sue):
    assert captured(sue).success
    assert captured(sue, behaviour="proceed", sender="x").success


# Crashes and company --------------------------------------------------------------------------------------------------


class _Killed(BaseException):
    pass


@pytest.mark.parametrize("behaviour", ["rollback", "proceed"])
def test_a_worker_that_dies_leaves_what_the_sweep_finishes(sue, monkeypatch, behaviour):
    monkeypatch.setattr(capture, "CHUNK", 3)
    events = [event(number, eventID=None) for number in range(10)]
    job = capture_document(body=as_bytes(document(*events)), by=sue, error_behaviour=behaviour)
    calls = []

    def dying(indexed):
        calls.append(len(indexed))
        store(indexed)
        if len(calls) == (2 if behaviour == "proceed" else 1):
            raise _Killed

    store = capture.store_events
    monkeypatch.setattr(capture, "store_events", dying)
    with pytest.raises(_Killed):
        work_job(job.pk)
    assert EpcisEvent.objects.count() == (3 if behaviour == "proceed" else 0)
    monkeypatch.setattr(capture, "store_events", store)
    work_waiting()
    job.refresh_from_db()
    assert job.state == "running"  # it may still be at work
    CaptureJob.objects.update(claimed_at=timezone.now() - timedelta(minutes=6))
    work_waiting()
    job.refresh_from_db()
    assert (job.state, job.success, job.stored_events, EpcisEvent.objects.count()) == ("finished", True, 10, 10)


def test_a_worker_that_was_given_up_stores_nothing_any_more(sue, monkeypatch):
    job = capture_document(body=as_bytes(document(event(1))), by=sue)

    def overtaken(indexed):
        CaptureJob.objects.filter(pk=job.pk).update(claim=None)
        return indexed

    check = capture._check
    monkeypatch.setattr(capture, "_check", lambda *args: overtaken(check(*args)))
    work_job(job.pk)
    job.refresh_from_db()
    assert (job.state, EpcisEvent.objects.count()) == ("running", 0)


def test_a_fault_of_ours_is_not_tried_for_ever(sue, monkeypatch):
    job = capture_document(body=as_bytes(document(event(1))), by=sue)
    monkeypatch.setattr(capture, "_check", lambda *args: 1 / 0)
    for _attempt in range(6):
        CaptureJob.objects.filter(state="running").update(claimed_at=timezone.now() - timedelta(minutes=6))
        work_waiting()
    job.refresh_from_db()
    assert (job.state, job.success, job.attempts) == ("finished", False, 5)
    assert job.errors[0]["status"] == 500


def test_a_document_that_kills_its_workers_is_given_up(sue, monkeypatch):
    job = capture_document(body=as_bytes(document(event(1))), by=sue)

    def killed(*args):
        raise _Killed

    monkeypatch.setattr(capture, "_check", killed)
    for _attempt in range(5):
        CaptureJob.objects.filter(state="running").update(claimed_at=timezone.now() - timedelta(minutes=6))
        with pytest.raises(_Killed):
            work_waiting()
    CaptureJob.objects.update(claimed_at=timezone.now() - timedelta(minutes=6))
    work_waiting()
    job.refresh_from_db()
    assert (job.state, job.success, EpcisEvent.objects.count()) == ("finished", False, 0)


def test_an_event_that_arrives_between_look_up_and_insert_is_named(sue, monkeypatch):
    job = capture_document(body=as_bytes(document(event(1), event(2))), by=sue)
    store, raced = capture.store_events, []

    def losing(indexed):
        if not raced:
            raced.append(True)
            raise IntegrityError
        return store(indexed)

    monkeypatch.setattr(capture, "store_events", losing)
    work_job(job.pk)
    job.refresh_from_db()
    assert (job.success, EpcisEvent.objects.count()) == (True, 2)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("behaviour", ["rollback", "proceed"])
def test_the_same_event_twice_at_once_is_stored_once(sue, monkeypatch, behaviour):
    monkeypatch.setattr(capture, "_hint", lambda: None)
    jobs = [
        capture_document(
            body=as_bytes(document(event(1, disposition=word), event(number + 5))), by=sue, error_behaviour=behaviour
        )
        for number, word in enumerate(("active", "in_transit", "unknown", "damaged"))
    ]
    together = threading.Barrier(len(jobs), timeout=20)

    def work(job):
        try:
            together.wait()
            work_job(job.pk)
        finally:
            connection.close()

    with ThreadPoolExecutor(len(jobs)) as pool:
        list(pool.map(work, jobs))
    outcomes = list(CaptureJob.objects.values_list("state", "success"))
    assert sorted(outcomes) == [("finished", False)] * 3 + [("finished", True)]
    assert EpcisEvent.objects.filter(event_id=event(1)["eventID"]).count() == 1
    assert EpcisEvent.objects.count() == (2 if behaviour == "rollback" else 5)


@pytest.mark.django_db(transaction=True)
def test_a_capture_is_worked_right_after_its_commit(sue):
    job = capture_document(body=as_bytes(document(event(1))), by=sue)
    until = time.monotonic() + 20
    while time.monotonic() < until and CaptureJob.objects.get(pk=job.pk).state != "finished":
        time.sleep(0.05)
    assert CaptureJob.objects.get(pk=job.pk).success
    # The thread holds the database until it has closed its connection.
    while threading.active_count() > 1 and any(thread.name == "captures" for thread in threading.enumerate()):
        time.sleep(0.05)


def test_a_broker_is_told_that_there_is_something_to_do(sue, settings, monkeypatch):
    told = []
    settings.BROKER_URL = "memory://"
    monkeypatch.setattr(capture.current_app, "send_task", told.append)
    capture._hint()
    assert told == ["shipments.epcis.tasks.work_captures"]


# Anything at all ------------------------------------------------------------------------------------------------------

_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(["ObjectEvent", "a:b", "ADD"]),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(st.text(), inside, max_size=3),
    max_leaves=8,
)
_NAMES = st.sampled_from([*event(), "parentID", "childEPCs", "@context", "errorDeclaration", "ex:x", "recordTime"])


@st.composite
def _broken(draw):
    """A good event with some fields replaced by anything."""
    made = event(draw(st.integers(0, 3)))
    for name in draw(st.lists(_NAMES, max_size=3)):
        made[name] = draw(_JSON)
    return made


@settings(
    max_examples=int(os.environ.get("CUSTODY_EPCIS_EXAMPLES", 150)),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    events=st.lists(_broken() | _JSON, max_size=4),
    changes=st.dictionaries(st.sampled_from(["@context", "type", "sender", "epcisBody", "x:y"]), _JSON, max_size=1),
    behaviour=st.sampled_from(["rollback", "proceed"]),
)
def test_whatever_is_captured_is_stored_whole_or_refused_by_name(sue, events, changes, behaviour):
    EpcisEvent.objects.all().delete()
    CaptureJob.objects.all().delete()
    try:
        job = captured(sue, *events, behaviour=behaviour, **changes)
    except (DocumentRefused, DocumentUnreadable):
        assert not CaptureJob.objects.exists()
        return
    rows = EpcisEvent.objects.count()
    assert job.state == "finished"
    assert rows == job.stored_events
    assert job.success == (job.refused_events == 0) == (not job.errors)
    assert rows == (job.events - job.refused_events if job.success or behaviour == "proceed" else 0)
