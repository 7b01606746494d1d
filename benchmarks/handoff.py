"""
Time one handoff stage by stage beside the stock face_recognition, and count handoffs a second on one and two processes.

Everything runs through the services that the pages and the API call, in a database folder that is made for the run and
removed after it. No deployment's database, key or store is touched: what the environment says of them is dropped first.
"""

import argparse
import logging
import math
import multiprocessing
import os
import platform
import shutil
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import wraps
from importlib.metadata import version
from pathlib import Path
from statistics import median
from threading import Barrier
from typing import TYPE_CHECKING, Any
from uuid import UUID

import django

from benchmarks.machine import Bystanders, cpu_model, file_system

if TYPE_CHECKING:
    from demo.world import Custodian

REPOSITORY = Path(__file__).resolve().parent.parent
# obama_partial_face.jpg is the live face: part of one sitting that enrols this person, and not that photo again.
LIVE = "obama_partial_face.jpg"
PHOTOS = ("astronaut.png", "biden.jpg", "obama.jpg", "obama2.jpg", "obama3.jpg", "obama_partial_face2.jpg", LIVE)
TAGS = 24
LANES = 2
ROUNDS = 3
HANDOFFS = 30
MOST_HANDOFFS = 2000
MEET_WITHIN_SECONDS = 60
# With this much going on beside the benchmark, its rates say more about the machine than about Custody.
BUSY_CORES = 0.25

# In the order of a handoff. Together they are the whole of it: each counts its own time, less the stages inside it.
STAGES = {
    "open": "the shipment found by its SSCC, a read session opened",
    "reads": f"a reader's report of {3 * TAGS} reads of {TAGS} tags: stored raw, parsed, deduplicated",
    "reconcile": "the session frozen into a document and held against the manifest",
    "decode": "the photo's bytes to pixels, metadata stripped",
    "detect": "HOG on a grey copy of at most 480 px; larger only where that shows no face",
    "align": "five landmarks, chip",
    "quality": "seven measures of the capture",
    "describe": "the network on the chip and its mirror image",
    "compare": "the template decrypted, one distance",
    "evidence": "consent and template looked up, the photo encrypted, the verification stored",
    "second factor": "a PIN: try counted, Argon2, count cleared",
    "submit": "the handoff's row and its statement, one transaction",
    "seal": "chained, signed, last-signed store moved, checkpoint signed",
}
FACE = ("decode", "detect", "align", "quality", "describe")


class Stopwatch:
    """Times functions where they are called from; a stage's time excludes that of the stages inside it."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._inside: list[float] = []

    def time(self, stage: str, place: Any, name: str) -> Callable[[], None]:
        """Time ``place.name`` as ``stage`` until the returned function is called."""
        function = getattr(place, name)

        @wraps(function)
        def timed(*args: Any, **kwargs: Any) -> Any:
            started = time.perf_counter()
            self._inside.append(0.0)
            try:
                return function(*args, **kwargs)
            finally:
                taken = time.perf_counter() - started
                self.seconds[stage] = self.seconds.get(stage, 0.0) + taken - self._inside.pop()
                if self._inside:
                    self._inside[-1] += taken

        setattr(place, name, timed)
        return lambda: setattr(place, name, function)

    def lap(self) -> dict[str, float]:
        """Return what was timed since the last lap."""
        taken, self.seconds = self.seconds, {}
        return taken


@contextmanager
def stages_timed() -> Iterator[Stopwatch]:
    from biometrics import verification
    from biometrics.engine import analysis, comparison
    from custody import handoffs
    from demo import world
    from ledger import submission

    watch = Stopwatch()
    restore = [
        watch.time(stage, place, name)
        for stage, place, name in (
            ("open", handoffs, "open_handoff"),
            ("reads", world, "record_report"),
            ("reconcile", handoffs, "reconcile_handoff"),
            ("decode", analysis, "decode_photo"),
            ("detect", analysis, "find_faces"),
            ("align", analysis, "find_landmarks"),
            ("align", analysis, "cut_chip"),
            ("quality", analysis, "measure_quality"),
            ("describe", analysis, "describe_face"),
            ("compare", verification, "open_template"),
            ("compare", comparison, "distance_e4"),
            ("evidence", handoffs, "verify_receiver"),
            ("second factor", handoffs, "check_second_factor"),
            ("submit", handoffs, "accept_handoff"),
            ("seal", submission, "hint_sealing"),
        )
    ]
    try:
        yield watch
    finally:
        for undo in restore:
            undo()


@dataclass(frozen=True)
class Lane:
    """One dock: whoever takes custody there, and the reader of its own. Plain values, to reach another process."""

    person: UUID
    pin: str
    live: bytes
    reader: UUID


@dataclass(frozen=True)
class Lot:
    """What one process did: from ``started`` to ``ended`` of the machine's monotonic clock."""

    handoffs: int
    started: float
    ended: float
    cpu_seconds: float


