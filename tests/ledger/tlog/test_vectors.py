"""The checked-in vectors: made again they are the same, and each tampering gets the verdict written beside it."""

import json
import subprocess
import sys
from base64 import b64decode
from pathlib import Path
from shutil import copytree

import pytest

import ledger
from ledger import verification
from ledger.attachments import ATTACHMENT_FIELDS
from ledger.tlog.checkpoint import Checkpoint
from ledger.tlog.commitment import commit, opens
from ledger.tlog.entry import KINDS, open_entry
from ledger.tlog.merkle import Frontier, leaf_hash
from ledger.tlog.note import Verifier
from ledger.tlog.verify import CHECKS, Policy, verify_entries
from tests.vectors import generate

FOLDER = generate.FOLDER
EXPECTED = json.loads((FOLDER / "golden/expected.json").read_bytes())
POLICY = Policy(EXPECTED["origin"], (EXPECTED["vkey"],))
NOTES = [path.read_bytes() for path in sorted((FOLDER / "golden/entries").glob("*.note"))]
CHECKPOINT = (FOLDER / "golden/checkpoint.note").read_bytes()
TAMPERED = sorted((FOLDER / "tampered").glob("*.json"))


def test_the_files_are_what_the_generator_makes():
    made = generate.files()
    assert {path.relative_to(FOLDER).as_posix() for path in generate.on_disk()} == set(made)
    for name, data in made.items():
        assert (FOLDER / name).read_bytes() == data, f"{name}: run python -m tests.vectors.generate"


def test_the_golden_log_is_intact():
    verdict = verify_entries(NOTES, checkpoint=CHECKPOINT, policy=POLICY)
    assert (verdict.status, verdict.size, verdict.root) == ("intact_unwitnessed", EXPECTED["size"], EXPECTED["root"])


def test_the_golden_entries_are_as_written():
    verifier = Verifier.from_vkey((FOLDER / "golden/log.vkey").read_text().rstrip("\n"))
    frontier = Frontier()
    for note, expected in zip(NOTES, EXPECTED["entries"], strict=True):
        entry = open_entry(note, verifier=verifier)
        frontier.append(leaf_hash(note))
        assert {name: getattr(entry, name) for name in ("index", "kind", "subject", "subject_seq")} == {
            name: expected[name] for name in ("index", "kind", "subject", "subject_seq")
        }
        assert leaf_hash(note).hex() == expected["leaf_hash"]
        assert frontier.root().hex() == expected["root_up_to_here"]


def test_the_golden_commitments_open():
    for known in EXPECTED["commitments"]:
        salt, value = bytes.fromhex(known["salt"]), bytes.fromhex(known["value"])
        assert commit(salt=salt, value=value) == known["commitment"]
        assert opens(known["commitment"], salt=salt, value=value)
        assert any(known["commitment"].encode() in note for note in NOTES)


def test_the_example_in_the_docs_is_the_golden_log():
    """docs/ledger-format.md works one entry by hand, and lists the kinds and checks that there are."""
    page = (FOLDER.parents[1] / "docs" / "ledger-format.md").read_text()
    shown = page.partition("## One entry by hand")[2]
    text, _, line = NOTES[10].decode().partition("\n\n")
    assert text in shown.replace("\n", "")
    assert line in shown
    assert CHECKPOINT.decode() in shown
    for index in (9, 5, 10):
        assert f"{leaf_hash(NOTES[index]).hex()}  -" in shown
    assert f"{len(NOTES[10])} bytes" in shown
    assert set(page.partition("\nKinds: `")[2].partition("`")[0].split()) == KINDS
    for check in (*CHECKS, *verification.CHECKS, "checkpoint_size", "known_size", "empty"):
        assert f"`{check}`" in page
    named = page.partition("## Attachments")[2].partition("\n## ")[0]
    for kind, fields in ATTACHMENT_FIELDS.items():
        assert f"| `{kind}` | {', '.join('`' + '.'.join(path) + '`' for path in fields)} |" in named


@pytest.mark.parametrize("path", TAMPERED, ids=lambda path: path.stem)
def test_a_tampered_log_gets_its_verdict(path):
    case = json.loads(path.read_bytes())
    notes = [NOTES[entry] if isinstance(entry, int) else b64decode(entry) for entry in case["log"]]
    checkpoint = case["checkpoint"]
    if checkpoint is not None:
        checkpoint = CHECKPOINT if checkpoint == "golden" else b64decode(checkpoint)
    known = None
    if "known" in case:
        known = Checkpoint(POLICY.origin, case["known"]["size"], bytes.fromhex(case["known"]["root"]))
    verdict = verify_entries(notes, checkpoint=checkpoint, policy=POLICY, known=known)
    found = {name: getattr(verdict, name) for name in ("status", "check", "broken_at", "uncovered")}
    assert found == case["verdict"], case["about"]
    if not verdict.intact:
        assert verdict.expected
        assert verdict.found
        assert verdict.expected != verdict.found


def test_every_check_has_a_tampering():
    checks = {json.loads(path.read_bytes())["verdict"]["check"] for path in TAMPERED}
    # A pinned key that cannot be read is nothing that happened to the log.
    assert checks == set(CHECKS) - {"policy"} | {"checkpoint_size", "known_size", "empty", ""}


def test_the_folder_verifies_alone(tmp_path):
    """An auditor takes ledger/tlog and nothing else of the product, and runs it where there is no Django."""
    copytree(Path(ledger.__file__).parent / "tlog", tmp_path / "ledger" / "tlog")
    (tmp_path / "ledger" / "__init__.py").touch()
    program = """
import sys
from pathlib import Path
from ledger.tlog import base64_strict, canonical, checkpoint, commitment, entry, errors, merkle, note, times, verify
golden = Path(sys.argv[1])
policy = verify.Policy(sys.argv[2], ((golden / "log.vkey").read_text().strip(),))
notes = (path.read_bytes() for path in sorted((golden / "entries").iterdir()))
verdict = verify.verify_entries(notes, checkpoint=(golden / "checkpoint.note").read_bytes(), policy=policy)
ours = {name.split(".")[0] for name in sys.modules} & {"django", "accounts", "custody", "shipments", "biometrics"}
sys.stdout.write(f"{verdict.sentence()} {sorted(ours)}")
"""
    ran = subprocess.run(
        [sys.executable, "-c", program, FOLDER / "golden", EXPECTED["origin"]],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.stdout == "Intact, unwitnessed: all 12 entries under the checkpoint are sound. []", ran.stderr
