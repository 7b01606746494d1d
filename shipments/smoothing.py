"""
Which of the tags read in a session count as seen, and when each of them was there. Pure: it takes reads and a policy.

Readers miss tags that are present, and hear tags that only pass by. Counts and signal strengths part the two; what does
not count is *weak*, is told as such, and is never dropped. A tag's presence follows SMURF (Jeffery, Garofalakis and
Franklin, "Adaptive Cleaning for RFID Data Streams", VLDB 2006): each epoch is one draw of a binomial sample, so that
the window over which a tag may stay silent follows from how often it was read before.
"""

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

FEW_READS = "few_reads"
FAINT = "faint"

MEDIAN = "median"
STRONGEST = "strongest"

# A tag that is read once in a long while would be waited for without end.
LONGEST_WINDOW = 100


@dataclass(frozen=True, slots=True)
class Policy:
    """
    What a tag needs to count as seen. The default is one read.

    :param min_rssi_cdbm: the least strength, in hundredths of a dBm, of its strongest read or of the median
    :param delta_e4: the accepted chance of calling a tag gone that is there, in ten-thousandths; None tells no presence
    :param epoch_ms: the length of an epoch, in which a tag was read or was not
    """

    min_reads: int = 1
    min_rssi_cdbm: int | None = None
    strength: str = STRONGEST
    delta_e4: int | None = None
    epoch_ms: int = 500

    @property
    def asks_each_read(self) -> bool:
        """Whether the counts and the strongest read of each tag are not enough to apply it."""
        return self.delta_e4 is not None or (self.min_rssi_cdbm is not None and self.strength == MEDIAN)


@dataclass(frozen=True, slots=True)
class Presence:
    """
    A stretch in which a tag was there: its first and last read, in nanoseconds.

    ``gone_ns`` is the end of the epoch in which its silence had become too long to be chance; None where it had not.
    """

    first_ns: int
    last_ns: int
    gone_ns: int | None = None


def weaknesses(policy: Policy, *, reads: int, rssi_cdbm: int | None) -> tuple[str, ...]:
    """
    Say why a tag does not count as seen; empty where it does.

    :param rssi_cdbm: its strongest read or the median, as the policy asks; None where the reader tells no strength, and
        then there is nothing to hold against the threshold
    """
    found = [FEW_READS] if reads < policy.min_reads else []
    if policy.min_rssi_cdbm is not None and rssi_cdbm is not None and rssi_cdbm < policy.min_rssi_cdbm:
        found.append(FAINT)
    return tuple(found)


def needed_window(rate: float, delta: float) -> int:
    """
    Return how many epochs a tag may be silent before it is called gone (SMURF, section 4: w ≥ ln(1/δ)/p).

    :param rate: the chance of reading it in one epoch while it is there, above 0 and at most 1
    """
    return min(LONGEST_WINDOW, max(1, math.ceil(math.log(1 / delta) / rate)))


def has_moved(seen: int, window: int, rate: float) -> bool:
    """Tell whether too few epochs of a window saw the tag for it to be there all along: |S − wp| > 2·√(wp(1−p))."""
    expected = window * rate
    return expected - seen > 2 * math.sqrt(expected * (1 - rate))


def presences(times_ns: Sequence[int], *, policy: Policy, until_ns: int) -> list[Presence]:
    """
    Return the stretches in which a tag was there, in order; each read lies in exactly one of them.

    :param times_ns: the tag's reads, in any order
    :param until_ns: the newest read of any tag: until then the reader was listening
    """
    if policy.delta_e4 is None:
        return []
    delta, epoch_ns = policy.delta_e4 / 10_000, policy.epoch_ms * 1_000_000
    first_in: dict[int, int] = {}
    last_in: dict[int, int] = {}
    for time_ns in sorted(times_ns):
        first_in.setdefault(time_ns // epoch_ns, time_ns)
        last_in[time_ns // epoch_ns] = time_ns
    epochs = sorted(first_in)
    found, place = [], 0
    while place < len(epochs):
        first = epochs[place]
        place, gone = _follow(epochs, place, until_ns // epoch_ns, delta)
        gone_ns = None if gone is None else (gone + 1) * epoch_ns
        found.append(Presence(first_in[first], last_in[epochs[place - 1]], gone_ns))
    return found


def _follow(epochs: Sequence[int], start: int, until: int, delta: float) -> tuple[int, int | None]:
    """
    Follow the tag from the epoch at ``start``.

    :returns: the place behind its last epoch, and the epoch in which it was found gone, or None
    """
    first, place = epochs[start], start + 1
    rate = _rate(1, 1)
    window, epoch = needed_window(rate, delta), first
    while True:
        epoch += 1
        if place < len(epochs) and epochs[place] == epoch:
            place += 1
        elif place == len(epochs) and epoch > until:
            return place, None
        seen = place - bisect_right(epochs, epoch - window, start, place)
        if seen == 0:
            return place, epoch
        # The silence since the last read is what is being judged, and tells nothing of the rate.
        followed = epochs[place - 1] - first + 1
        rate = _rate(place - start, followed)
        needed = needed_window(rate, delta)
        if needed > window:
            window = min(window + 2, needed)
        # A rate learned from fewer epochs than the window has is too rough for the test.
        elif followed >= window and has_moved(seen, window, rate):
            window = max(1, window // 2)


def _rate(read: int, epochs: int) -> float:
    """Laplace's rule: after one epoch a tag is not yet known to be read in every one."""
    return (read + 1) / (epochs + 2)