@dataclass(frozen=True)
class Round:
    """What the processes of one round did together, and how many cores' worth of work went on beside them."""

    rate: float
    cpu_seconds_each: float
    cores_of_others: float


def use_own_folder(folder: Path) -> None:
    """Point Custody at ``folder`` and at nothing else, then start Django. Every process of the run calls this."""
    for name in (
        "DATABASE_URL",
        "BROKER_URL",
        "LEDGER_ORIGIN",
        "LEDGER_KEY_FILE",
        "LEDGER_KEY_PASSPHRASE",
        "LEDGER_LAST_SIGNED_DIR",
        "BIOMETRICS_MASTER_KEY",
        "BIOMETRICS_MASTER_KEY_FILE",
        "READER_CREDENTIAL_KEY_FILE",
    ):
        os.environ.pop(name, None)
    os.environ |= {"CUSTODY_VAR": str(folder), "CUSTODY_DEMO": "1", "DJANGO_SETTINGS_MODULE": "custody.settings"}
    django.setup()
    # A line for each checkpoint is the server's business; a sealer that fails still shows.
    logging.getLogger().setLevel(logging.WARNING)


def make_lanes(photos: Path) -> list[Lane]:
    """Make the demo world, and of it two docks that share nothing but the database and the person who receives."""
    from django.core.management import call_command

    from demo.world import make_world
    from shipments.models import Reader

    call_command("migrate", verbosity=0)
    world = make_world(photos)
    marco = world.custodians[-1]
    live = (photos / LIVE).read_bytes()
    return [
        Lane(person=marco.person.pk, pin=marco.pin, live=live, reader=reader.pk)
        for reader in Reader.objects.order_by("name")[:LANES]
    ]


def make_shipments(count: int) -> list[UUID]:
    """Make ``count`` shipments of 24 tags each: one may be handed to a person once, who then holds it."""
    from demo.world import make_shipment
    from shipments.models import Consignment, Party

    consignor, consignee = Party.objects.order_by("gln")[:2]
    first = 1000 + Consignment.objects.count()
    return [
        make_shipment(number, f"BENCH-{number}", "Cartons", TAGS, 100_000, consignor, consignee).pk
        for number in range(first, first + count)
    ]


def hand_over_at(lane: Lane) -> Callable[[UUID], None]:
    """Return what hands one shipment over at ``lane``, from the scan to the sealed entry."""
    from accounts.models import User
    from biometrics.models import Person
    from demo import world
    from shipments.models import Consignment, Reader

    receiver = Person.objects.get(pk=lane.person)
    custodian: Custodian = world.Custodian(name="", pin=lane.pin, person=receiver, live=lane.live)
    reader = Reader.objects.select_related("read_point").get(pk=lane.reader)
    operator = User.objects.get(username="operator")
    pass_over_replays()

    def hand_over(shipment: UUID) -> None:
        consignment = Consignment.objects.get(pk=shipment)
        world.hand_over(consignment, to=custodian, at=reader, by=operator)

    return hand_over


