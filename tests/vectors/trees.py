"""
Trees, proofs, cosignatures, a rotation, epochs and a bundle: what another verifier needs beyond the golden twelve.

Leaf *i* of a tree here is the decimal number *i* as ASCII. All of it is made again the same, keys and times too.
"""

import io
import json
import zipfile
from base64 import b64encode
from datetime import timedelta
from functools import cache
from hashlib import sha256
from random import Random
from typing import Any

from ledger.tlog import canonical, merkle
from ledger.tlog.checkpoint import Checkpoint, sign_checkpoint
from ledger.tlog.cosignature import Cosigner
from ledger.tlog.index_epoch import SubjectHead
from ledger.tlog.merkle import leaf_hash
from ledger.tlog.note import Signer
from ledger.tlog.policy import Group, PinnedKey, Policy, Witness
from ledger.tlog.proof import TlogProof
from ledger.tlog.tiles import TileTree, bundles_of, encode_bundle, tiles_of
from tests.corpus.bundles import SUBJECT, make_bundle
from tests.corpus.worlds import EPOCH, ROTATION, Sealer, Statement, World
from tests.vectors.golden_log import BEGINNING, GOLDEN, GOLDEN_CHECKPOINT, LOG, ORIGIN, key, urn

SIZES = (0, 1, 2, 255, 256, 257, 70_000)
# Of the largest tree a few tiles stand here whole, of all others every one.
WHOLE = ("tile/0/273.p/112", "tile/1/000", "tile/1/001.p/17", "tile/2/000.p/1")
COSIGNED_AT = 1_795_356_600

WITNESSES = tuple(
    Cosigner(f"witness.example/{name}", key(f"witness {name}")) for name in ("carrier", "customs", "port")
)
NEXT = Signer(ORIGIN, key("the log's second key"))

# merkle_tree_test.cc of Certificate Transparency's reference implementation.
CT_LEAVES = ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
# Texts and what they are in RFC 8785, of its sections 3.2.2.2, 3.2.3 and appendix B, as far as the log admits them.
JCS = (
    r'{"string": "\u20ac$\u000F\u000aA' + r"'\u0042\u0022\u005c\\\"\/" + '", "literals": [null, true, false]}',
    r'{"1": {"f": {"f": "hi", "F": 5}, "\n": 56}, "10": {}, "": "empty", "a": {}, "111": [], "A": {}}',
    r'[56, {"d": true, "10": null, "1": []}]',
    r'{"largest": 9007199254740991, "smallest": -9007199254740991, "zero": 0}',
    r'{"peach": "This sorting order", "\u00e9": 1}',
)


@cache
def leaves(size: int) -> list[bytes]:
    return [leaf_hash(b"%d" % number) for number in range(size)]


