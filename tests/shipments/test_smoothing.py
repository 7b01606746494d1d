"""Smoothing: a lossy tag stays, a passing one is weak, one that leaves is noticed. Streams come from fixed seeds."""

import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipments.smoothing import (
    FAINT,
    FEW_READS,
    LONGEST_WINDOW,
    Policy,
    has_moved,
    needed_window,
    presences,
    weaknesses,
)

EPOCH_NS = 500 * 1_000_000
START_NS = 1_795_356_300_000_000_000 // EPOCH_NS * EPOCH_NS
FIVE_PER_CENT = Policy(delta_e4=500, epoch_ms=500)


def stream(epochs: int, rate: float, *, seed: int, first: int = 0) -> list[int]:
    """A tag that is read with the chance ``rate`` in each epoch, up to three times in one, and surely in the first."""
    dice = random.Random(seed)
    return [
        START_NS + (first + epoch) * EPOCH_NS + dice.randrange(EPOCH_NS)
        for epoch in range(epochs)
        if epoch == 0 or dice.random() < rate
        for _ in range(dice.randint(1, 3))
    ]


def at(epoch: int) -> int:
    return START_NS + epoch * EPOCH_NS


def test_one_read_is_enough_unless_something_else_is_set() -> None:
    assert weaknesses(Policy(), reads=1, rssi_cdbm=-9000) == ()
    assert presences([START_NS], policy=Policy(), until_ns=START_NS) == []


def test_a_tag_read_too_seldom_or_too_faintly_is_weak_and_told_why() -> None:
    policy = Policy(min_reads=3, min_rssi_cdbm=-7000)
    assert weaknesses(policy, reads=3, rssi_cdbm=-7000) == ()
    assert weaknesses(policy, reads=2, rssi_cdbm=-6000) == (FEW_READS,)
    assert weaknesses(policy, reads=40, rssi_cdbm=-7500) == (FAINT,)
    assert weaknesses(policy, reads=1, rssi_cdbm=-7500) == (FEW_READS, FAINT)


def test_a_reader_that_tells_no_strength_is_not_held_to_one() -> None:
    assert weaknesses(Policy(min_rssi_cdbm=-7000), reads=1, rssi_cdbm=None) == ()


@pytest.mark.parametrize(
    ("rate", "delta", "epochs"), [(1, 0.05, 3), (0.6, 0.05, 5), (0.5, 0.01, 10), (0.001, 0.05, LONGEST_WINDOW)]
)
def test_the_window_is_as_long_as_smurf_asks(rate: float, delta: float, epochs: int) -> None:
    assert needed_window(rate, delta) == epochs
    # What the bound means: silent that long, a tag that is there would be with a chance of at most delta.
    assert epochs == LONGEST_WINDOW or (1 - rate) ** epochs <= delta


def test_the_transition_is_two_standard_deviations() -> None:
    # Ten draws at 0.6: six expected, and 2·√(10·0.6·0.4) = 3.098.
    assert not has_moved(3, 10, 0.6)
    assert has_moved(2, 10, 0.6)
    assert not has_moved(10, 10, 0.6)


@pytest.mark.parametrize("seed", range(20))
def test_a_tag_read_in_60_per_cent_of_the_epochs_is_there_throughout(seed: int) -> None:
    times = stream(120, 0.6, seed=seed)
    found = presences(times, policy=Policy(delta_e4=10, epoch_ms=500), until_ns=max(times))
    assert [(stretch.first_ns, stretch.last_ns, stretch.gone_ns) for stretch in found] == [
        (min(times), max(times), None)
    ]


@pytest.mark.parametrize("rate", [0.3, 0.6, 0.9])
@pytest.mark.parametrize("seed", range(5))
def test_a_tag_that_leaves_is_noticed_within_the_window(rate: float, seed: int) -> None:
    times = stream(60, rate, seed=seed)
    found = presences(times, policy=FIVE_PER_CENT, until_ns=at(400))
    last = found[-1]
    assert last.last_ns == max(times)
    assert last.gone_ns is not None
    silent = (last.gone_ns - last.last_ns) / EPOCH_NS
    # Estimated from what was read, the rate lies near the true one; the window follows from it.
    assert silent <= 1 + needed_window(rate / 2, 0.05)


