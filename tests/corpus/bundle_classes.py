"""What can be done to a bundle on its way to whoever opens it, and what an operator could leave out of it."""

import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from random import Random
from typing import Any

from ledger.tlog import canonical, note
from ledger.tlog.attachment_names import named_in
from ledger.tlog.merkle import leaf_hash
from ledger.tlog.proof import parse_proof
from ledger.tlog.tiles import bundles_of, encode_bundle
from tests.corpus.bundles import LOG, RANGE, SUBJECT, Bundle, epoch_heads, epoch_leaf, make_bundle, pack
from tests.corpus.cases import BROKEN, INCOMPLETE, Case, tampering
from tests.corpus.log_classes import cut_at, flipped, handed_over_by_a_thief, with_fields
from tests.corpus.worlds import ELSEWHERE, EPOCH, STRANGER, World, make_body

SCOPES = (LOG, RANGE, SUBJECT)
PARTS = (RANGE, SUBJECT)


def of(bundle: Bundle, at: int | None, *checks: str, status: str = BROKEN, data: bytes | None = None) -> Case:
    packed = bundle.pack() if data is None else data
    return Case(status, checks, at, bundle.world.policy, bundle=packed)


def pick(rng: Random, names: Iterable[str]) -> str:
    return rng.choice(sorted(names))


def some_bundle(rng: Random, world: World, *scopes: str, having: Callable[[Bundle], Any] = bool) -> Bundle:
    """A bundle that has what ``having`` looks for; the first of a few tries, or the whole log."""
    for _ in range(30):
        bundle = make_bundle(rng, world, rng.choice(scopes))
        if having(bundle):
            return bundle
    raise AssertionError("no such bundle of this log")


# --- the file ---------------------------------------------------------------------------------------------------------


@tampering(min_size=3, max_size=20, epochs=None)
def bundle_cut(rng, world):
    bundle = some_bundle(rng, world, LOG, RANGE)
    packed = bundle.pack()
    return of(bundle, None, "bundle", data=packed[: rng.randrange(len(packed))])


@tampering(min_size=3, max_size=20)
def bundle_of_garbage(rng, world):
    bundle = some_bundle(rng, world, LOG, RANGE)
    garbage = rng.choice([b"", b"PK\3\4", b"PK\5\6" + bytes(18), rng.randbytes(100), bytes(1000), b"PK\1\2" * 20])
    return of(bundle, None, "bundle", data=garbage)


@tampering(min_size=3, max_size=20)
def bundle_behind_other_bytes(rng, world):
    bundle = some_bundle(rng, world, LOG, RANGE)
    return of(bundle, None, "bundle", data=rng.randbytes(rng.randint(1, 50)) + bundle.pack())


@tampering(min_size=3, max_size=20)
def bundle_with_a_comment(rng, world):
    bundle = some_bundle(rng, world, LOG, RANGE)
    return of(bundle, None, "bundle", data=bundle.pack(comment=b"all is well"))


@tampering(min_size=3, max_size=20)
def bundle_member_twice(rng, world):
    bundle = some_bundle(rng, world, LOG, RANGE)
    return of(bundle, None, "bundle", data=bundle.pack(repeated=pick(rng, bundle.members)))


@tampering(min_size=3, max_size=20)
def bundle_member_renamed(rng, world):
    bundle = some_bundle(rng, world, LOG, RANGE)
    name = pick(rng, bundle.members)
    bundle.members[f"{name}~"] = bundle.members.pop(name)
    return of(bundle, None, "bundle")


@tampering(min_size=3, max_size=20)
def bundle_member_too_many(rng, world):
    bundle = some_bundle(rng, world, LOG, RANGE)
    names = [
        *("verdict.json", "entry/", "entry/00.note", "entry/0.sig", "../checkpoint", "/checkpoint", "Checkpoint"),
        *("attachments/" + "0" * 64, "attachments/" + "0" * 63, "tile/0/999", "tile/9/000", "notes/0", "policy/x"),
        *("timestamps/1.note", "disclosures/x.json", "entry/999999.note", "checkpoint\n", "tile/0/../x"),
    ]
    name = rng.choice(names)
    return of(bundle, None, "bundle", data=pack([*bundle.members.items(), (name, b"x")]))


