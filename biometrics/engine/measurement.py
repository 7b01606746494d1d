"""
Measure how well this engine tells the persons of a folder apart: the rates of error by threshold, and the thresholds.

Counts of distances in ten-thousandths are kept, never the distances: a folder of thousands fits, and the same folder
gives the same numbers on every run.
"""

import csv
import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from biometrics.engine import comparison
from biometrics.engine.analysis import analyse_bytes
from biometrics.engine.calibration import OperatingPoint
from biometrics.engine.errors import FaceRefused, PhotoRefused
from biometrics.engine.quality import ENROLMENT, PROBE, shortfalls
from biometrics.engine.search_calibration import SearchRow

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
# Thirty errors bound a rate to within a third of itself at 90 % confidence (the "rule of 30" of Doddington et al.).
ERRORS_NEEDED = 30
SHAPES = ((1, 1), (2, 1), (3, 1), (5, 1), (3, 2), (3, 3))
GALLERY_SIZES = (20, 50, 200, 750)
_FARTHEST_E4 = 20_000
_GALLERIES = 20


class NothingToMeasure(ValueError):
    """The folder or the list of pairs does not hold what a calibration is measured on."""


@dataclass(frozen=True)
class Sample:
    """A photo to measure on, and whose it is."""

    path: Path
    person: str


@dataclass(frozen=True)
class Pair:
    first: Path
    second: Path
    same: bool
    group: str


@dataclass(frozen=True, eq=False)
class Acquired:
    """What the engine made of one photo: a descriptor, or the code of its refusal."""

    path: Path
    descriptor: NDArray[np.float64] | None
    probe_code: str
    enrolment_code: str
    """Empty where the photo would do for an enrolment too."""


