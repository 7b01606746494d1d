"""Run the parts and print their tables: ``python -m benchmarks.ledger``."""

import argparse
import os
import platform
import resource
import shutil
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

import benchmarks.ledger
from benchmarks.ledger.growth import grow
from benchmarks.ledger.own_world import in_own_process, postgres_databases
from benchmarks.ledger.sealing import append_rates, report_append
from benchmarks.ledger.verification import verify_rates
from benchmarks.machine import Bystanders, cpu_model, file_system

REPOSITORY = Path(__file__).resolve().parent.parent.parent


def main() -> None:
    parser = argparse.ArgumentParser(description=benchmarks.ledger.__doc__)
    parser.add_argument("--sizes", default="1000,10000,100000", help="log sizes to stop at (1000000 takes a while)")
    parser.add_argument("--deep-up-to", type=int, default=100_000, help="deep verification up to this size")
    parser.add_argument("--folder", type=Path, default=REPOSITORY / "var", help="where the databases are made")
    parser.add_argument("--no-postgres", action="store_true")
    parser.add_argument("--only", choices=["append"], help="sealing beside the bare database, and nothing that grows")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="bench-ledger-", dir=options.folder))
    try:
        _run(options, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _run(options: argparse.Namespace, folder: Path) -> None:
    print(f"CPU      {cpu_model()}, {len(os.sched_getaffinity(0))} cores; load {os.getloadavg()[0]:.2f}")
    print(f"System   {platform.system()} {platform.release()}, Python {platform.python_version()}")
    packages = ("django", "cryptography", "pynacl", "pymerkle", "psycopg")
    print(f"Packages {', '.join(f'{name} {version(name)}' for name in packages)}; on {file_system(folder)}")
    bystanders = Bystanders()
    usage = _own_seconds()
    (folder / "append").mkdir()
    report_append("SQLite, synchronous=FULL", in_own_process(append_rates, folder / "append", ""))
    if not options.no_postgres:
        (folder / "postgres").mkdir()
        with postgres_databases() as url:
            report_append("PostgreSQL", in_own_process(append_rates, folder / "postgres", url))
    if options.only != "append":
        _run_growing(options, folder)
    others = bystanders.cores(own_seconds=_own_seconds() - usage)
    print(f"\nOther programs took {others:.1f} cores meanwhile.")


def _run_growing(options: argparse.Namespace, folder: Path) -> None:
    (folder / "grow").mkdir()
    sizes = [int(size) for size in options.sizes.split(",")]
    print("\nAs the log grows (SQLite): µs for each entry or proof; verified a second on one core, and MiB taken")
    print(f"  {'entries':>9}{'append':>9}{'incl.':>9}{'consist.':>9}{'fast/s':>10}{'MiB':>7}{'deep/s':>10}{'MiB':>7}")
    for mark in grow(folder / "grow", sizes, options.deep_up_to):
        print(
            f"  {mark.size:>9}{mark.append_us:>9.0f}{mark.inclusion_us:>9.0f}{mark.consistency_us:>9.0f}"
            f"{mark.fast:>10.0f}{mark.fast_mib:>7.1f}{mark.deep:>10.0f}{mark.deep_mib:>7.1f}",
            flush=True,
        )
    _compare_verification(folder / "grow", min(sizes[-1], 100_000))


def _compare_verification(grown: Path, limit: int) -> None:
    rates = in_own_process(verify_rates, grown, limit)
    cores = len(os.sched_getaffinity(0))
    print(f"\nVerification, a second (best of some runs; {cores} cores)")
    for name, value, beside in (
        ("bare scan and one SHA-256 each", rates.scan, None),
        ("fast, entries in memory", rates.fast_listed, None),
        ("fast, from SQLite", rates.fast_stored, rates.scan),
        ("bare cryptography verify", rates.cryptography, None),
        ("bare PyNaCl verify", rates.pynacl, None),
        ("deep, one core", rates.deep, rates.pynacl),
        ("deep, all cores", rates.deep_all_cores, rates.pynacl * cores),
    ):
        print(f"  {name:<34}{value:>10.0f}" + (f"{value / beside:>8.0%}" if beside else ""))
    print(f"  deep, all cores, of cryptography x cores: {rates.deep_all_cores / (rates.cryptography * cores):.0%}")


def _own_seconds() -> float:
    own, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


if __name__ == "__main__":
    sys.exit(main())