@tampering(min_size=3, max_size=20)
def bundle_json_changed(rng, world):
    bundle = some_bundle(rng, world, LOG, RANGE)
    changed = rng.choice(
        [
            {"format": "custody-bundle/v2"},
            {"scope": "everything"},
            {"scope": SUBJECT},
            {"scope": None},
            {"size": -1},
            {"size": True},
            {"size": str(world.size)},
            {"size": world.size + rng.choice([1, 7, 10**9])},
            {"more": 1},
            {"subject": "urn:uuid:00000000-0000-4000-8000-000000000000"},
        ]
    )
    bundle.set_json("bundle.json", **changed)
    return of(bundle, None, "bundle")


@tampering(min_size=3, max_size=20)
def bundle_json_spelled_otherwise(rng, world):
    bundle = some_bundle(rng, world, LOG, RANGE)
    data = bundle.members["bundle.json"]
    ways = [data + b"\n", b" " + data, data.replace(b":", b": "), b"\xef\xbb\xbf" + data, data[:-1], b"", b"[]"]
    bundle.members["bundle.json"] = rng.choice(
        [*ways, data.replace(b"{", b'{"size":1,', 1), data.decode().encode("utf-16")]
    )
    return of(bundle, None, "bundle")


@tampering(min_size=3, max_size=20)
def bundle_json_missing(rng, world):
    bundle = some_bundle(rng, world, LOG, RANGE)
    del bundle.members["bundle.json"]
    return of(bundle, None, "bundle")


# --- its checkpoint ---------------------------------------------------------------------------------------------------


@tampering(min_size=3, max_size=20)
def bundle_checkpoint_missing(rng, world):
    bundle = some_bundle(rng, world, LOG, RANGE)
    del bundle.members["checkpoint"]
    return of(bundle, None, "checkpoint_missing")


@tampering(min_size=3, max_size=20)
def bundle_checkpoint_by_a_stranger(rng, world):
    """Also where every proof leads to it."""
    bundle = some_bundle(rng, world, LOG, RANGE)
    forged = world.sealer.checkpoint(STRANGER)
    for name, data in bundle.members.items():
        if name.endswith(".tlog-proof"):
            bundle.members[name] = replace(parse_proof(data), checkpoint=forged).encode()
    bundle.members["checkpoint"] = forged
    return of(bundle, None, "checkpoint_signature")


@tampering(min_size=3, max_size=20)
def bundle_checkpoint_flipped(rng, world):
    bundle = some_bundle(rng, world, LOG, RANGE)
    parsed = note.parse(world.log_checkpoint)
    once = (parsed.text + "\n" + parsed.signatures[-1].line()).encode()
    bundle.members["checkpoint"] = flipped(rng, once)
    return of(bundle, None, "checkpoint_format", "checkpoint_signature", "checkpoint_origin")


@tampering(min_size=4, max_size=40, rotations=True)
def bundle_by_a_thief_of_a_retired_key(rng, world):
    """Of a log that goes on by a stranger's key where the caller pinned another one."""
    forged, at = handed_over_by_a_thief(rng, world)
    bundle = some_bundle(rng, forged, LOG, RANGE)
    if bundle.scope == LOG:
        return of(bundle, at, "signature")
    return of(bundle, None, "checkpoint_signature")


# --- the entries of a part --------------------------------------------------------------------------------------------


def one_entry(rng: Random, world: World) -> tuple[Bundle, int]:
    bundle = some_bundle(rng, world, *PARTS, having=Bundle.ordinary)
    return bundle, rng.choice(bundle.ordinary())


@tampering(min_size=3, max_size=40)
def bundle_entry_changed(rng, world):
    bundle, index = one_entry(rng, world)
    bundle.members[f"entry/{index}.note"] = with_fields(world.notes[index], body=make_body(rng))
    return of(bundle, index, "signature")


@tampering(min_size=3, max_size=40)
def bundle_entry_flipped(rng, world):
    bundle, index = one_entry(rng, world)
    bundle.members[f"entry/{index}.note"] = flipped(rng, world.notes[index])
    return of(bundle, index, "format", "kind", "origin", "signature")


