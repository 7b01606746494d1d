"""The checked-in vectors: made again they are the same, and each tampering gets the verdict written beside it."""

import json
import subprocess
import sys
from base64 import b64decode
from hashlib import sha256
from pathlib import Path
from shutil import copytree

import pytest
import rfc8785

import ledger
from ledger import verification
from ledger.tlog import canonical, merkle
from ledger.tlog.attachment_names import ATTACHMENT_FIELDS
from ledger.tlog.bundle import verify_bundle
from ledger.tlog.bundle_contents import BUNDLE_CHECKS
from ledger.tlog.checkpoint import Checkpoint
from ledger.tlog.commitment import commit, opens
from ledger.tlog.entry import KINDS, open_entry, parse_entry
from ledger.tlog.errors import NotCanonical
from ledger.tlog.index_epoch import SubjectHead, epoch_body
from ledger.tlog.merkle import Frontier, leaf_hash
from ledger.tlog.note import Verifier, open_note
from ledger.tlog.policy import Policy, parse_policy
from ledger.tlog.proof import parse_proof
from ledger.tlog.tiles import TileTree, decode_bundle, parse_path, tiles_of
from ledger.tlog.verdict import CHECKS
from ledger.tlog.verify import verify_entries
from tests.corpus.cases import all_classes
from tests.ledger.tlog.test_merkle import CT_CONSISTENCY, CT_INCLUSION, CT_LEAVES, CT_ROOTS
from tests.vectors import generate

FOLDER = generate.FOLDER
EXPECTED = json.loads((FOLDER / "golden/expected.json").read_bytes())
POLICY = Policy.pin(EXPECTED["origin"], EXPECTED["vkey"])
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
    """Here, or in the tamper corpus over random logs."""
    checks = {json.loads(path.read_bytes())["verdict"]["check"] for path in TAMPERED}
    for tampering in all_classes().values():
        checks.update(tampering.case(0).checks)
    # A pinned key that cannot be read is nothing that happened to the log; timestamps come from a real authority.
    elsewhere = {"policy", "timestamp", "timestamp_root", "timestamp_late", "timestamp_unchecked"}
    assert checks == {*CHECKS, *BUNDLE_CHECKS, "checkpoint_size", "known_size", "empty", ""} - elsewhere


TREES = json.loads((FOLDER / "golden/trees/expected.json").read_bytes())


@pytest.mark.parametrize("tree", TREES, ids=lambda tree: str(tree["size"]))
def test_the_trees_are_as_written(tree):
    size = tree["size"]
    leaves = [leaf_hash(str(number).encode()) for number in range(size)]
    assert merkle.root(leaves).hex() == tree["root"]
    assert list(tree["tiles"]) == [tile.path() for tile in tiles_of(size)]
    folder = FOLDER / "golden/trees" / str(size)
    for path, digest in tree["tiles"].items():
        tile = parse_path(path)
        if tile.level == 0:
            data = b"".join(leaves[tile.index * 256 : tile.index * 256 + tile.width])
            assert sha256(data).hexdigest() == digest
        if (folder / path).exists() or size < 70_000:
            assert sha256((folder / path).read_bytes()).hexdigest() == digest
    for index, path in tree["inclusion"].items():
        proof = [bytes.fromhex(step) for step in path]
        root = bytes.fromhex(tree["root"])
        merkle.verify_inclusion(leaf=leaves[int(index)], index=int(index), size=size, proof=proof, root=root)
    for old, path in tree["consistency"].items():
        merkle.verify_consistency(
            old_size=int(old),
            old_root=merkle.root(leaves[: int(old)]),
            size=size,
            root=bytes.fromhex(tree["root"]),
            proof=[bytes.fromhex(step) for step in path],
        )


def test_the_tiles_on_disk_make_the_proofs():
    """An auditor builds proofs from tiles alone."""
    for tree in TREES[1:6]:
        folder = FOLDER / "golden/trees" / str(tree["size"])
        made = TileTree(tree["size"], lambda tile, folder=folder: (folder / tile.path()).read_bytes())
        assert made.root().hex() == tree["root"]
        for index, path in tree["inclusion"].items():
            assert [step.hex() for step in made.inclusion_proof(int(index))] == path
    entries = decode_bundle((FOLDER / "golden/trees/257/tile/entries/001.p/1").read_bytes())
    assert entries == [b"256"]


