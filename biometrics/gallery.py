"""
The galleries that faces are searched in: sealed templates, opened into this process's memory and kept nowhere else.

A cache holds the opened vectors. It trusts the database alone: each search first asks there whether anything changed,
and a hit is asked about once more before anybody hears of it.
"""

import threading
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from django.db.models import Count, Max, Q, QuerySet, Sum
from django.utils import timezone
from numpy.typing import NDArray

from biometrics.engine import analysis, search
from biometrics.engine.calibration import read_calibration
from biometrics.models import Consent, ConsentPurpose, Evidence, Person, Template, WatchlistEntry
from biometrics.vault import open_evidence, open_many

# Little-endian on every machine: the bytes are what the commitment in the ledger was made of.
_VECTOR = np.dtype("<f8")
_VECTOR_BYTES = search.DIMENSIONS * _VECTOR.itemsize
# So many ciphertexts in memory at a time.
_AT_ONCE = 2_000


def vector_to_bytes(vector: NDArray[np.float64]) -> bytes:
    return vector.astype(_VECTOR).tobytes()


def vector_from_bytes(value: bytes) -> NDArray[np.float64]:
    return np.frombuffer(value, dtype=_VECTOR).astype(np.float64)


def open_template(template: Template) -> NDArray[np.float64]:
    """Open the template's vector: float64 of 128, of length one."""
    return vector_from_bytes(open_evidence(template.evidence))


def made_with_current_models(template: Template | WatchlistEntry) -> bool:
    """Tell whether the template's vector can be compared with one made now."""
    return (template.landmarks_sha256, template.descriptor_sha256) == _current_models()


def _current_models() -> tuple[str, str]:
    models = analysis.models()
    return models["landmarks"]["sha256"], models["descriptor"]["sha256"]


# What is searched ---------------------------------------------------------------------------------------------------


class Row(NamedTuple):
    """One template that may be searched: ``key`` is the template's or the watchlist entry's id."""

    key: uuid.UUID
    person: uuid.UUID
    evidence: uuid.UUID
    k: int


@dataclass(frozen=True, eq=False)
class Opened:
    """A gallery as it stood at ``stamp``. Row n of ``vectors`` belongs to ``rows[n]``."""

    stamp: tuple[Any, ...]
    rows: tuple[Row, ...]
    vectors: search.Gallery
    not_searched: frozenset[uuid.UUID]
    """Keys of what was made with other models, or does not open."""

    def only(self, wanted: Callable[[Row], bool]) -> "Opened":
        """Return the rows that are wanted, as a gallery of its own."""
        kept = [number for number, row in enumerate(self.rows) if wanted(row)]
        if len(kept) == len(self.rows):
            return self
        rows = tuple(self.rows[number] for number in kept)
        return Opened(self.stamp, rows, self.vectors.only(kept), self.not_searched)

    def find(self, probe: NDArray[np.float64], threshold_e4: Callable[[int], int]) -> Iterator[tuple[Row, int]]:
        """
        Return the rows near ``probe`` with their distances in ten-thousandths, the nearest first.

        :param threshold_e4: the threshold of a template that is the mean of so many photos
        """
        thresholds = {k: threshold_e4(k) for k in {row.k for row in self.rows}}
        for near in self.vectors.nearest(probe, max(thresholds.values(), default=0)):
            row = self.rows[near.row]
            if near.distance_e4 <= thresholds[row.k]:
                yield row, near.distance_e4


class _Cache:
    """The last opened state of one gallery. Threads share it: whoever finds it stale opens it anew, the others wait."""

    def __init__(
        self, stamp: Callable[[], tuple[Any, ...]], rows: Callable[[], Iterable[tuple[Row, tuple[str, str]]]]
    ) -> None:
        self._stamp = stamp
        self._rows = rows
        self._lock = threading.Lock()
        self._opened: Opened | None = None

    def open(self) -> Opened:
        with self._lock:
            # Read before the rows: what is committed in between makes the next stamp another one.
            stamp = (_current_models(), *self._stamp())
            if self._opened is None or self._opened.stamp != stamp:
                before, self._opened = self._opened, None
                self._opened = _open(stamp, list(self._rows()), before)
            return self._opened

    def forget(self) -> None:
        with self._lock:
            self._opened = None


def _open(stamp: tuple[Any, ...], listed: Sequence[tuple[Row, tuple[str, str]]], before: Opened | None) -> Opened:
    """Open what was not open before; what is listed no more is left behind with ``before``."""
    rows = [row for row, models in listed if models == stamp[0]]
    known: dict[uuid.UUID, NDArray[np.float64]] = {}
    if before is not None and before.stamp[0] == stamp[0]:
        known = {row.evidence: before.vectors.vector(number) for number, row in enumerate(before.rows)}
    missing = [row.evidence for row in rows if row.evidence not in known]
    for at in range(0, len(missing), _AT_ONCE):
        sealed = Evidence.objects.filter(pk__in=missing[at : at + _AT_ONCE])
        for evidence, value in open_many(sealed).items():
            if len(value) == _VECTOR_BYTES:
                known[evidence] = vector_from_bytes(value)
    opened = tuple(row for row in rows if row.evidence in known)
    vectors = np.empty((len(opened), search.DIMENSIONS), dtype=np.float64)
    for number, row in enumerate(opened):
        vectors[number] = known[row.evidence]
    searched = {row.key for row in opened}
    left_out = frozenset(row.key for row, _models in listed if row.key not in searched)
    return Opened(stamp, opened, search.Gallery(vectors), left_out)