@tampering(min_size=3, max_size=40)
def bundle_entry_resigned_by_a_stranger(rng, world):
    bundle, index = one_entry(rng, world)
    bundle.members[f"entry/{index}.note"] = note.sign(note.parse(world.notes[index]).text, STRANGER)
    return of(bundle, index, "signature")


@tampering(min_size=3, max_size=40)
def bundle_entry_rewritten_by_the_sealer(rng, world):
    """Signed by the key, but not what the log holds."""
    bundle, index = one_entry(rng, world)
    bundle.members[f"entry/{index}.note"] = world.resealed(
        index, world.statements[index : index + 1], body=make_body(rng)
    ).notes[-1]
    return of(bundle, index, "proof")


@tampering(min_size=3, max_size=40)
def bundle_entry_too_large(rng, world):
    bundle, index = one_entry(rng, world)
    bundle.members[f"entry/{index}.note"] = b"A" * rng.choice([65_536, 70_001, 1_000_000])
    return of(bundle, index, "format")


@tampering(min_size=4, max_size=40, rotations=False)
def bundle_entries_swapped(rng, world):
    bundle = some_bundle(rng, world, *PARTS, having=lambda b: len(b.ordinary()) > 1) if _two(world) else None
    if bundle is None:
        return bundle_entry_changed(rng, world)
    one, other = sorted(rng.sample(bundle.ordinary(), 2))
    names = f"entry/{one}.note", f"entry/{other}.note"
    bundle.members[names[0]], bundle.members[names[1]] = bundle.members[names[1]], bundle.members[names[0]]
    return of(bundle, one, "index")


def _two(world: World) -> bool:
    return sum(statement.kind != EPOCH for statement in world.statements) > 2


@tampering(min_size=3, max_size=40)
def bundle_proof_missing(rng, world):
    bundle, index = one_entry(rng, world)
    del bundle.members[f"entry/{index}.{rng.choice(['note', 'tlog-proof'])}"]
    return of(bundle, None, "bundle")


@tampering(min_size=3, max_size=40)
def bundle_proof_forged(rng, world):
    bundle, index = one_entry(rng, world)
    name = f"entry/{index}.tlog-proof"
    proof = parse_proof(bundle.members[name])
    at = rng.randrange(len(proof.path))
    path = list(proof.path)
    bent = rng.choice(
        [
            [*path[:at], flipped(rng, path[at]), *path[at + 1 :]],
            path[:at] + path[at + 1 :],
            [*path, rng.randbytes(32)],
            [rng.randbytes(32), *path],
            [],
        ]
    )
    bundle.members[name] = replace(proof, path=tuple(bent)).encode()
    return of(bundle, index, "proof")


@tampering(min_size=3, max_size=40)
def bundle_proof_of_another_entry(rng, world):
    bundle, index = one_entry(rng, world)
    other = rng.choice([at for at in range(world.size) if at != index])
    name = f"entry/{index}.tlog-proof"
    bundle.members[name] = replace(parse_proof(bundle.members[name]), index=other).encode()
    return of(bundle, index, "proof")


@tampering(min_size=3, max_size=40)
def bundle_proof_to_another_checkpoint(rng, world):
    """To a checkpoint that the log did sign once."""
    bundle, index = one_entry(rng, world)
    name = f"entry/{index}.tlog-proof"
    old = world.resealed(index + 1, []) if index + 1 < world.size else world.resealed(index, [])
    bundle.members[name] = replace(parse_proof(bundle.members[name]), checkpoint=old.checkpoint()).encode()
    return of(bundle, index, "proof")


@tampering(min_size=3, max_size=40)
def bundle_proof_malformed(rng, world):
    bundle, index = one_entry(rng, world)
    name = f"entry/{index}.tlog-proof"
    data = bundle.members[name]
    ways = [b"", data[:30], data.replace(b"@v1", b"@v2"), data.replace(b"\n", b"\r\n"), b"\xef\xbb\xbf" + data]
    ways += [
        data.replace(b"index ", b"index 0"),
        data.replace(b"index ", b"index -"),
        data + b"\n",
        data.replace(b"=\n", b"\n", 1),
    ]
    bundle.members[name] = rng.choice(ways)
    return of(bundle, index, "proof")