def test_a_tag_that_comes_back_was_there_twice() -> None:
    times = stream(20, 1, seed=1) + stream(20, 1, seed=2, first=60)
    first, second = presences(times, policy=FIVE_PER_CENT, until_ns=at(80))
    assert first.gone_ns is not None
    assert first.last_ns < first.gone_ns < second.first_ns == min(time for time in times if time >= at(60))
    assert second.gone_ns is None


def test_a_rate_that_drops_shortens_the_window() -> None:
    """A tag that was read in every epoch and falls silent is called gone sooner than the whole window would."""
    steady = presences(stream(40, 1, seed=3), policy=Policy(delta_e4=10, epoch_ms=500), until_ns=at(200))
    lossy = presences(stream(40, 0.5, seed=3), policy=Policy(delta_e4=10, epoch_ms=500), until_ns=at(200))

    def silent(found: list) -> float:
        return (found[-1].gone_ns - found[-1].last_ns) / EPOCH_NS

    # With the whole window it would be eight epochs.
    assert silent(steady) < needed_window(1, 0.001) < silent(lossy)


times_ns = st.lists(st.integers(0, 5_000).map(lambda tick: START_NS + tick * 20_000_000), min_size=1, max_size=60)
policies = st.builds(Policy, delta_e4=st.integers(1, 9_999), epoch_ms=st.sampled_from([50, 100, 500, 1_000, 5_000]))


@given(times=times_ns, policy=policies)
def test_every_read_lies_in_exactly_one_stretch(times: list[int], policy: Policy) -> None:
    found = presences(times, policy=policy, until_ns=max(times))
    for time in times:
        assert sum(stretch.first_ns <= time <= stretch.last_ns for stretch in found) == 1
    assert all({stretch.first_ns, stretch.last_ns} <= set(times) for stretch in found)
    for before, after in itertools.pairwise(found):
        assert before.gone_ns is not None
        assert before.last_ns < before.gone_ns <= after.first_ns
    assert found[-1].gone_ns is None


@given(times=times_ns, policy=policies, seed=st.integers())
def test_order_and_repetition_of_the_reads_change_nothing(times: list[int], policy: Policy, seed: int) -> None:
    shuffled = times + times[: len(times) // 2]
    random.Random(seed).shuffle(shuffled)
    until = max(times)
    assert presences(shuffled, policy=policy, until_ns=until) == presences(times, policy=policy, until_ns=until)


@given(times=times_ns, policy=policies, epochs=st.integers(-1_000, 1_000))
def test_the_same_stream_later_gives_the_same_stretches_later(times: list[int], policy: Policy, epochs: int) -> None:
    shift = epochs * policy.epoch_ms * 1_000_000

    def spans(moved: int) -> list[tuple[int, int]]:
        found = presences([time + moved for time in times], policy=policy, until_ns=max(times) + moved)
        return [(stretch.first_ns - moved, stretch.last_ns - moved) for stretch in found]

    assert spans(shift) == spans(0)


@given(
    reads=st.integers(1, 100),
    rssi=st.none() | st.integers(-9_000, -2_000),
    min_reads=st.integers(1, 100),
    min_rssi=st.none() | st.integers(-9_000, -2_000),
)
def test_more_reads_and_more_strength_never_make_a_tag_weaker(
    reads: int, rssi: int | None, min_reads: int, min_rssi: int | None
) -> None:
    policy = Policy(min_reads=min_reads, min_rssi_cdbm=min_rssi)
    before = set(weaknesses(policy, reads=reads, rssi_cdbm=rssi))
    after = set(weaknesses(policy, reads=reads + 1, rssi_cdbm=None if rssi is None else rssi + 100))
    assert after <= before
