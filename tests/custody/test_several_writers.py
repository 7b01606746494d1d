"""Two threads, and two processes, hand over at once on one SQLite file: no fork, no gap, no lock error."""

import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from ledger.tlog.entry import parse_entry

ROOT = Path(__file__).resolve().parent.parent.parent
SHIPMENTS = 6

pytestmark = pytest.mark.slow


def run(var: Path, photos: Path, *arguments: str) -> subprocess.Popen[str]:
    environment = os.environ | {"CUSTODY_VAR": str(var), "CUSTODY_PHOTOS": str(photos)}
    environment.pop("DJANGO_SETTINGS_MODULE", None)
    return subprocess.Popen(
        [sys.executable, "-m", "tests.custody.hand_over_many", *arguments],
        cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


@pytest.mark.parametrize(
    "workers", [[["jrz-dock-1", "elp-dock-1"]], [["jrz-dock-1"], ["elp-dock-1"]]], ids=["two threads", "two processes"]
)
def test_every_acknowledged_handoff_is_one_sealed_entry(tmp_path, photos, workers):
    made = run(tmp_path, photos, "make", str(SHIPMENTS))
    _, said = made.communicate(timeout=240)
    assert made.returncode == 0, said
    running = [run(tmp_path, photos, "work", *docks) for docks in workers]
    reports = []
    for process in running:
        out, err = process.communicate(timeout=240)
        assert process.returncode == 0, err
        reports.append(json.loads(out))
    assert [fault for report in reports for fault in report["faults"]] == []
    acknowledged = [handoff for report in reports for handoff in report["acknowledged"]]
    assert len(acknowledged) == 2 * SHIPMENTS

    # Read the file itself, without the product: what is on disk is what counts.
    with closing(sqlite3.connect(tmp_path / "custody.sqlite3")) as database:
        notes = [bytes(note) for (note,) in database.execute('SELECT note FROM ledger_entry ORDER BY "index"')]
        pending = database.execute("SELECT COUNT(*) FROM ledger_statement WHERE entry_id IS NULL").fetchone()
    assert pending == (0,)
    sealed = [parse_entry(note) for note in notes]
    assert [entry.index for entry in sealed] == list(range(len(sealed)))
    handed_over = [entry.body["handoff"] for entry in sealed if entry.kind == "handoff"]
    assert sorted(handed_over) == sorted(set(handed_over))
    assert {f"urn:uuid:{handoff}" for handoff in acknowledged} <= set(handed_over)

    verdict = subprocess.run(
        [sys.executable, "manage.py", "verify_ledger"],
        cwd=ROOT,
        env=os.environ | {
            "CUSTODY_VAR": str(tmp_path), "CUSTODY_DEMO": "1", "DJANGO_SETTINGS_MODULE": "custody.settings"
        },
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert verdict.returncode == 0, verdict.stdout + verdict.stderr
    assert "Intact" in verdict.stdout
