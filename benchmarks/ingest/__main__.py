"""Run the parts and print their tables: ``python -m benchmarks.ingest``."""

import argparse
import os
import platform
import resource
import shutil
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import benchmarks.ingest
from benchmarks.ingest.growth import grow_to
from benchmarks.ingest.stream import impinj_form, in_batches, load_in_bulk, own_form, post
from benchmarks.ingest.world import REPOSITORY, World, make_world, serving
from benchmarks.ledger.own_world import postgres_databases
from benchmarks.machine import Bystanders, cpu_model, file_system

WARM_UP = 10


@dataclass
class Contestant:
    name: str
    run: Callable[[int, int], tuple[float, float]]
    """Of so many reads in batches of such a size: reads a second, and processor µs for each read."""


def main() -> None:
    parser = argparse.ArgumentParser(description=benchmarks.ingest.__doc__)
    parser.add_argument("--only", choices=["rates", "growth"])
    parser.add_argument("--database", choices=["sqlite", "postgresql"], help="one of the two alone")
    parser.add_argument("--batches", default="1,100,1000", help="reads in a report")
    parser.add_argument("--reads", type=int, default=40_000, help="reads in a round; singly a fortieth of them")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--connections", type=int, default=4)
    parser.add_argument("--processes", type=int, default=1, help="served processes, a port each (PostgreSQL)")
    parser.add_argument("--sizes", default="10000,100000,1000000,10000000", help="reads stored before, for the growth")
    parser.add_argument("--folder", type=Path, default=REPOSITORY / "var", help="where the databases are made")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="bench-ingest-", dir=options.folder))
    try:
        _run(options, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _run(options: argparse.Namespace, folder: Path) -> None:
    print(f"CPU      {cpu_model()}, {len(os.sched_getaffinity(0))} cores; load {os.getloadavg()[0]:.2f}")
    print(f"System   {platform.system()} {platform.release()}, Python {platform.python_version()}")
    packages = ("django", "djangorestframework", "waitress", "orjson", "psycopg", "pysqlite3")
    print(f"Packages {', '.join(f'{name} {version(name)}' for name in packages)}; on {file_system(folder)}")
    for database in ("sqlite", "postgresql"):
        if options.database in (None, database):
            with _database(database) as url:
                world = make_world(folder / database, url)
                if options.only != "growth":
                    _compare(options, world)
                if options.only != "rates":
                    _grow(options, world)
            shutil.rmtree(folder / database, ignore_errors=True)


@contextmanager
def _database(name: str) -> Iterator[str]:
    if name == "sqlite":
        yield ""
    else:
        with postgres_databases() as url:
            yield url


def _compare(options: argparse.Namespace, world: World) -> None:
    processes = 1 if world.sqlite else options.processes
    path = f"/api/v1/readers/{world.reader}/events"
    with serving(world, processes=processes) as ports, serving(world, plain=True, processes=processes) as plain_ports:

        def posted(
            form: Callable[..., bytes], ports: list[int], path: str
        ) -> Callable[[int, int], tuple[float, float]]:
            def run(reads: int, size: int) -> tuple[float, float]:
                bodies = [form(rows) for rows in in_batches(reads, size)]
                before = world.processor_seconds()
                took = post(ports, path, world.authorization, bodies, options.connections)
                spent = world.processor_seconds() - before
                return len(bodies) * size / took, spent / (len(bodies) * size) * 1e6

            return run

        def in_bulk(connections: int) -> Callable[[int, int], tuple[float, float]]:
            def run(reads: int, size: int) -> tuple[float, float]:
                batches = list(in_batches(reads, size))
                return len(batches) * size / load_in_bulk(world, batches, connections), 0.0

            return run

        ours = Contestant("Custody", posted(own_form, ports, path))
        plain = Contestant("plain DRF, bulk_create", posted(own_form, plain_ports, "/plain"))
        bulk = Contestant("executemany" if world.sqlite else "COPY, one connection", in_bulk(1))
        others = [Contestant("Custody, Impinj's form", posted(impinj_form, ports, path))]
        if not world.sqlite:
            others.append(Contestant(f"COPY, {options.connections} connections", in_bulk(options.connections)))
        print(f"\n{'SQLite' if world.sqlite else 'PostgreSQL'}: {processes} served, {options.connections} connections")
        print(
            f"  {'reads a second':<34}{'median':>9}{'least':>9}{'most':>9}{'CPU µs':>9}"
            f"{'Custody is':>12}{'bystanders':>12}"
        )
        for size in map(int, options.batches.split(",")):
            _take_turns(options, size, [ours, bulk, plain, *others])


def _take_turns(options: argparse.Namespace, size: int, contestants: list[Contestant]) -> None:
    reads = max(size, options.reads // 40 if size == 1 else options.reads)
    rates: dict[str, list[float]] = {contestant.name: [] for contestant in contestants}
    spent: dict[str, list[float]] = {contestant.name: [] for contestant in contestants}
    for contestant in contestants:
        contestant.run(WARM_UP * size, size)
    bystanders, usage = Bystanders(), _own_seconds()
    took = 0.0
    for place in range(options.rounds):
        # Whoever begins changes: a checkpoint or a neighbour's work must not always meet the same one.
        for contestant in contestants[place % len(contestants) :] + contestants[: place % len(contestants)]:
            rate, cost = contestant.run(reads, size)
            rates[contestant.name].append(rate)
            spent[contestant.name].append(cost)
            took += cost * reads / 1e6
    # Served processes count when they end, so what they took is added; PostgreSQL's own is in it for Custody and plain.
    idle = bystanders.cores(own_seconds=_own_seconds() - usage + took)
    first = rates[contestants[0].name]
    print(f"  in batches of {size}")
    for contestant in contestants:
        own = rates[contestant.name]
        ratio = statistics.median(ours / theirs for ours, theirs in zip(first, own, strict=True))
        beside = "" if contestant is contestants[0] else f"{ratio:>10.2f} x"
        cost = statistics.median(spent[contestant.name])
        told = f"{cost:>9.1f}" if cost else f"{'':>9}"
        print(
            f"    {contestant.name:<32}{statistics.median(own):>9.0f}{min(own):>9.0f}{max(own):>9.0f}{told}{beside:>12}"
            + (f"{idle:>12.1f}" if contestant is contestants[0] else ""),
            flush=True,
        )


def _grow(options: argparse.Namespace, world: World) -> None:
    print(f"\n{'SQLite' if world.sqlite else 'PostgreSQL'}, as reads grow: batches of 1,000, µs for each read")
    print(f"  {'reads stored':>12}{'posted':>9}{'least':>9}{'CPU':>9}{'bulk':>9}{'least':>9}{'bystanders':>12}")
    for size in map(int, options.sizes.split(",")):
        grow_to(world, size)
        bystanders, usage = Bystanders(), _own_seconds()
        posted, cost, bulk = [], [], []
        with serving(world) as ports:
            path = f"/api/v1/readers/{world.reader}/events"
            for place in range(options.rounds + 1):
                bodies = [own_form(rows) for rows in in_batches(options.reads // 2, 1_000)]
                before = world.processor_seconds()
                took = post(ports, path, world.authorization, bodies, options.connections)
                spent = world.processor_seconds() - before
                loaded = load_in_bulk(world, list(in_batches(options.reads // 2, 1_000)))
                if place:  # the first one warms up
                    posted.append(took / len(bodies) * 1_000)
                    cost.append(spent / len(bodies) * 1_000)
                    bulk.append(loaded / len(bodies) * 1_000)
        others = bystanders.cores(own_seconds=_own_seconds() - usage)
        print(
            f"  {size:>12}{statistics.median(posted):>9.1f}{min(posted):>9.1f}{statistics.median(cost):>9.1f}"
            f"{statistics.median(bulk):>9.1f}{min(bulk):>9.1f}{others:>12.1f}",
            flush=True,
        )


def _own_seconds() -> float:
    own, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


if __name__ == "__main__":
    sys.exit(main())