def pass_over_replays() -> None:
    """One photo stands for every live face: the replay rule is evaluated each time, and its refusal passed over."""
    from biometrics import verification
    from biometrics.replay import PhotoResubmitted

    rule = verification.require_not_resubmitted

    def evaluated(**asked: Any) -> None:
        with suppress(PhotoResubmitted):
            rule(**asked)

    verification.require_not_resubmitted = evaluated


def time_stages(lane: Lane, shipments: Sequence[UUID], stock: "Stock") -> list[dict[str, float]]:
    """Hand each shipment over and time the stages; stock runs between handoffs, so that both meet the same machine."""
    hand_over = hand_over_at(lane)
    laps = []
    with stages_timed() as watch:
        for shipment in shipments:
            hand_over(shipment)
            laps.append(watch.lap())
            stock.run()
    stock.forget_first()
    return laps[1:]  # the first of each also warmed up


class Stock:
    """``face_recognition`` as its README has it: the file loaded, then face_encodings with every default."""

    def __init__(self, photo: Path) -> None:
        with warnings.catch_warnings():
            # face_recognition_models imports pkg_resources, which says on import that it is deprecated.
            warnings.filterwarnings("ignore", message="pkg_resources is deprecated")
            import face_recognition
        self._library = face_recognition
        self._photo = photo
        self.load: list[float] = []
        self.encode: list[float] = []

    def run(self) -> None:
        started = time.perf_counter()
        image = self._library.load_image_file(self._photo)
        loaded = time.perf_counter()
        found = self._library.face_encodings(image)
        ended = time.perf_counter()
        if len(found) != 1:
            raise SystemExit(f"face_recognition found {len(found)} faces in {self._photo}, not one")
        self.load.append(loaded - started)
        self.encode.append(ended - loaded)

    def forget_first(self) -> None:
        del self.load[0], self.encode[0]

    def totals(self) -> list[float]:
        return [load + encode for load, encode in zip(self.load, self.encode, strict=True)]


_together: Any = None


def start_process(folder: Path, together: Barrier) -> None:
    """Make a process of the pool ready: Django, the models loaded."""
    global _together
    _together = together
    use_own_folder(folder)
    from biometrics.engine.analysis import warm_up

    warm_up()


def run_lot(lane: Lane, shipments: Sequence[UUID], *, meet: bool) -> Lot:
    """Hand ``shipments`` over, one after the other; with ``meet``, once the other process is as far."""
    hand_over = hand_over_at(lane)
    if meet:
        _together.wait(MEET_WITHIN_SECONDS)
    started, cpu_started = time.monotonic(), time.process_time()
    for shipment in shipments:
        hand_over(shipment)
    return Lot(len(shipments), started, time.monotonic(), time.process_time() - cpu_started)


def run_together(pool: ProcessPoolExecutor, lanes: Sequence[Lane], handoffs: int) -> Round:
    """Run ``handoffs`` on each of ``lanes`` at once; the round lasts from the first start to the last end."""
    parts = [make_shipments(handoffs) for _ in lanes]
    bystanders = Bystanders()
    futures = [pool.submit(run_lot, lane, part, meet=len(lanes) > 1) for lane, part in zip(lanes, parts, strict=True)]
    lots = [future.result() for future in futures]
    done, cpu = sum(lot.handoffs for lot in lots), sum(lot.cpu_seconds for lot in lots)
    return Round(
        rate=done / (max(lot.ended for lot in lots) - min(lot.started for lot in lots)),
        cpu_seconds_each=cpu / done,
        cores_of_others=bystanders.cores(own_seconds=cpu),
    )


