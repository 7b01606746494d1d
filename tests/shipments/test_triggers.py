"""Gates that read by themselves: light barriers and door contacts open and end sessions, by rules of the read point."""

import json
import threading
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger import sweeps
from shipments.ingest import record_report
from shipments.models import ReadSession, SessionPurpose, TriggerEvent, TriggerOutcome, TriggerRule
from shipments.places import create_reader
from shipments.read_sessions import (
    ReadPointBusy,
    SessionNotOffered,
    SessionOfHandoff,
    end_read_session,
    freeze_read_session,
    offered_session,
    open_read_session,
    read_document,
    tags_seen,
    take_over_session,
)
from shipments.readers import custody_form, registry
from shipments.readers.report import Dialect, Parsed, Trigger, format_ns
from shipments.trigger_rules import TriggerExists, TriggerRefused, add_trigger_rule, retire_trigger_rule
from shipments.triggers import act_on_triggers, settle_triggers
from tests.shipments.conftest import item_epc
from tests.shipments.test_ingest import reads_body

pytestmark = pytest.mark.django_db

SECOND = 1_000_000_000
START_NS = 1_795_356_300 * SECOND


def edge(high: bool, second: float, *, port: int = 1) -> Trigger:
    at_ns = START_NS + int(second * SECOND)
    return Trigger(port=port, high=high, at_ns=at_ns, reader_time=format_ns(at_ns))


@pytest.fixture
def rule(door, reader) -> TriggerRule:
    """The light barrier at the dock: broken, it goes high."""
    return add_trigger_rule(read_point=door, reader=reader, port=1)


@pytest.fixture
def tell(reader):
    """Act on edges as if a report had just told of them."""

    def told(*triggers: Trigger, at: datetime | None = None) -> list[str]:
        events = act_on_triggers(reader=reader, triggers=triggers, received_at=at or datetime.now(tz=UTC))
        return [event.outcome for event in events]

    return told


def sessions(door) -> list[ReadSession]:
    return list(ReadSession.objects.filter(read_point=door).order_by("opened_at"))


# Opening and closing


def test_a_light_barrier_opens_a_session_and_ends_it(door, reader, rule, tell, receive) -> None:
    assert tell(edge(True, 0)) == ["opened"]
    receive(reads_body((1, 0), (2, 0)))
    assert tell(edge(False, 8)) == ["closed"]
    (session,) = sessions(door)
    assert (session.purpose, session.opened_by) == (SessionPurpose.PASSAGE, None)
    document = read_document(session=session)
    assert [tag["epc"] for tag in document["tags"]] == [item_epc(1), item_epc(2)]
    told = {"reader": reader.pk.urn, "port": 1}
    assert document["opened_by"] == told | {"level": "high", "at": "2026-11-22T14:05:00.000000000Z"}
    assert document["frozen_by"] == told | {"level": "low", "at": "2026-11-22T14:05:08.000000000Z"}
    assert document["purpose"] == "passage"


def test_an_input_without_a_rule_does_nothing(door, rule, tell) -> None:
    assert tell(edge(True, 0, port=2)) == []
    assert sessions(door) == []


def test_a_retired_rule_does_nothing_and_another_may_take_its_input(door, reader, rule, tell) -> None:
    retire_trigger_rule(rule=rule)
    assert tell(edge(True, 0)) == []
    add_trigger_rule(read_point=door, reader=reader, port=1, on_high="close", on_low="open")
    assert tell(edge(True, 1), edge(False, 2)) == ["nothing", "opened"]


def test_a_reader_that_was_moved_opens_no_gate_where_it_stood(door, other_door, reader, rule, tell) -> None:
    reader.read_point = other_door
    reader.save()
    assert tell(edge(True, 0)) == []
    assert not ReadSession.objects.exists()


def test_two_inputs_may_share_the_work(door, reader, tell) -> None:
    add_trigger_rule(read_point=door, reader=reader, port=1, on_high="open", on_low="nothing")
    add_trigger_rule(read_point=door, reader=reader, port=2, on_high="close", on_low="nothing")
    assert tell(edge(True, 0), edge(False, 1), edge(True, 5, port=2)) == ["opened", "nothing", "closed"]


def test_one_report_may_tell_of_a_whole_passage(door, rule, tell) -> None:
    assert tell(edge(False, 8), edge(True, 0)) == ["opened", "closed"]  # by their own times
    (session,) = sessions(door)
    assert session.frozen_at is not None