@cache
def tiles(size: int) -> dict[str, bytes]:
    levels = [leaves(size)]
    while len(levels[-1]) >= 256:
        below = levels[-1]
        levels.append([merkle.root(below[at : at + 256]) for at in range(0, len(below) // 256 * 256, 256)])
    return {
        tile.path(): b"".join(levels[tile.level or 0][tile.index * 256 : tile.index * 256 + tile.width])
        for tile in tiles_of(size)
    }


def tree_files() -> dict[str, bytes]:
    files, trees = {}, []
    for size in SIZES:
        made = tiles(size)
        tree = TileTree(size, lambda tile, made=made: made[tile.path()])  # type: ignore[misc]
        indexes = sorted({0, 1, size // 2, size - 1} & set(range(size)))
        olds = sorted({0, 1, 2, 255, 256, 4096, size - 1, size} & set(range(size + 1)))
        trees.append(
            {
                "size": size,
                "root": tree.root().hex(),
                "tiles": {path: sha256(data).hexdigest() for path, data in made.items()},
                "entry_bundles": {
                    tile.path(): sha256(bundle(tile.index, tile.width)).hexdigest() for tile in bundles_of(size)
                },
                "inclusion": {index: [step.hex() for step in tree.inclusion_proof(index)] for index in indexes},
                "consistency": {old: [step.hex() for step in tree.consistency_proof(old)] for old in olds},
            }
        )
        for path, data in made.items():
            if size < 70_000 or path in WHOLE:
                files[f"golden/trees/{size}/{path}"] = data
    files["golden/trees/257/tile/entries/001.p/1"] = bundle(1, 1)
    files["golden/trees/expected.json"] = _json(trees)
    return files


def bundle(index: int, width: int) -> bytes:
    return encode_bundle(b"%d" % number for number in range(index * 256, index * 256 + width))


def proof_files() -> dict[str, bytes]:
    """Proofs of the golden log's entries, to its checkpoint with two witnesses' cosignatures, and the policy for it."""
    text = Checkpoint(ORIGIN, len(GOLDEN), merkle.root(map(leaf_hash, GOLDEN))).text()
    lines = [witness.cosign(text, timestamp=COSIGNED_AT + n).line() for n, witness in enumerate(WITNESSES[:2])]
    cosigned = GOLDEN_CHECKPOINT + "".join(lines).encode()
    policy = Policy(
        ORIGIN,
        (PinnedKey(LOG.vkey),),
        tuple(Witness(by.name.rpartition("/")[2], by.vkey, f"https://{by.name}") for by in WITNESSES),
        (Group("two-of-three", 2, ("carrier", "customs", "port")),),
        "two-of-three",
    )
    hashes = [leaf_hash(data) for data in GOLDEN]
    files = {
        "golden/cosigned/checkpoint.note": cosigned,
        "golden/cosigned/policy": policy.encode().encode(),
    }
    for index in (0, 5, 11):
        proof = TlogProof(index, tuple(merkle.inclusion_proof(hashes, index)), cosigned)
        files[f"golden/cosigned/{index}.tlog-proof"] = proof.encode()
    return files


@cache
def rotated() -> World:
    """A log with a rotation between two epochs."""
    log, boots, coffee = urn("the rotated log"), urn("shipment boots"), urn("shipment coffee")
    after = int(timedelta(seconds=61, milliseconds=7) / timedelta(milliseconds=1))
    statements = (
        Statement("genesis", log, {"format": "custody-ledger/v1", "vkey": LOG.vkey}),
        Statement("declaration", boots, {"n": 1}, after),
        Statement("declaration", coffee, {"n": 2}, after),
        Statement(EPOCH, log, after_ms=after),
        Statement("seal_applied", boots, {"n": 4}, after),
        Statement(ROTATION, log, after_ms=after, new=NEXT),
        Statement("inspection", boots, {"n": 6}, after),
        Statement(EPOCH, log, after_ms=after),
        Statement("release", coffee, {"n": 8}, after),
    )
    sealer = Sealer(LOG, now=BEGINNING)
    for statement in statements:
        sealer.seal(statement)
    return World(statements, sealer, Policy(ORIGIN, (PinnedKey(LOG.vkey),)))


def rotated_files() -> dict[str, bytes]:
    world = rotated()
    checkpoint = sign_checkpoint(Checkpoint(ORIGIN, world.size, merkle.root(world.leaves)), NEXT)
    files = {f"golden/rotated/entries/{index:05}.note": data for index, data in enumerate(world.notes)}
    # At the rotation itself, both keys sign.
    both = Checkpoint(ORIGIN, 6, merkle.root(world.leaves[:6]))
    files["golden/rotated/checkpoint.note"] = checkpoint
    files["golden/rotated/checkpoint-at-rotation.note"] = (
        sign_checkpoint(both, LOG) + NEXT.sign(both.text()).line().encode()
    )
    files["golden/rotated/policy"] = world.policy.encode().encode()
    epochs = []
    for index in world.places(EPOCH):
        heads: dict[str, tuple[int, bytes]] = {}
        for statement, leaf in zip(world.statements[:index], world.leaves[:index], strict=True):
            heads[statement.subject] = (heads.get(statement.subject, (0, b""))[0] + 1, leaf)
        ordered = sorted(SubjectHead.of(subject, *head) for subject, head in heads.items())
        epochs.append({"entry": index, "leaves": [head.encode().hex() for head in ordered]})
    expected = {
        "first_key": LOG.vkey,
        "second_key": NEXT.vkey,
        "rotation": 5,
        "size": world.size,
        "root": merkle.root(world.leaves).hex(),
        "epochs": epochs,
    }
    files["golden/rotated/expected.json"] = _json(expected)
    files["golden/rotated/shipment.zip"] = _shipment(world)
    return files


def _shipment(world: World) -> bytes:
    """The bundle of the shipment of boots, stored and not deflated: the same bytes whatever library wrote it."""
    about = urn("shipment boots")
    made = next(one for n in range(100) if (one := make_bundle(Random(n), world, SUBJECT)).about["subject"] == about)
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in made.members.items():
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), data)
    return file.getvalue()


def known_answers() -> dict[str, bytes]:
    hashes = [leaf_hash(bytes.fromhex(leaf)) for leaf in CT_LEAVES]
    answers: dict[str, Any] = {
        "about": "the eight leaves of Certificate Transparency's reference implementation (RFC 6962)",
        "leaves": CT_LEAVES,
        "roots": [merkle.root(hashes[:size]).hex() for size in range(9)],
        "inclusion": [
            {
                "index": index,
                "size": size,
                "path": [step.hex() for step in merkle.inclusion_proof(hashes[:size], index)],
            }
            for size in range(1, 9)
            for index in range(size)
        ],
        "consistency": [
            {"old": old, "size": size, "path": [step.hex() for step in merkle.consistency_proof(hashes[:size], old)]}
            for size in range(1, 9)
            for old in range(1, size + 1)
        ],
    }
    return {"golden/rfc6962.json": _json(answers), "golden/rfc8785.json": _json(_jcs())}


def _jcs() -> list[dict[str, str]]:
    found = []
    for text in JCS:
        try:
            made = b64encode(canonical.encode(json.loads(text))).decode()
        except canonical.NotCanonical:
            made = ""  # keys that are not ASCII: the log admits none
        found.append({"text": text, "canonical": made})
    return found


def _json(value: Any) -> bytes:
    return json.dumps(value, indent=1, ensure_ascii=False).encode() + b"\n"


def files() -> dict[str, bytes]:
    return tree_files() | proof_files() | rotated_files() | known_answers()
