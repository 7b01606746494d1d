"""``custody-verify.pyz`` in an interpreter that has ``cryptography`` and nothing else, away from the sources."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ledger.tlog.pyz import build

from .tlog.bundles import ORIGIN, SHIPMENTS, Log, log_members, put, signer, subject_members


@pytest.fixture(autouse=True)
def own_log() -> None:
    """Stand in for the fixture of that name: there is no deployment here."""


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    """Return what runs the archive with a path that holds ``cryptography`` and what it needs."""
    folder = tmp_path_factory.mktemp("bare")
    packages, elsewhere = folder / "packages", folder / "elsewhere"
    packages.mkdir()
    elsewhere.mkdir()
    for name in ("cryptography", "cffi", "_cffi_backend"):
        spec = importlib.util.find_spec(name)
        if spec and spec.origin:
            origin = Path(spec.origin)
            source = origin.parent if origin.name == "__init__.py" else origin
            (packages / source.name).symlink_to(source)
    archive = folder / "custody-verify.pyz"
    build(archive)

    def run(*arguments: object) -> subprocess.CompletedProcess:
        return subprocess.run(
            # -S: no site-packages, nothing but what PYTHONPATH names.
            [sys.executable, "-S", archive, *map(str, arguments)],
            cwd=elsewhere,
            env={"PYTHONPATH": str(packages), "PATH": os.environ["PATH"]},
            capture_output=True,
            text=True,
            timeout=120,
        )

    run.archive = archive
    return run


def test_it_verifies_where_only_cryptography_is_installed(bare, tmp_path):
    log = Log()
    for n in range(6):
        log.hand_over(SHIPMENTS[n % 3])
    log.seal_epoch()
    key = ("--origin", ORIGIN, "--vkey", signer().vkey)
    found = bare("verify", put(tmp_path, log_members(log)), *key)
    assert (found.returncode, found.stderr) == (0, "")
    assert found.stdout.startswith("Intact, unwitnessed: all 8 entries under the checkpoint are sound.\n")
    found = bare("verify", put(tmp_path, subject_members(log, SHIPMENTS[0])), *key)
    assert "complete up to entry 7" in found.stdout
    broken = subject_members(log, SHIPMENTS[0]) | {"entry/4.note": log.notes[5]}
    found = bare("verify", put(tmp_path, broken), *key)
    assert (found.returncode, found.stderr) == (1, "")
    assert found.stdout.startswith("Broken at entry 4: ")


def test_several_processes_work_from_the_archive(bare, tmp_path):
    log = Log()
    while len(log.notes) < 8300:  # three chunks of work
        log.add("handoff", SHIPMENTS[0], {})
    path = put(tmp_path, log_members(log, log.checkpoint()))
    found = bare("verify", path, "--vkey", signer().vkey, "--workers", 2, "--json")
    assert found.stderr == ""
    assert json.loads(found.stdout)["entries"] == 8300


def test_without_keys_or_a_command_it_refuses(bare, tmp_path):
    path = put(tmp_path, log_members(Log()))
    found = bare("verify", path)
    assert (found.returncode, found.stdout) == (2, "")
    assert bare().returncode == 2


def test_it_holds_the_verifier_alone_and_is_the_same_each_time(bare, tmp_path):
    again = tmp_path / "dist" / "again.pyz"
    build(again)
    assert again.read_bytes() == bare.archive.read_bytes()
    assert again.read_bytes().startswith(b"#!/usr/bin/env python3\n")
    assert os.access(again, os.X_OK)


def test_a_reader_who_stops_listening_is_no_fault_of_the_log(bare, tmp_path):
    path = put(tmp_path, log_members(Log()))
    command = f"{sys.executable} -S {bare.archive} verify {path} --vkey {signer().vkey}"
    env = {"PYTHONPATH": str(bare.archive.parent / "packages"), "PATH": os.environ["PATH"]}
    ran = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command} | true"], env=env, capture_output=True, text=True, timeout=60
    )
    assert (ran.returncode, ran.stderr) == (0, "")