@dataclass(frozen=True, eq=False)
class Distances:
    """How many comparisons lie at each distance: int64 of 20,001, by ten-thousandths."""

    genuine: NDArray[np.int64]
    impostor: NDArray[np.int64]

    @classmethod
    def none(cls) -> "Distances":
        return cls(np.zeros(_FARTHEST_E4 + 1, np.int64), np.zeros(_FARTHEST_E4 + 1, np.int64))

    def false_matches(self, threshold_e4: int) -> int:
        return int(self.impostor[: threshold_e4 + 1].sum())

    def false_non_matches(self, threshold_e4: int) -> int:
        return int(self.genuine[threshold_e4 + 1 :].sum())

    @property
    def genuine_count(self) -> int:
        return int(self.genuine.sum())

    @property
    def impostor_count(self) -> int:
        return int(self.impostor.sum())

    def curve(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return FMR and FNMR at every threshold: float64 of 20,001 each."""
        fmr = np.cumsum(self.impostor) / max(self.impostor_count, 1)
        fnmr = 1 - np.cumsum(self.genuine) / max(self.genuine_count, 1)
        return fmr, np.clip(fnmr, 0, 1)

    def threshold_e4(self, target_fmr: str) -> int | None:
        """Return the largest threshold that keeps the rate; None where these comparisons cannot tell it."""
        target = Decimal(target_fmr)
        if not self.genuine_count or self.impostor_count < ERRORS_NEEDED / target:
            return None
        # Compared as whole numbers: a float's rounding must not move a threshold.
        allowed = int(target * self.impostor_count)
        return int(np.searchsorted(np.cumsum(self.impostor), allowed, side="right")) - 1


def find_samples(folder: Path) -> list[Sample]:
    """
    List the photos of a folder of folders, one a person.

    :raises NothingToMeasure: where there are fewer than two persons
    """
    if not folder.is_dir():
        raise NothingToMeasure(f"{folder} is not a folder")
    samples = [
        Sample(path, person.name)
        for person in sorted(folder.iterdir())
        if person.is_dir()
        for path in sorted(person.rglob("*"))
        if path.is_file() and path.suffix.lower() in SUFFIXES
    ]
    persons = {sample.person for sample in samples}
    if len(persons) < 2:
        raise NothingToMeasure(
            f"{folder} holds photos of {len(persons)} persons and two are the least: one folder a person, photos in it"
        )
    return samples


def read_groups(path: Path) -> dict[str, str]:
    """Read groups.csv: person,group. Without the file there are no groups."""
    if not path.exists():
        return {}
    with path.open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.reader(file) if row]
    for number, row in enumerate(rows, start=1):
        if len(row) != 2:
            raise NothingToMeasure(f"{path}, line {number}: person,group is expected")
    return {person: group for person, group in rows if (person, group) != ("person", "group")}


def read_pairs(path: Path) -> list[Pair]:
    """
    Read a list of pairs: path,path,same[,group], paths relative to the list, ``same`` 1 or 0.

    :raises NothingToMeasure: with the line that does not read
    """
    pairs = []
    with path.open(newline="", encoding="utf-8") as file:
        for number, row in enumerate(csv.reader(file), start=1):
            if number == 1 and row[2:3] == ["same"]:
                continue
            if len(row) not in (3, 4) or row[2] not in ("0", "1"):
                raise NothingToMeasure(f"{path}, line {number}: path,path,1 or 0[,group] is expected")
            first, second = path.parent / row[0], path.parent / row[1]
            for photo in (first, second):
                if not photo.is_file():
                    raise NothingToMeasure(f"{path}, line {number}: {photo} is not there")
            pairs.append(Pair(first, second, row[2] == "1", row[3] if len(row) == 4 else ""))
    if not pairs:
        raise NothingToMeasure(f"{path} lists no pair")
    return pairs


def acquire(path: Path) -> Acquired:
    """Take one photo through the engine as a probe, and tell whether it would do for an enrolment."""
    try:
        _, face = analyse_bytes(path.read_bytes(), policy=PROBE)
    except (PhotoRefused, FaceRefused) as refusal:
        return Acquired(path, None, refusal.code, refusal.code)
    missing = [refusal.code for refusal in shortfalls(face.quality, ENROLMENT)]
    if (face.second_face_e4 or 0) > ENROLMENT.max_second_face_e4:
        missing.insert(0, "several_faces")
    return Acquired(path, face.descriptor, "", missing[0] if missing else "")


def acquire_all(
    paths: Sequence[Path], *, processes: int, told: Callable[[int, int], None] = lambda done, of: None
) -> dict[Path, Acquired]:
    """Acquire every photo, over several processes; ``told`` hears how many are done."""
    acquired: dict[Path, Acquired] = {}
    if processes <= 1:
        for path in paths:
            acquired[path] = acquire(path)
            told(len(acquired), len(paths))
        return acquired
    # Started afresh: a forked child would inherit what threads of this process hold.
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        for result in pool.map(acquire, paths, chunksize=4):
            acquired[result.path] = result
            told(len(acquired), len(paths))
    return acquired


def failures(acquired: Iterable[Acquired]) -> tuple[dict[str, int], dict[str, int]]:
    """Count the refusals by code, of probes and of enrolment photos."""
    rows = list(acquired)
    probe = Counter(row.probe_code for row in rows if row.probe_code)
    enrolment = Counter(row.enrolment_code for row in rows if row.enrolment_code)
    return dict(sorted(probe.items())), dict(sorted(enrolment.items()))


Vectors = Mapping[str, Sequence[NDArray[np.float64]]]


def by_person(samples: Sequence[Sample], acquired: Mapping[Path, Acquired]) -> dict[str, list[NDArray[np.float64]]]:
    """Gather the descriptors of each person that has any."""
    found: dict[str, list[NDArray[np.float64]]] = {}
    for sample in samples:
        descriptor = acquired[sample.path].descriptor
        if descriptor is not None:
            found.setdefault(sample.person, []).append(descriptor)
    return found


def compare(persons: Vectors, *, k: int, m: int) -> Distances:
    """
    Compare templates of ``k`` photos with probes of ``m``, of the same and of different persons.

    A person's photos are cut into runs of ``k`` and of ``m``: no photo is in two templates, nor in two probes, nor on
    both sides of a comparison.
    """
    counts = Distances.none()
    templates = _runs(persons, k)
    probes = templates if k == m else _runs(persons, m)
    owners = [person for person, _, _ in probes]
    number = {person: at for at, person in enumerate(sorted(set(owners)))}
    owner = np.array([number[person] for person in owners])
    starts = np.array([start for _, start, _ in probes])
    matrix = np.array([vector for _, _, vector in probes])
    for at, (person, start, vector) in enumerate(templates):
        distances = np.floor(np.linalg.norm(matrix - vector, axis=1) * 10_000 + 0.5).astype(np.int64)
        same = owner == number.get(person, -1)
        apart = (starts + m <= start) | (starts >= start + k)
        once = np.arange(len(probes)) > at if k == m else np.ones(len(probes), bool)
        counts.genuine[:] += np.bincount(distances[same & apart & once], minlength=_FARTHEST_E4 + 1)
        counts.impostor[:] += np.bincount(distances[~same & once], minlength=_FARTHEST_E4 + 1)
    return counts


def _runs(persons: Vectors, length: int) -> list[tuple[str, int, NDArray[np.float64]]]:
    return [
        (person, start, comparison.template(vectors[start : start + length]))
        for person, vectors in sorted(persons.items())
        for start in range(0, len(vectors) - length + 1, length)
    ]


def compare_groups(persons: Vectors, groups: Mapping[str, str]) -> dict[str, Distances]:
    """Compare one photo with one within each group: impostors share the group, as those who try would choose."""
    return {
        group: compare(
            {person: vectors for person, vectors in persons.items() if groups.get(person) == group}, k=1, m=1
        )
        for group in sorted({groups[person] for person in persons if person in groups})
    }


def compare_pairs(pairs: Sequence[Pair], acquired: Mapping[Path, Acquired]) -> dict[str, Distances]:
    """Compare the pairs of a list; all of them stand under the empty name, those of a group under its name too."""
    found = {"": Distances.none()}
    for pair in pairs:
        first, second = acquired[pair.first].descriptor, acquired[pair.second].descriptor
        if first is None or second is None:
            continue
        at = comparison.distance_e4(first, second)
        for name in {"", pair.group}:
            counts = found.setdefault(name, Distances.none())
            (counts.genuine if pair.same else counts.impostor)[at] += 1
    return found


def operating_points(
    measured: Mapping[tuple[int, int], Distances], *, targets: Sequence[str], dataset: str
) -> tuple[list[OperatingPoint], list[str]]:
    """
    Set the thresholds that the comparisons can support.

    :returns: the rows, and a sentence for each that was left out
    """
    rows, left_out = [], []
    for (k, m), counts in sorted(measured.items()):
        for target in sorted(targets, key=float, reverse=True):
            threshold = counts.threshold_e4(target)
            if threshold is None or threshold < 0:
                left_out.append(
                    f"k={k}, m={m} at {target}: {counts.impostor_count} impostor comparisons and"
                    f" {math.ceil(ERRORS_NEEDED / Decimal(target))} are needed; {counts.genuine_count} genuine"
                )
                continue
            missed = Decimal(counts.false_non_matches(threshold)) / counts.genuine_count
            fnmr = missed.quantize(Decimal("0.0001"), ROUND_CEILING)
            rows.append(OperatingPoint(comparison.METRIC, k, m, target, threshold, fnmr, dataset))
    return rows, left_out


def measure_search(persons: Vectors, *, targets: Sequence[str], dataset: str) -> list[SearchRow]:
    """
    Set the thresholds of searches: each photo against galleries of other persons, drawn by a fixed seed.

    :returns: no row for galleries larger than the persons at hand, nor for rates that the searches cannot tell
    """
    names = sorted(persons)
    firsts = np.array([persons[name][0] for name in names])
    draw = np.random.default_rng(0)
    rows: list[SearchRow] = []
    for size in GALLERY_SIZES:
        if size >= len(names):
            break
        nearest = Distances.none().impostor
        for at, name in enumerate(names):
            others = np.delete(np.arange(len(names)), at)
            for vector in persons[name]:
                distances = np.linalg.norm(firsts - vector, axis=1)
                for _ in range(_GALLERIES):
                    found = distances[draw.choice(others, size, replace=False)].min()
                    nearest[math.floor(found * 10_000 + 0.5)] += 1
        hits, searches = np.cumsum(nearest), int(nearest.sum())
        for target in sorted(targets, key=float):
            # Galleries drawn for one photo overlap: they count as one search where it is asked what is supported.
            if searches // _GALLERIES < ERRORS_NEEDED / Decimal(target):
                continue
            threshold = int(np.searchsorted(hits, int(Decimal(target) * searches), side="right")) - 1
            if threshold >= 0 and (size, threshold) not in {(row.gallery_size, row.threshold_e4) for row in rows}:
                fpir = (Decimal(int(hits[threshold])) / searches).quantize(Decimal("0.000001"), ROUND_CEILING)
                rows.append(SearchRow(size, threshold, fpir, dataset))
    return rows


def confidence(errors: int, of: int, *, level: float = 0.95) -> tuple[float, float]:
    """
    Bound a rate by Clopper and Pearson's interval; for no error the upper end is about 3.7/n, one-sided 3/n.

    It takes comparisons as independent. Those that share a photo are not: the true interval is wider.
    """
    if of == 0:
        return 0.0, 1.0
    tail = (1 - level) / 2
    lower = 0.0 if errors == 0 else _solve(lambda p: 1 - _at_most(errors - 1, of, p) < tail)
    upper = 1.0 if errors == of else _solve(lambda p: _at_most(errors, of, p) > tail)
    return lower, upper


def _solve(below: Callable[[float], bool]) -> float:
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if below(middle) else (low, middle)
    return (low + high) / 2


def _at_most(errors: int, of: int, rate: float) -> float:
    """Tell how probable at most ``errors`` of ``of`` are at this rate."""
    if rate <= 0 or rate >= 1:
        return 1.0 if rate <= 0 or errors >= of else 0.0
    steps = np.arange(1, errors + 1)
    ways = np.concatenate([[0.0], np.cumsum(np.log((of - steps + 1) / steps))])
    counts = np.arange(errors + 1)
    logs = ways + counts * math.log(rate) + (of - counts) * math.log1p(-rate)
    highest = float(logs.max())
    return min(1.0, math.exp(highest) * float(np.exp(logs - highest).sum()))