def test_the_same_edge_sent_again_changes_nothing(door, rule, tell) -> None:
    tell(edge(True, 0))
    tell(edge(False, 8))
    assert tell(edge(True, 0), edge(False, 8)) == []
    assert len(sessions(door)) == 1


def test_the_other_edge_of_a_gate_that_reads_already_opens_no_second_session(door, rule, tell) -> None:
    assert tell(edge(True, 0), edge(True, 3)) == ["opened", "busy"]
    assert len(sessions(door)) == 1


# Bouncing and old edges


def test_a_contact_that_bounces_opens_one_session(door, rule, tell) -> None:
    assert tell(edge(True, 0), edge(False, 0.02), edge(True, 0.05)) == ["opened", "bounced", "bounced"]
    assert settle_triggers(now=timezone.now() + timedelta(seconds=2)) == 0
    (session,) = sessions(door)
    assert session.frozen_at is None


def test_a_bounce_that_stays_counts_after_the_gap(door, rule, tell) -> None:
    tell(edge(True, 0), edge(False, 0.2))
    assert settle_triggers() == 0  # it may still go back
    assert settle_triggers(now=timezone.now() + timedelta(seconds=2)) == 1
    (session,) = sessions(door)
    assert session.frozen_at is not None
    assert settle_triggers(now=timezone.now() + timedelta(seconds=4)) == 0


def test_an_edge_older_than_what_was_acted_on_is_late(door, rule, tell) -> None:
    assert tell(edge(True, 10)) == ["opened"]
    assert tell(edge(False, 5)) == ["late"]
    (session,) = sessions(door)
    assert session.frozen_at is None


def test_a_reader_whose_clock_was_put_back_an_hour_still_opens_its_gate(door, rule, tell) -> None:
    assert tell(edge(True, 3600), edge(False, 3610)) == ["opened", "closed"]
    assert tell(edge(True, 20)) == ["opened"]


# The time limit


def test_a_session_nobody_ends_ends_by_its_limit(door, reader, tell) -> None:
    add_trigger_rule(read_point=door, reader=reader, port=1, longest_s=60)
    tell(edge(True, 0), at=timezone.now() - timedelta(seconds=59))
    assert settle_triggers() == 0
    assert settle_triggers(now=timezone.now() + timedelta(seconds=2)) == 1
    (session,) = sessions(door)
    assert session.frozen_at is not None
    assert "frozen_by" not in read_document(session=session)


def test_the_limit_holds_for_a_rule_that_was_retired_meanwhile(door, rule, tell) -> None:
    tell(edge(True, 0))
    retire_trigger_rule(rule=rule)
    assert settle_triggers(now=timezone.now() + timedelta(hours=1)) == 1


def test_the_limit_is_part_of_each_sweep(door, rule, tell) -> None:
    tell(edge(True, 0), at=timezone.now() - timedelta(hours=1))
    sweeps._done_at.pop("triggers", None)
    sweeps.sweep()
    (session,) = sessions(door)
    assert session.frozen_at is not None


# Beside operators


def test_a_trigger_neither_opens_beside_nor_ends_what_an_operator_reads(door, rule, tell, beto) -> None:
    session = open_read_session(read_point=door, opened_by=beto)
    assert tell(edge(True, 0), edge(False, 5)) == ["busy", "busy"]
    session.refresh_from_db()
    assert session.frozen_at is None
    assert settle_triggers(now=timezone.now() + timedelta(days=1)) == 0


def test_an_operator_who_reads_anew_leaves_the_gates_session_as_a_record(door, rule, tell, beto, receive) -> None:
    tell(edge(True, 0))
    receive(reads_body((1, 0)))
    mine = open_read_session(read_point=door, opened_by=beto)
    receive(reads_body((2, 0)))
    passed, _mine = sessions(door)
    assert [tag.epc_hex for tag in tags_seen(session=passed)] == [item_epc(1)]
    assert [tag.epc_hex for tag in tags_seen(session=mine)] == [item_epc(2)]