def measure_throughput(folder: Path, lanes: Sequence[Lane], handoffs: int) -> tuple[list[Round], list[Round]]:
    """Alternate between one process and two: a busy moment of the machine must not fall on one of them alone."""
    # Spawned: dlib's and SQLite's state must not be forked.
    spawn = multiprocessing.get_context("spawn")
    one, two = [], []
    with ProcessPoolExecutor(LANES, spawn, start_process, (folder, spawn.Barrier(LANES))) as pool:
        run_together(pool, lanes, 1)  # each process's first handoff warms it up
        for _ in range(ROUNDS):
            one.append(run_together(pool, lanes[:1], handoffs))
            two.append(run_together(pool, lanes, handoffs))
    return one, two


def require_all_sealed() -> str:
    """A handoff that was not sealed must not count: verify the log, and compare it with the handoffs accepted."""
    from custody.models import Handoff, HandoffState
    from ledger.models import Entry
    from ledger.own_policy import own_policy
    from ledger.verification import verify_log

    verdict = verify_log(policy=own_policy())
    accepted = Handoff.objects.filter(state=HandoffState.ACCEPTED).count()
    sealed = Entry.objects.filter(kind="handoff").count()
    if not verdict.intact or accepted != sealed:
        raise SystemExit(f"{accepted} handoffs accepted, {sealed} sealed. {verdict.sentence()}")
    return f"{sealed} handoffs accepted, {sealed} sealed. {verdict.sentence()}"


def machine(folder: Path) -> dict[str, str]:
    """What a number means nothing without."""
    import dlib
    from django.db import connection

    from biometrics.second_factor import PIN_HASHER

    with connection.cursor() as cursor:
        sqlite, synchronous, journal = (
            cursor.execute(question).fetchone()[0]
            for question in ("SELECT sqlite_version()", "PRAGMA synchronous", "PRAGMA journal_mode")
        )
    synchronous = ("OFF", "NORMAL", "FULL", "EXTRA")[synchronous]
    usable, load = len(os.sched_getaffinity(0)), os.getloadavg()[0]
    return {
        "cores": f"{usable} of {os.cpu_count()} usable; load at the start {load:.2f}",
        "CPU": cpu_model(),
        "system": f"{platform.system()} {platform.release()}",
        "Python": platform.python_version(),
        "dlib": f"{dlib.__version__}, AVX {'on' if dlib.USE_AVX_INSTRUCTIONS else 'off'}",
        "SQLite": f"{sqlite}, synchronous={synchronous}, journal_mode={journal}, on {file_system(folder)}",
        "PIN hash": f"Argon2id, {PIN_HASHER.memory_cost} KiB, {PIN_HASHER.time_cost} passes",
        "beside": f"face_recognition {version('face-recognition')}",
    }


def p95(values: Sequence[float]) -> float:
    """The nearest rank: a value that was measured, not one in between."""
    return sorted(values)[math.ceil(len(values) * 0.95) - 1]


def line(name: str, seconds: Sequence[float], remark: str = "") -> str:
    return f"  {name:<16}{median(seconds) * 1000:>9.1f}{p95(seconds) * 1000:>9.1f}  {remark}".rstrip()


def report_stages(laps: Sequence[dict[str, float]], stock: Stock, photo: str) -> Iterator[str]:
    yield f"One handoff, {len(laps)} times in one process; milliseconds"
    yield f"  {'stage':<16}{'median':>9}{'p95':>9}"
    for stage, remark in STAGES.items():
        yield line(stage, [lap[stage] for lap in laps], remark)
    yield line("total", [sum(lap.values()) for lap in laps])
    yield ""
    ours = [sum(lap[stage] for stage in FACE) for lap in laps]
    yield f"Beside face_recognition, on {photo}; milliseconds"
    yield f"  {'':<16}{'median':>9}{'p95':>9}"
    yield line("load_image_file", stock.load, "the file to pixels")
    yield line(
        "face_encodings", stock.encode, "the full frame, every default: HOG upsampled once, small model, one chip"
    )
    yield line("stock, both", stock.totals())
    yield line("Custody", ours, "decode, detect, align, quality, describe: two chips")
    yield f"  stock takes {median(stock.totals()) / median(ours):.1f} times as long"