def test_the_cosigned_checkpoint_reaches_its_policys_quorum():
    folder = FOLDER / "golden/cosigned"
    policy = parse_policy((folder / "policy").read_bytes())
    checkpoint = (folder / "checkpoint.note").read_bytes()
    verdict = verify_entries(NOTES, checkpoint=checkpoint, policy=policy)
    assert (verdict.status, verdict.witnesses) == ("intact_and_witnessed", ("carrier", "customs"))
    assert verify_entries(NOTES, checkpoint=CHECKPOINT, policy=policy).status == "intact_unwitnessed"


@pytest.mark.parametrize("index", [0, 5, 11])
def test_a_golden_proof_leads_to_the_checkpoint(index):
    folder = FOLDER / "golden/cosigned"
    proof = parse_proof((folder / f"{index}.tlog-proof").read_bytes())
    assert (proof.index, proof.checkpoint) == (index, (folder / "checkpoint.note").read_bytes())
    merkle.verify_inclusion(
        leaf=leaf_hash(NOTES[index]),
        index=index,
        size=EXPECTED["size"],
        proof=proof.path,
        root=bytes.fromhex(EXPECTED["root"]),
    )


def test_the_rotated_log_is_followed_from_its_first_key():
    folder = FOLDER / "golden/rotated"
    expected = json.loads((folder / "expected.json").read_bytes())
    policy = parse_policy((folder / "policy").read_bytes())
    assert policy.vkeys == (expected["first_key"],)
    notes = [path.read_bytes() for path in sorted((folder / "entries").glob("*.note"))]
    verdict = verify_entries(notes, checkpoint=(folder / "checkpoint.note").read_bytes(), policy=policy)
    assert (verdict.status, verdict.root) == ("intact_unwitnessed", expected["root"])
    at = expected["rotation"]
    both = (folder / "checkpoint-at-rotation.note").read_bytes()
    for vkey in ("first_key", "second_key"):
        assert open_note(both, Verifier.from_vkey(expected[vkey]))
    assert verify_entries(notes[: at + 1], checkpoint=both, policy=policy).intact
    second = verify_entries(notes, checkpoint=None, policy=Policy.pin(EXPECTED["origin"], expected["second_key"]))
    assert (second.check, second.broken_at) == ("signature", 0)
    for epoch in expected["epochs"]:
        body = parse_entry(notes[epoch["entry"]]).body
        heads = [SubjectHead.decode(bytes.fromhex(leaf)) for leaf in epoch["leaves"]]
        assert epoch_body(heads) == body


def test_the_golden_bundle_shows_its_shipment_whole():
    folder = FOLDER / "golden/rotated"
    policy = parse_policy((folder / "policy").read_bytes())
    verdict = verify_bundle(folder / "shipment.zip", policy=policy)
    assert (verdict.status, verdict.entries, verdict.complete_up_to) == ("intact_unwitnessed", 3, 7)


def test_the_answers_of_rfc_6962():
    answers = json.loads((FOLDER / "golden/rfc6962.json").read_bytes())
    assert answers["leaves"] == [leaf.hex() for leaf in CT_LEAVES]
    assert answers["roots"] == CT_ROOTS
    paths = {(each["index"], each["size"]): each["path"] for each in answers["inclusion"]}
    assert CT_INCLUSION.items() <= paths.items()
    paths = {(each["old"], each["size"]): each["path"] for each in answers["consistency"]}
    assert CT_CONSISTENCY.items() <= paths.items()


def test_the_answers_of_rfc_8785():
    for case in json.loads((FOLDER / "golden/rfc8785.json").read_bytes()):
        value = json.loads(case["text"])
        if case["canonical"]:
            assert b64decode(case["canonical"]) == rfc8785.dumps(value) == canonical.encode(value)
        else:
            with pytest.raises(NotCanonical):
                canonical.encode(value)


def test_the_folder_verifies_alone(tmp_path):
    """An auditor takes ledger/tlog and nothing else of the product, and runs it where there is no Django."""
    copytree(Path(ledger.__file__).parent / "tlog", tmp_path / "ledger" / "tlog")
    (tmp_path / "ledger" / "__init__.py").touch()
    program = """
import sys
from pathlib import Path
from ledger.tlog import base64_strict, canonical, checkpoint, commitment, entry, errors, merkle, note, times, verify
golden = Path(sys.argv[1])
policy = verify.Policy.pin(sys.argv[2], (golden / "log.vkey").read_text().strip())
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
