"""Several processes, depths and sittings reach the verdict that one reaches at once."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.tlog import subject_heads, verify, worker_pool
from ledger.tlog.entry_facts import Examiner, Fault
from ledger.tlog.errors import StateNotUsable
from ledger.tlog.policy import Policy
from ledger.tlog.verify import Cancelled, verify_entries, verify_source
from tests.ledger.tlog.test_verify import FORGED, LOG, LONG, POLICY, head_over, make_log
from tests.ledger.tlog.test_verify_policy import NEW, ORIGIN, THIRD, Log
from tests.ledger.tlog.test_verify_policy import POLICY as ROTATED


def source(notes):
    return lambda first: iter(notes[first:])


def long_log() -> Log:
    log = Log()
    for n in range(1, 60):
        log.seal(n * n % 7 + 1)
        if n == 20:
            log.rotate(NEW)
        if n == 23:
            log.epoch()
        if n == 40:
            log.rotate(THIRD)
    return log.epoch().seal()


TURNED = long_log()


@pytest.fixture
def small_chunks(monkeypatch):
    monkeypatch.setattr(worker_pool, "CHUNK_ENTRIES", 8)


@pytest.mark.parametrize("deep", [True, False])
def test_processes_reach_the_verdict_of_one(small_chunks, deep):
    random.seed(4)
    cases = [TURNED.notes]
    for _ in range(3):
        notes = [*TURNED.notes]
        at = random.randrange(len(notes))
        match random.randrange(4):
            case 0:
                del notes[at]
            case 1:
                notes[at] = notes[at].replace(b'"n":', b'"m":')
            case 2:
                notes[at], notes[at - 1] = notes[at - 1], notes[at]
            case 3:
                notes[at] = bytes(byte ^ (position == 40) for position, byte in enumerate(notes[at]))
        cases.append(notes)
    for notes in cases:
        asked = {"checkpoint": TURNED.checkpoint(), "policy": ROTATED, "deep": deep}
        alone = verify_source(source(notes), **asked)
        assert verify_source(source(notes), workers=2, **asked) == alone
        if notes is TURNED.notes:
            assert alone.intact


def test_a_worker_that_dies_loses_nothing(small_chunks, monkeypatch):
    monkeypatch.setattr(worker_pool, "_become_worker", _die)
    found = verify_source(source(LONG), checkpoint=head_over(LONG), policy=POLICY, workers=2)
    assert found == verify_entries(LONG, checkpoint=head_over(LONG), policy=POLICY)


def _die():
    os._exit(3)


@pytest.mark.parametrize("deep", [True, False])
@given(data=st.data())
@settings(deadline=None, max_examples=60)
def test_what_is_read_from_the_end_is_what_the_strict_reading_says(deep, data):
    note = data.draw(st.sampled_from([*LONG[:5], *FORGED, *TURNED.notes[18:26]]))
    start = data.draw(st.integers(0, len(note)))
    end = data.draw(st.integers(start, min(len(note), start + 3)))
    pieces = st.binary(max_size=3) | st.sampled_from([b" ", b"0", b"\\u00e9", b'"', b",", b"{}", b"1.0", b"-0", b"\t"])
    changed = note[:start] + data.draw(pieces) + note[end:]
    examiner = Examiner(ORIGIN, [LOG.verifier, NEW.verifier], deep=deep)
    found, strict = examiner.facts(changed), examiner._strictly(changed)
    if deep or not isinstance(strict, Fault):
        assert _told(found) == _told(strict if deep else strict._replace(named=(), signer=found.signer))


def _told(facts):
    return (facts.check, facts.expected, facts.found) if isinstance(facts, Fault) else tuple(facts)


@pytest.mark.parametrize(
    "body",
    [
        '{"a":1.5}', '{"a":9007199254740992}', '{"a":-9007199254740992}', '{"é":1}', '{"a":NaN}', '{"b":1,"a":2}',
        '{"a":1,"a":1}', '{"a":"\\u0041"}', '{"a": 1}', '{"a":-0}', '{"a":1e3}', '{"a":"\\ud800"}', '{"a":"\\/"}',
        '{"a":' + "[" * 33 + "]" * 33 + "}", '{"a":' + "9" * 5000 + "}", '{"a":Infinity}', '{"a":[1,9007199254740993]}',
        '{"a":{"x":{"é":1}}}',
    ],
)  # fmt: skip
def test_no_body_that_the_format_refuses_is_let_through(body):
    text = LONG[1].decode().partition("\n\n")[0]
    start, end = len('{"body":'), text.index(',"index":')
    data = f"{text[:start]}{body}{text[end:]}\n"
    changed = data.encode() + b"\n" + LOG.sign(data).line().encode()
    found = verify_entries([LONG[0], changed], checkpoint=None, policy=POLICY)
    assert (found.check, found.broken_at) == ("format", 1)


def test_memory_is_bounded_and_the_chains_are_whole_where_heads_spill(monkeypatch):
    monkeypatch.setattr(subject_heads.SubjectHeads.__init__, "__kwdefaults__", {"in_memory": 2})
    log = long_log()
    assert log.verdict(ROTATED).intact
    assert log.verdict(ROTATED) == TURNED.verdict(ROTATED)
    repeated = make_log([0, 1, 2, 3, 4]) + make_log([0, 1, 2, 3, 4, 1])[5:]
    assert verify_entries(repeated, checkpoint=head_over(repeated), policy=POLICY).intact


@pytest.fixture
def saved_often(monkeypatch):
    monkeypatch.setattr(verify, "PROGRESS_EVERY", 5)
    monkeypatch.setattr(verify, "SAVE_EVERY", 10)


class Stopped(Exception):
    pass


def until(notes, stop, read):
    def source(first):
        read.append(first)
        for index in range(first, len(notes)):
            if index == stop:
                raise Stopped
            yield notes[index]

    return source


@pytest.mark.parametrize("deep", [True, False])
@pytest.mark.parametrize("stop", [3, 10, 22, 24, 37, 61])
def test_a_verification_goes_on_where_it_was_last_saved(saved_often, tmp_path, deep, stop):
    asked = {"checkpoint": TURNED.checkpoint(), "policy": ROTATED, "deep": deep, "state": tmp_path / "state"}
    read: list[int] = []
    with pytest.raises(Stopped):
        verify_source(until(TURNED.notes, stop, read), **asked)
    found = verify_source(until(TURNED.notes, None, read), **asked)
    assert found == verify_source(source(TURNED.notes), **asked | {"state": None})
    assert found.intact
    assert read == [0, stop // 10 * 10]
    assert list(tmp_path.iterdir()) == []


def test_what_changed_behind_the_place_where_it_stopped_is_still_found(saved_often, tmp_path):
    asked = {"checkpoint": head_over(LONG), "policy": POLICY, "state": tmp_path / "state"}
    with pytest.raises(Stopped):
        verify_source(until(LONG, 40, []), **asked)
    found = verify_source(source([*LONG[:50], *LONG[51:]]), **asked)
    assert (found.check, found.broken_at) == ("index", 50)


def test_another_policy_or_depth_begins_anew(saved_often, tmp_path):
    asked = {"checkpoint": head_over(LONG), "policy": POLICY, "deep": False, "state": tmp_path / "state"}
    for other in ({"deep": True}, {"policy": Policy.pin(LOG.name, LOG.vkey, NEW.vkey)}):
        with pytest.raises(Stopped):
            verify_source(until(LONG, 40, []), **asked)
        read: list[int] = []
        assert verify_source(until(LONG, None, read), **asked | other).intact
        assert read == [0]


def test_a_cancelled_verification_keeps_how_far_it_came(saved_often, tmp_path):
    asked = {"checkpoint": head_over(LONG), "policy": POLICY, "state": tmp_path / "state"}
    heard: list[int] = []
    with pytest.raises(Cancelled):
        verify_source(source(LONG), on_progress=heard.append, cancelled=lambda: 25 in heard, **asked)
    assert heard[-1] == 25
    read: list[int] = []
    assert verify_source(until(LONG, None, read), **asked).intact
    assert read == [25]


@pytest.mark.parametrize("content", [b"not a database at all, but somebody's text" * 40, None])
def test_a_file_of_another_kind_is_not_written_over(tmp_path, content):
    file = tmp_path / "notes.txt"
    if content is None:
        import sqlite3

        database = sqlite3.connect(file)
        database.execute("CREATE TABLE mine (x)")
        database.close()
    else:
        file.write_bytes(content)
    before = file.read_bytes()
    with pytest.raises(StateNotUsable):
        verify_source(source(LONG), checkpoint=None, policy=POLICY, state=file)
    assert file.read_bytes() == before


def test_killed_at_any_time_it_goes_on(tmp_path):
    program = (
        "import sys, pathlib\n"
        "from ledger.tlog import verify\n"
        "from tests.ledger.tlog.test_verify import LONG, POLICY, head_over\n"
        "verify.PROGRESS_EVERY, verify.SAVE_EVERY = 2, 2\n"
        "print('begun', flush=True)\n"
        "found = verify.verify_source(lambda first: iter(LONG[first:]), checkpoint=head_over(LONG), policy=POLICY,\n"
        "    state=pathlib.Path(sys.argv[1]))\n"
    )
    random.seed(9)
    for _ in range(2):
        run = subprocess.Popen(
            [sys.executable, "-c", program, tmp_path / "state"],
            cwd=Path(__file__).parents[3],
            stdout=subprocess.PIPE,
        )
        run.stdout.readline()
        time.sleep(random.random() * 0.1)
        run.send_signal(signal.SIGKILL)
        run.communicate()
    found = verify_source(source(LONG), checkpoint=head_over(LONG), policy=POLICY, state=tmp_path / "state")
    assert found == verify_entries(LONG, checkpoint=head_over(LONG), policy=POLICY)