# Everybody who is enrolled ------------------------------------------------------------------------------------------


def _enrolled() -> QuerySet[Template]:
    """Return the active templates that may be compared: consent stands, the person is neither exempt nor erased."""
    consenting = Consent.objects.filter(purpose=ConsentPurpose.CUSTODY, withdrawn_at=None)
    return Template.objects.filter(
        active=True, person__in=consenting.values("person"), person__exempt=False, person__erased_at=None
    )


def _enrolled_rows() -> Iterator[tuple[Row, tuple[str, str]]]:
    listed = (
        _enrolled()
        .order_by("pk")
        .values_list("pk", "person_id", "evidence_id", "k", "landmarks_sha256", "descriptor_sha256")
    )
    for key, person, evidence, k, landmarks, descriptor in listed:
        yield Row(key, person, evidence, k), (landmarks, descriptor)


def _enrolled_stamp() -> tuple[Any, ...]:
    """Tell the newest times and counts beside them: of two processes, the one that began first may commit last."""
    active = Q(active=True)
    templates = Template.objects.aggregate(
        every=Count("pk"),
        compared=Count("pk", filter=active),
        versions=Sum("version", filter=active),
        at=Max("created_at"),
    )
    consents = Consent.objects.aggregate(
        every=Count("pk"),
        standing=Count("pk", filter=Q(withdrawn_at=None)),
        given=Max("given_at"),
        withdrawn=Max("withdrawn_at"),
    )
    people = Person.objects.aggregate(
        erased=Count("erased_at"), exempt=Count("pk", filter=Q(exempt=True)), at=Max("erased_at")
    )
    return (*templates.values(), *consents.values(), *people.values())


# The watchlist ------------------------------------------------------------------------------------------------------


def standing_watchlist() -> QuerySet[WatchlistEntry]:
    """Return the entries that are searched: confirmed, not removed, not expired, and with something left to compare."""
    return WatchlistEntry.objects.filter(
        confirmed_at__isnull=False,
        removed_at=None,
        expires_at__gt=timezone.now(),
        subject__erased_at=None,
        template__destroyed_at=None,
    )


def _watchlist_rows() -> Iterator[tuple[Row, tuple[str, str]]]:
    listed = (
        standing_watchlist()
        .order_by("pk")
        .values_list("pk", "subject_id", "template_id", "k", "landmarks_sha256", "descriptor_sha256")
    )
    for key, subject, template, k, landmarks, descriptor in listed:
        yield Row(key, subject, template, k), (landmarks, descriptor)


def _watchlist_stamp() -> tuple[Any, ...]:
    # The ids themselves: the list is short, and time alone ends entries in it.
    return tuple(standing_watchlist().order_by("pk").values_list("pk", flat=True))


_ENROLLED = _Cache(_enrolled_stamp, _enrolled_rows)
_WATCHLIST = _Cache(_watchlist_stamp, _watchlist_rows)


def open_enrolled() -> Opened:
    """Return everybody whose face may be searched, as the database says now."""
    return _ENROLLED.open()


def open_watchlist() -> Opened:
    """Return the watchlist as it stands now."""
    return _WATCHLIST.open()


def forget_galleries() -> None:
    """Drop what this process has opened; other processes drop it with their next search."""
    _ENROLLED.forget()
    _WATCHLIST.forget()


# Duplicates ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Hit:
    person: Person
    distance_e4: int
    k: int
    """How many photos the template is the mean of."""


@dataclass(frozen=True)
class Search:
    """What was searched, and the nearest hit in it if any."""

    searched: frozenset[uuid.UUID]
    hit: Hit | None


def search_same_face(
    descriptors: Iterable[NDArray[np.float64]],
    *,
    target_fmr: str,
    other_than: Person,
    searched_before: Collection[uuid.UUID] = frozenset(),
) -> Search:
    """
    Look for the face of ``descriptors`` (one photo each) among the active templates of everybody else.

    Whose consent was withdrawn is not searched: their template is neither opened nor compared, and no name is told.

    :param target_fmr: of each comparison, by the calibration file
    :param searched_before: ids of templates to pass over
    """
    opened, calibration = open_enrolled(), read_calibration()

    def threshold_e4(k: int) -> int:
        return calibration.threshold(k=k, m=1, target_fmr=target_fmr).threshold_e4

    found = [
        (row, distance_e4)
        for probe in descriptors
        for row, distance_e4 in opened.find(probe, threshold_e4)
        if row.person != other_than.pk and row.key not in searched_before
    ]
    others = {row.key for row in opened.rows if row.person != other_than.pk}
    searched = frozenset(searched_before) | others | _of_others(opened, other_than)
    for row, distance_e4 in sorted(found, key=lambda hit: (hit[1], hit[0].key)):
        with suppress(Template.DoesNotExist):
            template = _enrolled().select_related("person").get(pk=row.key, evidence__destroyed_at=None)
            return Search(searched, Hit(template.person, distance_e4, template.k))
    return Search(searched, None)


def _of_others(opened: Opened, other_than: Person) -> frozenset[uuid.UUID]:
    """Name the templates that cannot be compared: a later search has no more to find in them than this one."""
    if not opened.not_searched:
        return frozenset()
    own = Template.objects.filter(person=other_than).values_list("pk", flat=True)
    return opened.not_searched.difference(own)