def test_a_session_taken_over_is_ended_by_its_operator_alone(door, rule, tell, beto, receive) -> None:
    tell(edge(True, 0))
    receive(reads_body((1, 0)))
    taken = take_over_session(session=offered_session(door), by=beto)
    assert tell(edge(False, 8)) == ["busy"]
    assert settle_triggers(now=timezone.now() + timedelta(days=1)) == 0
    with pytest.raises(SessionOfHandoff):
        end_read_session(session=taken)
    frozen = freeze_read_session(session=taken)
    document = read_document(session=frozen)
    assert document["taken_over"]["operator"] == beto.pk.urn
    assert document["opened_by"]["port"] == 1
    assert document["purpose"] == "handoff"


def test_what_ended_lately_is_offered_once_and_what_is_old_is_not(door, rule, tell, beto) -> None:
    assert offered_session(door) is None
    tell(edge(True, 0), edge(False, 8))
    session = offered_session(door)
    assert take_over_session(session=session, by=beto).pk == session.pk
    assert offered_session(door) is None
    with pytest.raises(SessionNotOffered):
        take_over_session(session=session, by=beto)
    tell(edge(True, 20), edge(False, 28))
    ReadSession.objects.filter(purpose=SessionPurpose.PASSAGE).update(
        opened_at=timezone.now() - timedelta(minutes=20), frozen_at=timezone.now() - timedelta(minutes=16)
    )
    assert offered_session(door) is None


def test_reports_of_the_session_before_are_counted_no_second_time(door, rule, tell, beto, receive) -> None:
    """A trigger's session begins when its report came, which may be before the session ahead of it was frozen."""
    came = timezone.now()
    session = open_read_session(read_point=door, opened_by=beto)
    receive(reads_body((1, 0)))
    freeze_read_session(session=session)
    tell(edge(True, 0), at=came)
    gate = offered_session(door)
    assert tags_seen(session=gate) == []
    assert tags_seen(session=freeze_read_session(session=gate)) == []


# Rules


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"port": -1}, "0 to 32,767"),
        ({"on_high": "nothing", "on_low": "nothing"}, "say what the input does"),
        ({"on_high": "explode"}, "say what the input does"),
        ({"longest_s": 0}, "one second to a day"),
        ({"min_gap_ms": 60_001}, "60,000 milliseconds"),
    ],
)
def test_a_rule_that_cannot_be_is_refused_with_the_reason(door, reader, change, problem) -> None:
    with pytest.raises(TriggerRefused) as refused:
        add_trigger_rule(read_point=door, reader=reader, **({"port": 1} | change))
    assert problem in refused.value.sentence


def test_a_reader_that_stands_elsewhere_triggers_nothing_here(door, other_reader) -> None:
    with pytest.raises(TriggerRefused, match="another read point"):
        add_trigger_rule(read_point=door, reader=other_reader, port=1)


def test_one_rule_for_each_input(door, reader, rule) -> None:
    with pytest.raises(TriggerExists, match="Input 1 of impinj-14-2f-f4"):
        add_trigger_rule(read_point=door, reader=reader, port=1)
    add_trigger_rule(read_point=door, reader=create_reader(read_point=door, name="second"), port=1)


# Whatever the edges: at most one open session, and the level that stays is what counts


steps = st.lists(st.tuples(st.booleans(), st.integers(0, 4_000)), min_size=1, max_size=8)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=steps)
def test_any_run_of_edges_ends_as_the_input_stands(door, reader, steps) -> None:
    # The same database for each example: another input each time.
    port = TriggerRule.objects.count() + 1
    rule = add_trigger_rule(read_point=door, reader=reader, port=port)
    at, edges = 0.0, []
    for high, gap_ms in steps:
        at += (gap_ms + 1) / 1_000
        edges.append(edge(high, at, port=port))
    for one in edges:
        act_on_triggers(reader=reader, triggers=[one], received_at=timezone.now())
    settle_triggers(now=timezone.now() + timedelta(seconds=5))
    reading = ReadSession.objects.filter(read_point=door, frozen_at=None)
    assert reading.count() == int(edges[-1].high)
    settle_triggers(now=timezone.now() + timedelta(hours=1))
    assert not reading.exists()
    retire_trigger_rule(rule=rule)


# The whole way over HTTP


