"""Timestamps of a real authority: what counts, and what a rewritten history cannot bring."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger.tlog import timestamp, verify
from ledger.tlog.errors import TimestampNotVerified
from ledger.tlog.policy import Policy
from ledger.tlog.timestamp import StampedCheckpoint, read_root, read_timestamp
from ledger.tlog.verify import verify_entries
from tests.ledger.tlog import test_verify_policy
from tests.ledger.tlog.test_verify_policy import NEW, OLD, ORIGIN, POLICY, Log
from tests.ledger.tsa import LocalAuthority


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return LocalAuthority(tmp_path_factory.mktemp("tsa"))


@pytest.fixture
def log(monkeypatch):
    """A log sealed a minute ago."""
    monkeypatch.setattr(test_verify_policy, "NOON", datetime.now(UTC) - timedelta(minutes=1))
    return Log().seal().seal().seal()


def policy(authority, within=None):
    return Policy(ORIGIN, POLICY.keys, timestamp_roots=(authority.root_der,), timestamp_within=within)


def stamped(authority, log, *signers):
    data = log.checkpoint(*signers)
    return StampedCheckpoint(data, authority.stamp(data))


def verdict(log, asked, *stamps, **more):
    return verify_entries(log.notes, checkpoint=log.checkpoint(), policy=asked, timestamps=stamps, **more)


def test_a_stamp_is_over_exactly_these_bytes_and_under_the_pinned_root(authority, tmp_path):
    response = authority.stamp(b"data")
    at = read_timestamp(response, b"data", roots=[read_root(authority.root_der)])
    assert abs(at - datetime.now(UTC)) < timedelta(minutes=5)
    other = LocalAuthority(tmp_path / "other")
    server = LocalAuthority(tmp_path / "server", purpose=ExtendedKeyUsageOID.SERVER_AUTH)
    for changed, data, root in (
        (response, b"date", authority),
        (response, b"data", other),
        (response + b"\0", b"data", authority),
        (response[:-1], b"data", authority),
        (b"", b"data", authority),
        (authority.answer(b"garbage"), b"data", authority),
        (response, b"data", server),
    ):
        with pytest.raises(TimestampNotVerified):
            read_timestamp(changed, data, roots=[read_root(root.root_der)])


@given(st.data())
@settings(deadline=None, max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_are_no_stamp_and_raise_nothing_else(authority, data):
    response = bytearray(authority_response(authority))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(response) - 1))
        response[at] ^= data.draw(st.integers(1, 255))
    # A few bytes of it are signed by nobody: then it still counts, and says a time.
    with suppress(TimestampNotVerified):
        assert read_timestamp(bytes(response), b"data", roots=[read_root(authority.root_der)]).tzinfo is not None


_responses: dict[int, bytes] = {}


def authority_response(authority):
    return _responses.setdefault(id(authority), authority.stamp(b"data"))


def test_stamps_that_fit_are_counted(authority, log):
    stamps = [stamped(authority, log)]
    log.rotate(NEW)
    stamps.append(stamped(authority, log, OLD, NEW))
    log.seal()
    stamps.append(stamped(authority, log))
    found = verdict(log, policy(authority), *stamps)
    assert (found.status, found.timestamps) == ("intact_unwitnessed", 3)
    # Without a pinned root there is nothing to check them by.
    assert verdict(log, POLICY, *stamps).timestamps == 0


def test_a_stamp_that_does_not_fit_breaks_the_verdict(authority, log, tmp_path):
    good = stamped(authority, log)
    stranger = LocalAuthority(tmp_path / "stranger")
    unsigned = log.checkpoint(NEW)
    for bad in (
        stamped(stranger, log),
        StampedCheckpoint(good.note, authority.stamp(b"else")),
        StampedCheckpoint(b"garbage", authority.stamp(b"garbage")),
        StampedCheckpoint(unsigned, authority.stamp(unsigned)),
        StampedCheckpoint(good.note, b"\x30\x00"),
    ):
        found = verdict(log, policy(authority), good, bad)
        assert (found.status, found.check, found.broken_at) == ("broken", "timestamp", None)
        assert found.sentence().startswith("Broken at a timestamp")


def test_a_history_written_anew_does_not_add_up_to_what_was_stamped(authority, log):
    before = stamped(authority, log)
    rewritten = Log().seal(5).seal(6).seal(7).seal(8)
    found = verdict(rewritten, policy(authority), before)
    assert (found.status, found.check) == ("broken", "timestamp_root")
    shorter = verdict(Log().seal(5), policy(authority), before)
    assert (shorter.status, shorter.check, shorter.broken_at) == ("incomplete", "timestamp_size", 2)


def test_entries_that_nobody_stamped_in_time_are_late(authority, log):
    stamp = stamped(authority, log)
    assert verdict(log, policy(authority, 3600), stamp).intact
    # A second within: entry 0 was sealed a minute before the stamp.
    late = verdict(log, policy(authority, 1), stamp)
    assert (late.status, late.check, late.broken_at) == ("broken", "timestamp_late", 0)
    # No stamp at all: entry 0 is two seconds older than the window that ends with the newest.
    assert verdict(log, policy(authority, 1)).broken_at == 0
    # All entries are younger than the window: they may still be stamped.
    assert verdict(log, policy(authority, 10)).intact


def test_where_nothing_reads_timestamps_the_verdict_says_so(authority, log, monkeypatch):
    monkeypatch.setattr(verify, "can_read", lambda: False)
    found = verdict(log, policy(authority), stamped(authority, log))
    assert found.intact
    assert (found.timestamps, found.timestamps_unchecked) == (0, 1)
    assert "1 timestamps were not checked" in found.sentence()
    demanded = verdict(log, policy(authority, 3600), stamped(authority, log))
    assert (demanded.status, demanded.check) == ("incomplete", "timestamp_unchecked")


def test_a_root_that_is_none_is_the_policys_fault(log):
    asked = Policy(ORIGIN, POLICY.keys, timestamp_roots=(b"garbage",))
    assert verdict(log, asked).check == "policy"
    assert timestamp.can_read()