@tampering(min_size=3, max_size=40, rotations=False)
def bundle_entry_of_another_log(rng, world):
    bundle, index = one_entry(rng, world)
    text = note.parse(world.notes[index]).text.replace(world.sealer.signer.name, ELSEWHERE)
    by = replace(world.sealer.signer, name=ELSEWHERE)
    bundle.members[f"entry/{index}.note"] = note.sign(text, by)
    return of(bundle, index, "origin")


# --- a range ----------------------------------------------------------------------------------------------------------


@tampering(min_size=3, max_size=40)
def range_entry_withheld(rng, world):
    bundle = some_bundle(rng, world, RANGE, having=_inside)
    index = rng.choice(_inside(bundle))
    _withhold(bundle, index)
    return of(bundle, index, "range", status=INCOMPLETE)


def _inside(bundle: Bundle) -> list[int]:
    return [index for index in bundle.ordinary() if bundle.about["first"] <= index < bundle.about["stop"]]


def _withhold(bundle: Bundle, index: int) -> None:
    del bundle.members[f"entry/{index}.note"], bundle.members[f"entry/{index}.tlog-proof"]
    entry = bundle.entry(index)
    for name in [name for name in bundle.members if name.startswith(("attachments/", "disclosures/"))]:
        theirs = [f"attachments/{digest}" for digest in named_in(entry.kind, entry.body)]
        if name in theirs or ("sealed" in entry.body and entry.body["sealed"][0]["value"] in name):
            del bundle.members[name]


@tampering(min_size=4, max_size=40, rotations=False)
def range_claimed_wider(rng, world):
    bundle = some_bundle(rng, world, RANGE, having=lambda b: b.about["stop"] < world.size or b.about["first"])
    first, stop = bundle.about["first"], bundle.about["stop"]
    if stop < world.size and (not first or rng.random() < 0.5):
        bundle.set_json("bundle.json", stop=rng.randint(stop + 1, world.size))
        return of(bundle, stop, "range", status=INCOMPLETE)
    claimed = rng.randrange(first)
    bundle.set_json("bundle.json", first=claimed)
    return of(bundle, claimed, "range", status=INCOMPLETE)


@tampering(min_size=4, max_size=40)
def range_malformed(rng, world):
    bundle = some_bundle(rng, world, RANGE)
    ways = [{"first": world.size}, {"stop": 0}, {"stop": world.size + 1}, {"first": -1}, {"stop": None}, {"first": "0"}]
    bundle.set_json("bundle.json", **rng.choice(ways))
    return of(bundle, None, "bundle")


# --- a subject --------------------------------------------------------------------------------------------------------

TOLD: dict[str, Any] = {"min_size": 8, "max_size": 40, "epochs": True, "rotations": False}


def told_subject(rng: Random, world: World) -> tuple[Bundle, list[int], int] | None:
    """A bundle of a subject with entries before the newest epoch, these entries, and the epoch's index."""
    epoch = world.places(EPOCH)[-1]
    for _ in range(30):
        bundle = make_bundle(rng, world, SUBJECT)
        before = [index for index in world.subject_places(bundle.about["subject"]) if index < epoch]
        if before and bundle.about["subject"] != world.statements[0].subject:
            return bundle, before, epoch
    return None


@tampering(**TOLD)
def shipment_entry_withheld(rng, world):
    told = told_subject(rng, world)
    if not told:
        return bundle_entry_changed(rng, world)
    bundle, before, _ = told
    every = world.subject_places(bundle.about["subject"])
    index = rng.choice(before)
    _withhold(bundle, index)
    after = [at for at in every if at > index]
    if after:
        return of(bundle, after[0], "subject_seq")
    return of(bundle, None, "subject_seq", status=INCOMPLETE)


@tampering(**TOLD)
def shipments_newest_entries_withheld(rng, world):
    told = told_subject(rng, world)
    if not told:
        return bundle_entry_changed(rng, world)
    bundle, before, _ = told
    kept = rng.randrange(len(before))
    for index in world.subject_places(bundle.about["subject"])[kept:]:
        _withhold(bundle, index)
    return of(bundle, None, "subject_seq", status=INCOMPLETE)