@pytest.fixture
def telling_dialect(monkeypatch):
    """A stand-in dialect whose reports tell of inputs: ``{"gpi": …}`` beside the reads of our own form."""

    def read_event(value, parsed: Parsed) -> None:
        if "gpi" in value:
            at_ns = START_NS + value["second"] * SECOND
            parsed.triggers.append(Trigger(value["gpi"], value["high"], at_ns, format_ns(at_ns)))
        else:
            custody_form.read_event(value, parsed)

    stand_in = Dialect("stand-in", lambda value: isinstance(value, dict) and "gpi" in value, read_event)
    monkeypatch.setattr(registry, "DIALECTS", {"stand-in": stand_in} | registry.DIALECTS)


def test_a_posted_report_opens_and_ends_a_session_with_its_own_reads(telling_dialect, posting, door, rule) -> None:
    read = {"epc": item_epc(1), "read_at": 1795356300000}
    assert posting.post(json.dumps([{"gpi": 1, "high": True, "second": 0}, read]).encode()).status_code == 200
    gate = offered_session(door)
    assert [tag.epc_hex for tag in tags_seen(session=gate)] == [item_epc(1)]
    late = {"epc": item_epc(2), "read_at": 1795356304000}
    body = json.dumps([{"gpi": 1, "high": False, "second": 8}, late]).encode()
    for _delivery in range(2):
        assert posting.post(body).status_code == 200
    gate.refresh_from_db()
    assert [tag["epc"] for tag in read_document(session=gate)["tags"]] == [item_epc(1), item_epc(2)]
    assert [event.outcome for event in TriggerEvent.objects.order_by("id")] == ["opened", "closed"]


# At the same moment


@pytest.mark.django_db(transaction=True)
def test_a_gate_and_an_operator_who_open_at_once_leave_one_open_session(door, reader, beto) -> None:
    add_trigger_rule(read_point=door, reader=reader, port=1)
    for turn in range(6):
        barrier, failures = threading.Barrier(2), []

        def gate(turn: int = turn, barrier=barrier, failures=failures) -> None:
            try:
                barrier.wait(timeout=30)
                act_on_triggers(reader=reader, triggers=[edge(True, turn * 60)], received_at=timezone.now())
            except Exception as error:
                failures.append(error)
            finally:
                connection.close()

        def operator(barrier=barrier, failures=failures) -> None:
            try:
                barrier.wait(timeout=30)
                open_read_session(read_point=door, opened_by=beto)
            except Exception as error:
                failures.append(error)
            finally:
                connection.close()

        threads = [threading.Thread(target=gate), threading.Thread(target=operator)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=60)
        assert failures == []
        session = ReadSession.objects.get(read_point=door, frozen_at=None)
        assert session.opened_by == beto
        freeze_read_session(session=session)
    # Whichever came first, the operator reads; where it was the gate, what it read is kept.
    outcomes = set(TriggerEvent.objects.values_list("outcome", flat=True))
    assert outcomes <= {TriggerOutcome.OPENED, TriggerOutcome.BUSY}


@pytest.mark.django_db(transaction=True)
def test_a_gate_that_ends_while_reports_arrive_takes_whole_reports(door, reader, beto) -> None:
    add_trigger_rule(read_point=door, reader=reader, port=1)
    act_on_triggers(reader=reader, triggers=[edge(True, 0)], received_at=timezone.now())
    failures: list[Exception] = []
    started = threading.Event()

    def post(part: int) -> None:
        try:
            for start in range(0, 120, 10):
                body = reads_body(*[(serial, 1_000 * part + start) for serial in range(start, start + 10)])
                record_report(reader=reader, body=body, content_type="", received_at=timezone.now())
                started.set()
        except Exception as error:
            failures.append(error)
            started.set()
        finally:
            connection.close()

    threads = [threading.Thread(target=post, args=(part,)) for part in range(3)]
    for thread in threads:
        thread.start()
    started.wait(timeout=30)
    act_on_triggers(reader=reader, triggers=[edge(False, 9)], received_at=timezone.now())
    for thread in threads:
        thread.join(timeout=60)
    assert failures == []
    (session,) = sessions(door)
    document = read_document(session=session)
    assert session.reports.count() == len(document["reports"]) >= 1
    assert sum(tag["reads"] for tag in document["tags"]) == 10 * len(document["reports"])


def test_an_operators_check_keeps_the_gate_out_and_says_what_reads_there(door, beto) -> None:
    open_read_session(read_point=door, opened_by=beto, purpose=SessionPurpose.CHECK)
    with pytest.raises(ReadPointBusy, match="reading to check goods"):
        open_read_session(read_point=door, opened_by=beto)