def report_throughput(one: Sequence[Round], two: Sequence[Round], handoffs: int) -> Iterator[str]:
    yield f"Handoffs a second, faces included: {ROUNDS} rounds of {handoffs} handoffs in each process"
    yield f"  {'':<16}{'median':>9}{'least':>9}{'most':>9}{'CPU ms each':>14}{'cores of others':>18}"
    for name, rounds in (("one process", one), ("two processes", two)):
        rates = [round_.rate for round_ in rounds]
        cpu_ms = median(round_.cpu_seconds_each for round_ in rounds) * 1000
        others = max(round_.cores_of_others for round_ in rounds)
        yield f"  {name:<16}{median(rates):>9.2f}{min(rates):>9.2f}{max(rates):>9.2f}{cpu_ms:>14.0f}{others:>18.1f}"
    ratio = median(round_.rate for round_ in two) / median(round_.rate for round_ in one)
    yield f"  two processes do {ratio:.2f} times what one does"
    if max(round_.cores_of_others for round_ in (*one, *two)) > BUSY_CORES:
        yield "  Other programs worked on this machine meanwhile: run it again when it is idle."


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.handoff", description=__doc__)
    parser.add_argument("--photos", type=Path, default=REPOSITORY / "var" / "photos", help="default: var/photos")
    parser.add_argument(
        "--handoffs",
        type=int,
        default=HANDOFFS,
        help=f"how many are timed, and how many each process does over all {ROUNDS} rounds (default: {HANDOFFS})",
    )
    parser.add_argument(
        "--folder",
        type=Path,
        default=REPOSITORY / "var",
        help="where the temporary database folder is made (default: var, the disk that `make run` uses)",
    )
    arguments = parser.parse_args()
    if not ROUNDS <= arguments.handoffs <= MOST_HANDOFFS:
        parser.error(f"--handoffs is between {ROUNDS} and {MOST_HANDOFFS}")
    missing = [name for name in PHOTOS if not (arguments.photos / name).is_file()]
    if missing:
        parser.error(
            f"{arguments.photos} lacks {', '.join(missing)}: run `python -m demo.photos {arguments.photos}`, "
            "or name another folder with --photos"
        )
    return arguments


def main() -> None:
    arguments = read_arguments()
    began = time.monotonic()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="benchmark-", dir=arguments.folder))
    try:
        use_own_folder(folder)
        measure(folder, arguments.photos, arguments.handoffs)
    finally:
        shutil.rmtree(folder)
    print(f"The whole run took {time.monotonic() - began:.0f} s.")


def measure(folder: Path, photos: Path, handoffs: int) -> None:
    from biometrics.engine.photo import decode_photo

    live = photos / LIVE
    decoded = decode_photo(live.read_bytes())
    photo = f"{LIVE} ({decoded.width} × {decoded.height} px, {len(decoded.encoded) // 1000} kB)"
    print("Making the demo world …", file=sys.stderr)
    lanes = make_lanes(photos)
    stock = Stock(live)
    for name, value in machine(folder).items():
        print(f"{name:<10}{value}")
    print(f"{'face':<10}{photo}")

    print("Timing the stages …", file=sys.stderr)
    shipments = make_shipments(handoffs + 1)
    bystanders, own_before = Bystanders(), time.process_time()
    laps = time_stages(lanes[0], shipments, stock)
    others = bystanders.cores(own_seconds=time.process_time() - own_before)
    print("", *report_stages(laps, stock, photo), f"  cores of others meanwhile: {others:.1f}", sep="\n", flush=True)

    print("Running on one process and on two …", file=sys.stderr)
    each = handoffs // ROUNDS
    print("", *report_throughput(*measure_throughput(folder, lanes, each), each), "", sep="\n")
    print(require_all_sealed())


if __name__ == "__main__":
    main()