@tampering(**TOLD)
def shipment_said_to_be_absent(rng, world):
    """All of its entries withheld, and two leaves of the epoch that leave room for it, or pretend to."""
    told = told_subject(rng, world)
    if not told:
        return bundle_entry_changed(rng, world)
    bundle, _, epoch = told
    for index in world.subject_places(bundle.about["subject"]):
        _withhold(bundle, index)
    heads = epoch_heads(world)
    places = rng.sample(range(len(heads)), min(len(heads), rng.choice([0, 1, 2, 2, 2])))
    leaves = [epoch_leaf(heads, place) for place in sorted(places)]
    bundle.members["epoch.json"] = canonical.encode({"entry": epoch, "absent": leaves})
    return of(bundle, epoch, "epoch_proof")


@tampering(**TOLD)
def shipments_leaf_cut_elsewhere(rng, world):
    """Its own leaf, one byte shorter in one field and longer in another: the same leaf hash, another subject."""
    told = told_subject(rng, world)
    if not told:
        return bundle_entry_changed(rng, world)
    bundle, _, epoch = told
    for index in world.subject_places(bundle.about["subject"]):
        _withhold(bundle, index)
    heads = epoch_heads(world)
    place = canonical.decode(bundle.members["epoch.json"])["present"]["place"]
    data = heads[place].encode()
    cut = epoch_leaf(heads, place) | {"subject": data[:31].hex(), "count": data[38], "head": data[39:].hex()}
    leaves = [cut, *(epoch_leaf(heads, after) for after in range(place + 1, min(place + 2, len(heads))))]
    bundle.members["epoch.json"] = canonical.encode({"entry": epoch, "absent": leaves})
    return of(bundle, None, "bundle")


def epoch_shown_otherwise(rng: Random, world: World, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Case:
    told = told_subject(rng, world)
    if not told:
        return bundle_entry_changed(rng, world)
    bundle, _, epoch = told
    present = canonical.decode(bundle.members["epoch.json"])["present"]
    bundle.set_json("epoch.json", present=present | change(present))
    return of(bundle, epoch, "epoch_proof")


@tampering(**TOLD)
def shipments_count_forged(rng, world):
    return epoch_shown_otherwise(rng, world, lambda present: {"count": present["count"] + rng.choice([1, 2, 1000])})


@tampering(**TOLD)
def shipments_head_forged(rng, world):
    return epoch_shown_otherwise(rng, world, lambda present: {"head": rng.randbytes(32).hex()})


@tampering(**TOLD)
def shipments_place_forged(rng, world):
    return epoch_shown_otherwise(rng, world, lambda present: {"place": present["place"] + rng.choice([1, 2, 1000])})


@tampering(**TOLD)
def shipments_path_forged(rng, world):
    def change(present: dict[str, Any]) -> dict[str, Any]:
        path = present["path"]
        return {"path": rng.choice([[*path, "00" * 32], ["00" * 32, *path[1:]], [rng.randbytes(32).hex(), *path]])}

    return epoch_shown_otherwise(rng, world, change)


@tampering(**TOLD)
def epoch_json_malformed(rng, world):
    told = told_subject(rng, world)
    if not told:
        return bundle_entry_changed(rng, world)
    bundle, _, epoch = told
    present = canonical.decode(bundle.members["epoch.json"])["present"]
    ways: list[Any] = [
        {"entry": epoch},
        {"entry": epoch, "absent": None},
        {"entry": epoch, "present": present, "absent": []},
        {"entry": epoch + 1, "present": present},
        {"entry": str(epoch), "present": present},
        {"entry": epoch, "present": present | {"count": 0}},
        {"entry": epoch, "present": present | {"count": -1}},
        {"entry": epoch, "present": present | {"place": -1}},
        {"entry": epoch, "present": present | {"head": present["head"].upper() + "A"}},
        {"entry": epoch, "present": present | {"path": "00" * 32}},
        [],
    ]
    bundle.members["epoch.json"] = canonical.encode(rng.choice(ways))
    return of(bundle, None, "bundle")


@tampering(**TOLD)
def epoch_entry_withheld(rng, world):
    told = told_subject(rng, world)
    if not told:
        return bundle_entry_changed(rng, world)
    bundle, _, epoch = told
    del bundle.members[f"entry/{epoch}.note"], bundle.members[f"entry/{epoch}.tlog-proof"]
    return of(bundle, None, "bundle")


@tampering(**TOLD)
def another_shipments_entry_put_in(rng, world):
    told = told_subject(rng, world)
    if not told:
        return bundle_entry_changed(rng, world)
    bundle, _, _ = told
    whole = make_bundle(rng, world, RANGE)
    others = [index for index in whole.ordinary() if index not in bundle.indexes]
    if not others:
        return bundle_entry_changed(rng, world)
    index = rng.choice(others)
    for name in (f"entry/{index}.note", f"entry/{index}.tlog-proof"):
        bundle.members[name] = whole.members[name]
    return of(bundle, None, "bundle")


# --- attachments and disclosures --------------------------------------------------------------------------------------


def _attached(bundle: Bundle) -> dict[str, int]:
    """Each attachment's member, and the first entry that names it."""
    found: dict[str, int] = {}
    for index in bundle.indexes:
        entry = bundle.entry(index)
        for digest in named_in(entry.kind, entry.body):
            found.setdefault(f"attachments/{digest}", index)
    return found


def one_attachment(rng: Random, world: World) -> tuple[Bundle, str, int] | None:
    bundle = make_bundle(rng, world, rng.choice([LOG, LOG, RANGE]))
    attached = _attached(bundle) or _attached(bundle := make_bundle(rng, world, LOG))
    if not attached:
        return None
    name = pick(rng, attached)
    return bundle, name, attached[name]


@tampering(min_size=8, max_size=60)
def attachment_changed(rng, world):
    found = one_attachment(rng, world)
    if not found:
        return bundle_entry_changed(rng, world)
    bundle, name, index = found
    data = bundle.members[name]
    bundle.members[name] = rng.choice([flipped(rng, data), data + b"\n", data[:-1], b"", data * 2])
    return of(bundle, index, "attachment_changed")


@tampering(min_size=8, max_size=60)
def attachment_missing(rng, world):
    found = one_attachment(rng, world)
    if not found:
        return bundle_entry_changed(rng, world)
    bundle, name, index = found
    del bundle.members[name]
    return of(bundle, index, "attachment_missing")


@tampering(min_size=3, max_size=20)
def attachment_that_nothing_names(rng, world):
    bundle = some_bundle(rng, world, LOG, RANGE)
    data = rng.randbytes(20)
    bundle.members[f"attachments/{leaf_hash(data).hex()}"] = data
    return of(bundle, None, "bundle")


def disclosed_otherwise(rng: Random, world: World, change: Callable[[dict[str, Any], Bundle], dict[str, Any]]) -> Case:
    bundle = make_bundle(rng, world, rng.choice([LOG, RANGE]))
    for _ in range(20):
        names = [name for name in bundle.members if name.startswith("disclosures/")]
        if names:
            break
        bundle = make_bundle(rng, world, LOG)
    else:
        return bundle_entry_changed(rng, world)
    name = pick(rng, names)
    for other in names:
        if other != name:
            del bundle.members[other]
    told = canonical.decode(bundle.members[name])
    told |= change(told, bundle)
    bundle.members[name] = canonical.encode(told)
    # Where the entry that it is said to be of is not here, none is named.
    return of(bundle, told["entry"] if told["entry"] in bundle.indexes else None, "disclosure")


@tampering(min_size=8, max_size=60)
def disclosed_value_changed(rng, world):
    return disclosed_otherwise(rng, world, lambda told, _: {"value": told["value"] + "00"})


@tampering(min_size=8, max_size=60)
def disclosed_salt_changed(rng, world):
    return disclosed_otherwise(rng, world, lambda told, _: {"salt": rng.randbytes(32).hex()})


@tampering(min_size=8, max_size=60)
def disclosed_under_another_label(rng, world):
    ways = ["n", "sealed", "sealed.0", "sealed.1.value", "sealed.00.value", "", "reads.document", "sealed.0.value.x"]
    return disclosed_otherwise(
        rng, world, lambda told, _: {"label": rng.choice([w for w in ways if w != "sealed.00.value"])}
    )


@tampering(min_size=8, max_size=60)
def disclosed_of_another_entry(rng, world):
    def change(told: dict[str, Any], bundle: Bundle) -> dict[str, Any]:
        return {"entry": rng.choice([index for index in bundle.indexes if index != told["entry"]] or [0])}

    return disclosed_otherwise(rng, world, change)


# --- the tiles of a whole log -----------------------------------------------------------------------------------------


def _hash_tiles(bundle: Bundle) -> list[str]:
    return [name for name in bundle.members if re.match(r"tile/\d", name)]


@tampering(max_size=600)
def tile_flipped(rng, world):
    bundle = make_bundle(rng, world, LOG)
    name = pick(rng, _hash_tiles(bundle))
    bundle.members[name] = flipped(rng, bundle.members[name])
    return of(bundle, None, "tile")


@tampering(max_size=600)
def tile_cut(rng, world):
    bundle = make_bundle(rng, world, LOG)
    name = pick(rng, _hash_tiles(bundle))
    data = bundle.members[name]
    bundle.members[name] = rng.choice([data[:-1], data[:-32] + b"x", data[1:]])
    return of(bundle, None, "tile")


@tampering(max_size=600)
def tile_missing(rng, world):
    bundle = make_bundle(rng, world, LOG)
    del bundle.members[pick(rng, _hash_tiles(bundle))]
    return of(bundle, None, "tile", status=INCOMPLETE)


@tampering(max_size=600)
def tile_of_another_width(rng, world):
    bundle = make_bundle(rng, world, LOG)
    name = pick(rng, _hash_tiles(bundle))
    stem, _, width = name.partition(".p/")
    bundle.members[f"{stem}.p/{(int(width or 256) % 255) + 1}"] = bundle.members.pop(name)
    return of(bundle, None, "bundle")


def _entry_tile(rng: Random, world: World) -> tuple[Bundle, str, int, list[bytes]]:
    bundle = make_bundle(rng, world, LOG)
    tile = rng.choice(list(bundles_of(world.size)))
    start = tile.index * 256
    return bundle, tile.path(), start, world.notes[start : start + tile.width]


@tampering(max_size=600)
def entry_in_a_tile_changed(rng, world):
    bundle, name, start, notes = _entry_tile(rng, world)
    at = rng.randrange(len(notes))
    notes[at] = flipped(rng, notes[at])
    bundle.members[name] = encode_bundle(notes)
    return of(bundle, start + at, "format", "kind", "origin", "signature")


@tampering(max_size=600)
def entry_tile_cut(rng, world):
    """The file ends inside an entry, or the last ones are gone."""
    bundle, name, start, notes = _entry_tile(rng, world)
    data = bundle.members[name]
    cut = rng.randrange(1, len(data))
    whole, at = 0, 0
    while whole < len(notes) and at + 2 + len(notes[whole]) <= cut:
        at += 2 + len(notes[whole])
        whole += 1
    bundle.members[name] = data[:cut]
    return of(bundle, start + whole, "bundle")


@tampering(max_size=600)
def entry_tile_with_bytes_behind(rng, world):
    bundle, name, start, notes = _entry_tile(rng, world)
    bundle.members[name] += rng.choice([b"\0", b"\0\1", b"\0\1x", b"\0\0", rng.randbytes(9)])
    return of(bundle, start + len(notes), "bundle")


@tampering(max_size=600)
def entry_tile_missing(rng, world):
    bundle, name, start, _ = _entry_tile(rng, world)
    del bundle.members[name]
    gone = cut_at(world, start)
    return of(bundle, gone.broken_at, *gone.checks, status=gone.status)


@tampering(min_size=3, max_size=600, rotations=False)
def entries_in_a_tile_swapped(rng, world):
    bundle, name, start, notes = _entry_tile(rng, world)
    if len(notes) < 2:
        return entry_in_a_tile_changed(rng, world)
    one, other = sorted(rng.sample(range(len(notes)), 2))
    notes[one], notes[other] = notes[other], notes[one]
    bundle.members[name] = encode_bundle(notes)
    return of(bundle, start + one, "index")
