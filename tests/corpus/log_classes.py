"""
What can be done to a log of entries and a checkpoint.

First what a hand can do that holds the database alone; then what the holder of the key can do, where the form, the
chain, a rotation, an epoch, a witness or a head that somebody kept gives it away.
"""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from random import Random
from typing import Any

from ledger.tlog import note
from ledger.tlog.checkpoint import Checkpoint
from ledger.tlog.cosignature import Cosigner
from ledger.tlog.entry import parse_entry
from ledger.tlog.merkle import leaf_hash, root
from ledger.tlog.note import Signature, Signer
from ledger.tlog.policy import PinnedKey
from ledger.tlog.rotation import rotation_body
from ledger.tlog.times import format_time
from tests.corpus.cases import BROKEN, ENTRY_CHECKS, INCOMPLETE, UNWITNESSED, Case, tampering
from tests.corpus.worlds import (
    ELSEWHERE,
    EPOCH,
    FOREIGNER,
    ORIGIN,
    ROTATION,
    STRANGER,
    Sealer,
    Statement,
    World,
    cosigned,
    into_body,
    key,
    make_body,
    signer,
)

# --- without the key ------------------------------------------------------------------------------------------------


def outside(world: World, at: int | None, *checks: str, notes: list[bytes] | None = None, **other: Any) -> Case:
    """A case of somebody who holds the database alone."""
    fields = {"notes": notes if notes is not None else world.notes, "checkpoint": world.checkpoint, "keyless": True}
    return Case(BROKEN, checks, at, world.policy, **fields | other)


def one_changed(rng: Random, world: World, change: Callable[[bytes], bytes], *checks: str) -> Case:
    """Change one entry's bytes."""
    place = rng.randrange(world.size)
    notes = world.notes
    notes[place] = change(notes[place])
    assert notes[place] != world.notes[place]
    return outside(world, place, *checks, notes=notes)


def flipped(rng: Random, data: bytes, start: int = 0, stop: int | None = None) -> bytes:
    at = rng.randrange(start, len(data) if stop is None else stop)
    return data[:at] + bytes([data[at] ^ (1 << rng.randrange(8))]) + data[at + 1 :]


def with_text(data: bytes, text: str) -> bytes:
    """The note with another text over the old signature lines."""
    return text.encode() + b"\n" + data[data.rindex(b"\n\n") + 2 :]


def with_line(data: bytes, change: Callable[[Signature], Signature]) -> bytes:
    parsed = note.parse(data)
    return (parsed.text + "\n" + change(parsed.signatures[0]).line()).encode()


def with_fields(data: bytes, **changed: Any) -> bytes:
    return with_text(data, replace(parse_entry(data), **changed).text())


@tampering()
def flip_any_byte(rng, world):
    return one_changed(rng, world, lambda data: flipped(rng, data), *ENTRY_CHECKS)


@tampering()
def flip_byte_of_text(rng, world):
    return one_changed(rng, world, lambda data: flipped(rng, data, 0, data.rindex(b"\n\n")), *ENTRY_CHECKS)


@tampering()
def flip_signature(rng, world):
    def change(line: Signature) -> Signature:
        return replace(line, signature=flipped(rng, line.signature))

    return one_changed(rng, world, lambda data: with_line(data, change), "signature")


@tampering()
def flip_key_id(rng, world):
    def change(line: Signature) -> Signature:
        return replace(line, key_id=flipped(rng, line.key_id))

    return one_changed(rng, world, lambda data: with_line(data, change), "signature")


@tampering()
def replace_any_bytes(rng, world):
    def change(data: bytes) -> bytes:
        start = rng.randrange(len(data))
        stop = rng.randint(start + 1, len(data))
        return data[:start] + rng.randbytes(rng.randrange(4)) + data[stop:]

    return one_changed(rng, world, change, *ENTRY_CHECKS)


@tampering()
def body_changed(rng, world):
    return one_changed(rng, world, lambda data: with_fields(data, body=make_body(rng)), "signature")


@tampering()
def prev_changed(rng, world):
    return one_changed(rng, world, lambda data: with_fields(data, prev=rng.randbytes(32).hex()), "signature")


@tampering()
def renumbered(rng, world):
    def change(data: bytes) -> bytes:
        index = parse_entry(data).index
        return with_fields(data, index=index + 1) if index else with_fields(data, subject_seq=1)

    return one_changed(rng, world, change, "signature")


@tampering(min_size=2)
def kind_changed(rng, world):
    place = rng.randrange(1, world.size)
    notes = world.notes
    kind = "seizure"  # of no statement here
    notes[place] = with_fields(notes[place], kind=kind)
    return outside(world, place, "signature", notes=notes)


@tampering()
def time_changed(rng, world):
    return one_changed(rng, world, lambda data: with_fields(data, sealed_at="2026-11-22T11:59:59.999Z"), "signature")


@tampering()
def resigned_by_a_stranger(rng, world):
    return one_changed(rng, world, lambda data: note.sign(note.parse(data).text, STRANGER), "signature")


@tampering()
def resigned_by_a_stranger_under_the_logs_key_id(rng, world):
    def change(data: bytes) -> bytes:
        parsed = note.parse(data)
        forged = replace(STRANGER.sign(parsed.text), key_id=parsed.signatures[0].key_id)
        return (parsed.text + "\n" + forged.line()).encode()

    return one_changed(rng, world, change, "signature")


@tampering()
def signature_of_a_witness(rng, world):
    """A cosignature in the place of the signature, under the log's name."""

    def change(data: bytes) -> bytes:
        text = note.parse(data).text
        return (text + "\n" + Cosigner(ORIGIN, key("witness ana")).cosign(text, timestamp=1).line()).encode()

    return one_changed(rng, world, change, "signature")


@tampering(min_size=2)
def signature_of_another_entry(rng, world):
    place, other = rng.sample(range(world.size), 2)
    notes = world.notes
    line = note.parse(notes[other]).signatures[0]
    notes[place] = with_line(notes[place], lambda _: line)
    return outside(world, place, "signature", notes=notes)


@tampering()
def second_signature(rng, world):
    def change(data: bytes) -> bytes:
        text = note.parse(data).text
        by = rng.choice([signer("log key 0"), STRANGER])
        return data + by.sign(text).line().encode()

    return one_changed(rng, world, change, "format")


@tampering()
def windows_newlines(rng, world):
    return one_changed(rng, world, lambda data: data.replace(b"\n", b"\r\n"), "format")


@tampering()
def byte_order_mark(rng, world):
    return one_changed(rng, world, lambda data: b"\xef\xbb\xbf" + data, "format")


@tampering()
def trailing_bytes(rng, world):
    return one_changed(rng, world, lambda data: data + rng.choice([b"\n", b" ", b"\0", b"x", b"\n\n"]), "format")


@tampering()
def truncated_note(rng, world):
    return one_changed(rng, world, lambda data: data[: rng.randrange(len(data))], "format")


@tampering()
def lax_base64(rng, world):
    """The same signature bytes, spelled otherwise: a lax decoder would not see it."""

    def change(data: bytes) -> bytes:
        spell = rng.choice(
            [
                lambda line: line[:-1],  # no padding
                lambda line: line[:-2] + chr(ord(line[-2]) + 1) + "=",  # stray padding bits
                lambda line: line + "=",
                lambda line: line[:-9] + " " + line[-9:],
                lambda line: line.replace("=", "\u3000="),
            ]
        )
        return (spell(data.decode()[:-1]) + "\n").encode()

    return one_changed(rng, world, change, "format")


@tampering()
def text_without_signature(rng, world):
    return one_changed(rng, world, lambda data: data[: data.rindex(b"\n\n") + 2], "format")


@tampering()
def delete_entry(rng, world):
    place = rng.randrange(world.size)
    notes = world.notes
    del notes[place]
    if place == len(notes):
        return cut_at(world, place)
    # Behind a rotation that is gone, the new key's entries are refused before their numbers are looked at.
    return outside(world, place, "index", "signature", notes=notes)


@tampering(min_size=3)
def delete_several(rng, world):
    start = rng.randrange(world.size - 1)
    stop = rng.randint(start + 1, world.size - 1)
    notes = world.notes
    del notes[start:stop]
    return outside(world, start, "index", "signature", notes=notes)


@tampering()
def cut_tail(rng, world):
    return cut_at(world, rng.randrange(world.size))


def cut_at(world: World, at: int) -> Case:
    """
    All from entry ``at`` gone.

    Where that takes a rotation away and the new key is not pinned, nobody knows the checkpoint's key any more: it is
    the checkpoint that is refused, since its size is not believed without a signature.
    """
    counting = [world.signer_of(at).vkey, *(pinned.vkey for pinned in world.policy.keys if pinned.covers(world.size))]
    notes = world.notes[:at]
    if any(by.vkey in counting for by in world.sealer.head_signers()):
        return outside(world, at, "checkpoint_size", notes=notes).but(INCOMPLETE)
    return outside(world, None, "checkpoint_signature", notes=notes)


@tampering()
def insert_forged(rng, world):
    place = rng.randint(0, world.size)
    sealer = world.before(place)
    sealer.seal(Statement("handoff" if place else "genesis", world.statements[0].subject, make_body(rng)), by=STRANGER)
    notes = [*sealer.notes, *world.notes[place:]]
    return outside(world, place, "signature", notes=notes)


@tampering()
def append_forged(rng, world):
    """Beyond the checkpoint nothing but its signature says that an entry is the log's."""
    sealer = world.before(world.size)
    sealer.seal(Statement("hold", world.statements[0].subject, make_body(rng)), by=STRANGER)
    return outside(world, world.size, "signature", notes=sealer.notes)


@tampering()
def insert_garbage(rng, world):
    place = rng.randint(0, world.size)
    notes = world.notes
    notes.insert(place, rng.randbytes(rng.randrange(200)))
    return outside(world, place, "format", notes=notes)


@tampering()
def duplicate_entry(rng, world):
    place = rng.randrange(world.size)
    notes = world.notes
    notes.insert(place, notes[place])
    # After a rotation, what the old key signed no longer counts: it is refused before its number is looked at.
    return outside(world, place + 1, "index", "signature", notes=notes)


@tampering(min_size=2)
def swap_two(rng, world):
    one, other = sorted(rng.sample(range(world.size), 2))
    notes = world.notes
    notes[one], notes[other] = notes[other], notes[one]
    return outside(world, one, "index", "signature", notes=notes)


@tampering(min_size=3)
def shuffled(rng, world):
    start = rng.randrange(world.size - 1)
    notes = world.notes
    tail = notes[start:]
    while tail == notes[start:]:
        rng.shuffle(tail)
    notes[start:] = tail
    first = next(at for at, (old, new) in enumerate(zip(world.notes, notes, strict=True)) if old != new)
    return outside(world, first, "index", "signature", notes=notes)


@tampering(min_size=2)
def replay_entry(rng, world):
    """An earlier entry once more, in the place of a later one."""
    earlier, place = sorted(rng.sample(range(world.size), 2))
    notes = world.notes
    notes[place] = notes[earlier]
    return outside(world, place, "index", "signature", notes=notes)


@tampering(min_size=2)
def rechained_without_the_key(rng, world):
    """One body changed, and every hash after it made to fit; the signatures stay as they were."""
    place = rng.randrange(world.size)
    sealer = world.before(place)
    for index, statement in enumerate(world.statements[place:], place):
        changed = {"body": make_body(rng)} if index == place else {"body": parse_entry(world.notes[index]).body}
        sealer.seal(statement, by=signer("log key 0"), **changed)
        sealer.notes[-1] = with_text(world.notes[index], note.parse(sealer.notes[-1]).text)
        sealer.leaves[-1] = leaf_hash(sealer.notes[-1])
        sealer.heads[statement.subject] = (sealer.heads[statement.subject][0], sealer.leaves[-1])
    return outside(world, place, "signature", notes=sealer.notes)


@tampering(min_size=2)
def rechained_by_a_stranger(rng, world):
    """History written anew from one place on, by a key of the log's name, under a checkpoint of that key."""
    place = rng.randrange(world.size)
    sealer = world.before(place)
    for statement in world.statements[place:]:
        sealer.seal(replace(statement, new=None), by=STRANGER, body=make_body(rng))
    checkpoint = sealer.checkpoint(STRANGER)
    return outside(world, place, "signature", notes=sealer.notes, checkpoint=checkpoint)


@tampering()
def log_of_another_origin(rng, world):
    """A whole sound log, of the same key under another name, passed off as this one."""
    other = Sealer(signer("log key 0", ELSEWHERE))
    for statement in world.statements:
        other.seal(replace(statement, new=None, kind="hold" if statement.new else statement.kind), body=make_body(rng))
    head = Checkpoint(ELSEWHERE, len(other.leaves), root(other.leaves))
    return outside(world, 0, "origin", notes=other.notes, checkpoint=note.sign(head.text(), other.signer))


@tampering(min_size=2)
def entry_of_another_log(rng, world):
    place = rng.randrange(world.size)
    stranger = world.before(place)
    by = signer("log key 0", ELSEWHERE)
    stranger.seal(replace(world.statements[place], new=None), by=by, body=make_body(rng))
    return outside(world, place, "origin", notes=[*stranger.notes, *world.notes[place + 1 :]])


@tampering()
def everything_gone(rng, world):
    return Case(INCOMPLETE, ("empty",), None, world.policy, [], None, keyless=True)


# --- the checkpoint, without the key --------------------------------------------------------------------------------


def head_changed(world: World, *checks: str, **fields: Any) -> Case:
    text = replace(world.known, **fields).text()
    return outside(world, None, *checks, checkpoint=with_text(world.log_checkpoint, text))


@tampering()
def checkpoint_gone(rng, world):
    return outside(world, None, "checkpoint_missing", checkpoint=None)


@tampering()
def checkpoint_flip_any_byte(rng, world):
    checkpoint = flipped(rng, signed_once(world))
    return outside(world, None, "checkpoint_format", "checkpoint_signature", checkpoint=checkpoint)


def signed_once(world: World) -> bytes:
    """The checkpoint under one signature line: beside a sound one, an unknown line means nothing."""
    parsed = note.parse(world.log_checkpoint)
    return (parsed.text + "\n" + parsed.signatures[-1].line()).encode()


@tampering()
def checkpoint_truncated(rng, world):
    checkpoint = signed_once(world)
    checkpoint = checkpoint[: rng.randrange(len(checkpoint))]
    return outside(world, None, "checkpoint_format", checkpoint=checkpoint)


@tampering()
def checkpoint_size_changed(rng, world):
    return head_changed(world, "checkpoint_signature", size=world.size + rng.choice([-1, 1, 10**9]))


@tampering()
def checkpoint_root_changed(rng, world):
    return head_changed(world, "checkpoint_signature", root=flipped(rng, world.known.root))


@tampering()
def checkpoint_origin_changed(rng, world):
    return head_changed(world, "checkpoint_signature", "checkpoint_origin", origin=ELSEWHERE)


@tampering()
def checkpoint_extended(rng, world):
    return head_changed(world, "checkpoint_signature", extensions=("one line more",))


@tampering()
def checkpoint_by_a_stranger(rng, world):
    return outside(world, None, "checkpoint_signature", checkpoint=world.sealer.checkpoint(STRANGER))


@tampering()
def checkpoint_spelled_otherwise(rng, world):
    spell = rng.choice(
        [
            lambda data: data.replace(b"\n", b"\r\n"),
            lambda data: b"\xef\xbb\xbf" + data,
            lambda data: data + b"\n",
            lambda data: data.replace(b"=\n", b"\n"),
            lambda data: re.sub(rb"\n(\d)", rb"\n0\1", data, count=1),
            lambda data: re.sub(rb"\n(\d)", rb"\n+\1", data, count=1),
            lambda data: data.replace(b"\n\n", b"\n", 1),
        ]
    )
    return outside(world, None, "checkpoint_format", "checkpoint_signature", checkpoint=spell(world.log_checkpoint))


@tampering()
def entry_as_checkpoint(rng, world):
    """A note that the log did sign, but that is none of its heads."""
    place = rng.choice([at for at in range(world.size) if world.signer_of(at) in world.sealer.head_signers()] or [0])
    return outside(world, None, "checkpoint_format", "checkpoint_signature", checkpoint=world.notes[place])


@tampering(min_size=2)
def cut_tail_under_an_old_head(rng, world):
    """A tail cut off together with its checkpoint: only who kept the newer head sees it."""
    size = rng.randrange(1, world.size)
    old = world.resealed(size, [])
    case = outside(world, size, "known_size", notes=old.notes, checkpoint=old.checkpoint(), known=world.known)
    return case.but(INCOMPLETE)


# --- by the holder of the key: the form -----------------------------------------------------------------------------


def cheat(world: World, at: int | None, *checks: str, sealer: Sealer, **other: Any) -> Case:
    """A case of somebody who holds the key, too, and seals on from what was done, checkpoint and all."""
    fields = {"notes": sealer.notes, "checkpoint": sealer.checkpoint()}
    return Case(BROKEN, checks, at, world.policy, **fields | other)


def misspelled(rng: Random, world: World, spell: Callable[[str], str], *checks: str) -> Case:
    """One entry signed by the key over another spelling; the log goes on from it as if nothing were."""
    place = rng.randrange(world.size)
    return cheat(world, place, *(checks or ("format",)), sealer=world.resealed(place, spell=spell))


@tampering(max_size=60)
def duplicate_json_key(rng, world):
    return misspelled(rng, world, into_body(rng.choice(['"A":1,"A":1', '"A":1,"A":2', '"A":{},"A":{}'])))


@tampering(max_size=60)
def duplicate_top_level_key(rng, world):
    return misspelled(rng, world, lambda text: text.replace('"index":', '"index":0,"index":', 1))


@tampering(max_size=60)
def spaces_in_text(rng, world):
    ways = [('":', '": '), (',"', ', "'), ("{", "{ "), ("}\n", "} \n"), ("{", " {"), ("}\n", " }\n")]
    old, new = rng.choice(ways)
    return misspelled(rng, world, lambda text: text.replace(old, new, 1))


@tampering(max_size=60)
def second_line_in_text(rng, world):
    return misspelled(rng, world, lambda text: text + rng.choice(["\n", "{}\n", text, "x\n"]))


@tampering(max_size=60)
def escaped_characters(rng, world):
    ways = ['"\\u0041"', '"\\/"', '"\\u000a"', '"\\u001F"', '"\\ud83d\\udce6"', '"\\u00f1"', '"\\u0022"']
    return misspelled(rng, world, into_body(f'"A":{rng.choice(ways)}'))


@tampering(max_size=60)
def lone_surrogate(rng, world):
    return misspelled(rng, world, into_body(f'"A":"\\u{rng.choice(["d800", "dfff", "dc00x", "DBFF"])}"'))


@tampering(max_size=60)
def keys_out_of_order(rng, world):
    def spell(text: str) -> str:
        members = list(json.loads(text).items())
        ordered = list(members)
        while ordered == members:
            rng.shuffle(ordered)
        return json.dumps(dict(ordered), ensure_ascii=False, separators=(",", ":")) + "\n"

    return misspelled(rng, world, spell)


@tampering(max_size=60)
def number_that_is_no_integer(rng, world):
    ways = ["1.5", "1.0", "-0.0", "1e3", "1E+2", "0.1", "NaN", "Infinity", "-Infinity", "1e999", "5e-324"]
    return misspelled(rng, world, into_body(f'"A":{rng.choice(ways)}'))


@tampering(max_size=60)
def integer_spelled_otherwise(rng, world):
    return misspelled(rng, world, into_body(f'"A":{rng.choice(["-0", "01", "+1", "0x1", "1_000", "٣", "--1"])}'))


@tampering(max_size=60)
def integer_too_large(rng, world):
    ways = [2**53, -(2**53), 2**53 + 1, 2**63, 2**64, -(2**63), 10**30, 10**5000 if rng.random() < 0.2 else 10**400]
    return misspelled(rng, world, into_body(f'"A":{_digits(rng.choice(ways))}'))


def _digits(number: int) -> str:
    return str(number) if abs(number) < 10**400 else "1" + "0" * 5000


@tampering(max_size=60)
def key_that_is_not_ascii(rng, world):
    return misspelled(rng, world, into_body(rng.choice(['"Añ":1', '"A\u0301":1', '"A\U0001f4e6":1'])))


@tampering(max_size=60)
def nested_too_deep(rng, world):
    depth = rng.choice([33, 40, 500, 5000])
    way = rng.choice(["[]", "{}"])
    inner = "[" * depth + "]" * depth if way == "[]" else '{"A":' * depth + "1" + "}" * depth
    return misspelled(rng, world, into_body(f'"A":{inner}'))


@tampering(max_size=60)
def no_json_at_all(rng, world):
    ways = ["", "{}", "[]", "null", '"text"', "1", "{", '{"v":1}', "\u2028", "<entry/>"]
    return misspelled(rng, world, lambda text: rng.choice(ways) + "\n")


@tampering(max_size=60)
def unknown_field(rng, world):
    return misspelled(rng, world, lambda text: '{"a":1,' + text[1:])


@tampering(max_size=60)
def missing_field(rng, world):
    name = rng.choice(["body", "index", "kind", "origin", "prev", "sealed_at", "subject", "subject_prev", "v"])

    def spell(text: str) -> str:
        fields = json.loads(text)
        del fields[name]
        return json.dumps(fields, ensure_ascii=False, separators=(",", ":"), sort_keys=True) + "\n"

    return misspelled(rng, world, spell)


@tampering(max_size=60)
def field_of_another_type(rng, world):
    name, value = rng.choice(
        [
            *[(name, value) for name in ("index", "subject_seq", "v") for value in ("1", True, None, -1, [1])],
            *[(name, value) for name in ("kind", "origin", "subject", "prev", "sealed_at") for value in (1, None, {})],
            *[("body", value) for value in ([], None, "text", 1, True)],
        ]
    )

    def spell(text: str) -> str:
        fields = json.loads(text) | {name: value}
        return json.dumps(fields, ensure_ascii=False, separators=(",", ":"), sort_keys=True) + "\n"

    return misspelled(rng, world, spell)


@tampering(max_size=60)
def index_as_text(rng, world):
    return misspelled(rng, world, lambda text: re.sub(r'"index":(\d+)', r'"index":"\1"', text))


@tampering(max_size=60)
def later_version(rng, world):
    return misspelled(rng, world, lambda text: text.replace('"v":1}', f'"v":{rng.choice([0, 2, 10])}}}'))


@tampering(max_size=60)
def hash_spelled_otherwise(rng, world):
    def spell(text: str) -> str:
        fields = json.loads(text)
        name = rng.choice(["prev", "subject_prev"])
        bent = fields[name]
        fields[name] = rng.choice(["A" + bent[1:], bent[:-1], bent + "0", "0x" + bent[2:], "", bent[:-1] + "g"])
        return json.dumps(fields, ensure_ascii=False, separators=(",", ":"), sort_keys=True) + "\n"

    return misspelled(rng, world, spell)


@tampering(max_size=60)
def subject_spelled_otherwise(rng, world):
    def spell(text: str) -> str:
        fields = json.loads(text)
        bent = fields["subject"]
        ways = ["URN" + bent[3:], bent[:-1], bent + "0", bent.replace("urn:uuid:", ""), bent[:9] + "{" + bent[9:] + "}"]
        fields["subject"] = rng.choice(ways)
        return json.dumps(fields, ensure_ascii=False, separators=(",", ":"), sort_keys=True) + "\n"

    return misspelled(rng, world, spell)


@tampering(max_size=60)
def time_spelled_otherwise(rng, world):
    ways = [
        *("2026-11-22T23:59:59Z", "2026-11-22T23:59:59.12Z", "2026-11-22T23:59:59.123456Z", "2026-11-22 23:59:59.123Z"),
        *("2026-11-22T23:59:59.123+00:00", "2026-11-22T23:59:59.123z", "2026-02-30T23:59:59.123Z", ""),
        *("2026-11-22T24:00:00.000Z", "2026-11-22T23:59:60.000Z", "٢٠٢٦-11-22T23:59:59.123Z", "1795392000"),
    ]
    bent = rng.choice(ways)
    return misspelled(rng, world, lambda text: re.sub(r'"sealed_at":"[^"]*"', f'"sealed_at":"{bent}"', text))


@tampering(max_size=60)
def unknown_kind(rng, world):
    kind = rng.choice(["handover", "Handoff", "handoff ", "", "\u212a", "genesis\u200b"])
    place = rng.randrange(world.size)
    return cheat(world, place, "kind", sealer=world.resealed(place, kind=kind))


@tampering(max_size=60)
def genesis_out_of_its_place(rng, world):
    place = rng.randrange(world.size)
    kind = "genesis" if place else "handoff"
    return cheat(world, place, "kind", sealer=world.resealed(place, kind=kind))


@tampering(max_size=60)
def entry_too_large(rng, world):
    size = rng.choice([65_536, 70_000, 200_000])
    return misspelled(rng, world, into_body(f'"A":"{"x" * size}"'))


# --- by the holder of the key: the chain ----------------------------------------------------------------------------


@tampering(min_size=2)
def index_skipped(rng, world):
    place = rng.randrange(1, world.size)
    skipped = place + rng.choice([1, 2, 10**6])
    return cheat(world, place, "index", sealer=world.resealed(place, index=skipped))


@tampering()
def prev_of_another(rng, world):
    place = rng.randrange(world.size)
    other = rng.choice([bytes(32), *world.leaves])
    if place == 0 or other == world.leaves[place - 1]:
        other = rng.randbytes(32)
    checks = ("prev", "key_rotated")
    return cheat(world, place, *checks, sealer=world.resealed(place, prev=other.hex()))


@tampering()
def subject_seq_skipped(rng, world):
    place = rng.randrange(world.size)
    seq = world.subject_places(world.statements[place].subject).index(place)
    wrong = rng.choice([n for n in (0, seq - 1, seq + 1, seq + 7) if n >= 0 and n != seq])
    return cheat(world, place, "subject_seq", sealer=world.resealed(place, subject_seq=wrong))


@tampering()
def subject_prev_of_another(rng, world):
    place = rng.randrange(world.size)
    subject = world.statements[place].subject
    earlier = [at for at in world.subject_places(subject) if at < place]
    right = world.leaves[earlier[-1]] if earlier else bytes(32)
    other = rng.choice([leaf for leaf in (*world.leaves[:place], bytes(32), rng.randbytes(32)) if leaf != right])
    return cheat(world, place, "subject_prev", sealer=world.resealed(place, subject_prev=other.hex()))


@tampering(min_size=3, epochs=False, rotations=False)
def moved_to_another_subject(rng, world):
    """An entry said to be about somebody who has none, with the place in the chain that it had."""
    places = [at for at in range(1, world.size) if world.statements[at].subject in _seen(world, at)]
    if not places:
        return subject_seq_skipped(rng, world)
    place = rng.choice(places)
    stranger = "urn:uuid:00000000-0000-4000-8000-000000000000"
    return cheat(world, place, "subject_seq", sealer=world.resealed(place, subject=stranger))


def _seen(world: World, place: int) -> set[str]:
    return {statement.subject for statement in world.statements[:place]}


@tampering(min_size=3, epochs=False, rotations=False)
def subject_entry_withheld(rng, world):
    """An entry left out while sealing anew, numbers and hashes made to fit, but not the subject's own count."""
    repeated = [at for at in range(1, world.size) if world.statements[at].subject in _seen(world, at)]
    if not repeated:
        return subject_seq_skipped(rng, world)
    place = rng.choice(repeated)  # the one after the one that is withheld
    before = [at for at in world.subject_places(world.statements[place].subject) if at < place]
    gone, seq = before[-1], len(before)
    if gone == 0:
        return subject_seq_skipped(rng, world)
    sealer = world.before(gone)
    for at in range(gone + 1, world.size):
        sealer.seal(world.statements[at], **({"subject_seq": seq} if at == place else {}))
    return cheat(world, place - 1, "subject_seq", sealer=sealer)


@tampering(min_size=2)
def clock_set_back(rng, world):
    place = rng.randrange(1, world.size)
    before = world.before(place).now - timedelta(milliseconds=rng.choice([1, 1000, 10**10]))
    return cheat(world, place, "sealed_at", sealer=world.resealed(place, sealed_at=format_time(before)))


@tampering()
def checkpoint_of_another_tree(rng, world):
    """Signed by the key, over entries that are not these."""
    other = replace(world.known, root=flipped(rng, world.known.root))
    checkpoint = note.sign(other.text(), *world.sealer.head_signers())
    return cheat(world, None, "checkpoint_root", sealer=world.sealer, checkpoint=checkpoint)


@tampering()
def checkpoint_ahead_of_the_entries(rng, world):
    ahead = replace(world.known, size=world.size + rng.choice([1, 2, 256, 10**6]))
    checkpoint = note.sign(ahead.text(), *world.sealer.head_signers())
    case = cheat(world, world.size, "checkpoint_size", sealer=world.sealer, checkpoint=checkpoint)
    return case.but(INCOMPLETE)


def rewritten(rng: Random, world: World, start: int = 0, stop: int | None = None) -> tuple[int, Sealer]:
    """History written anew by the holder of the key from a random place: everything fits, but it is another history."""
    ordinary = [
        at
        for at in range(start, world.size if stop is None else stop)
        if world.statements[at].kind not in (ROTATION, EPOCH)
    ]
    place = rng.choice(ordinary or [0])
    return place, world.resealed(place, body=make_body(rng))


@tampering()
def rewritten_under_a_known_head(rng, world):
    place, sealer = rewritten(rng, world)
    known = world.head(rng.randint(place + 1, world.size))
    return cheat(world, None, "known_root", sealer=sealer, known=known)


@tampering()
def known_head_forked(rng, world):
    size = rng.randint(1, world.size)
    known = Checkpoint(ORIGIN, size, rng.randbytes(32))
    return cheat(world, None, "known_root", sealer=world.sealer, known=known)


# --- by the holder of the key: witnesses ----------------------------------------------------------------------------


@tampering(witnesses=True)
def rewritten_under_witnesses(rng, world):
    """Nobody cosigned the other history: the verdict is not the one that the policy asks for."""
    _, sealer = rewritten(rng, world)
    return cheat(world, None, "", sealer=sealer).but(UNWITNESSED)


@tampering(witnesses=True)
def rewritten_with_the_old_cosignatures(rng, world):
    _, sealer = rewritten(rng, world)
    lines = note.parse(world.checkpoint).signatures[-len(world.cosigned_by) :]
    checkpoint = sealer.checkpoint() + "".join(line.line() for line in lines).encode()
    return cheat(world, None, "cosignature", sealer=sealer, checkpoint=checkpoint)


@tampering(witnesses=True)
def cosignature_flipped(rng, world):
    parsed = note.parse(world.checkpoint)
    lines = list(parsed.signatures)
    at = rng.randrange(len(lines) - len(world.cosigned_by), len(lines))
    lines[at] = replace(lines[at], signature=flipped(rng, lines[at].signature))
    return outside(world, None, "cosignature", checkpoint=_note(parsed.text, lines), keyless=False)


def _note(text: str, lines: list[Signature]) -> bytes:
    return (text + "\n" + "".join(line.line() for line in lines)).encode()


@tampering(witnesses=True)
def cosignature_forged(rng, world):
    """Under a pinned witness's name and key id, by a key that is not its own."""
    pinned = rng.choice(world.cosigned_by)
    text = note.parse(world.log_checkpoint).text
    forged = replace(FOREIGNER.cosign(text, timestamp=1), name=pinned.name, key_id=pinned.verifier.key_id)
    others = [by for by in world.cosigned_by if by is not pinned]
    checkpoint = cosigned(world.log_checkpoint, *others) + forged.line().encode()
    return outside(world, None, "cosignature", checkpoint=checkpoint, keyless=False)


@tampering(witnesses=True)
def cosignature_backdated(rng, world):
    """The time is under the signature, too."""
    parsed = note.parse(world.checkpoint)
    lines = list(parsed.signatures)
    lines[-1] = replace(lines[-1], signature=rng.randbytes(8) + lines[-1].signature[8:])
    return outside(world, None, "cosignature", checkpoint=_note(parsed.text, lines), keyless=False)


@tampering(witnesses=True, min_size=2)
def cosignature_of_another_checkpoint(rng, world):
    size = rng.randrange(world.size)
    pinned = rng.choice(world.cosigned_by)
    line = pinned.cosign(world.head(size).text(), timestamp=1)
    checkpoint = world.log_checkpoint + line.line().encode()
    return outside(world, None, "cosignature", checkpoint=checkpoint, keyless=False)


@tampering(witnesses=True)
def cosignature_in_the_form_of_a_signature(rng, world):
    """The witness's key over the plain text, as a log signs: it never said what a cosignature says."""
    pinned = rng.choice(world.cosigned_by)
    text = note.parse(world.log_checkpoint).text
    line = Signature(pinned.name, pinned.verifier.key_id, pinned.private_key.sign(text.encode()))
    checkpoint = world.log_checkpoint + line.line().encode()
    return outside(world, None, "cosignature", checkpoint=checkpoint, keyless=False)


def unwitnessed(world: World, checkpoint: bytes) -> Case:
    return outside(world, None, "", checkpoint=checkpoint, keyless=False).but(UNWITNESSED)


@tampering(witnesses=True)
def cosignatures_missing(rng, world):
    return unwitnessed(world, world.log_checkpoint)


@tampering(witnesses=True)
def cosignatures_of_foreigners(rng, world):
    return unwitnessed(world, cosigned(world.log_checkpoint, FOREIGNER))


@tampering(witnesses=True)
def cosignatures_under_other_names(rng, world):
    """The pinned witnesses' keys under names that nobody pinned."""
    renamed = [Cosigner(f"{by.name}.example", by.private_key) for by in world.cosigned_by]
    return unwitnessed(world, cosigned(world.log_checkpoint, *renamed))


@tampering(witnesses=True)
def quorum_not_reached(rng, world):
    """One witness fewer than asked for; the same one twice is one."""
    needed = world.policy.groups[0].threshold if world.policy.groups else 1
    fewer = list(rng.sample(world.cosigned_by, needed - 1))
    text = note.parse(world.log_checkpoint).text
    twice = "".join(by.cosign(text, timestamp=2).line() for by in fewer[:1])
    return unwitnessed(world, cosigned(world.log_checkpoint, *fewer) + twice.encode())


# --- by the holder of a key: rotation -------------------------------------------------------------------------------


def rotation_forged(rng: Random, world: World, change: Callable[[dict[str, str], int], dict[str, Any]]) -> Case:
    """Another body in a rotation's place, sealed by the key that leaves; the log goes on by the key that came."""
    place = rng.choice(world.places(ROTATION))
    body = parse_entry(world.notes[place]).body
    forged = change(dict(body), place)
    assert forged != body
    return cheat(world, place, "key_rotated", sealer=world.resealed(place, body=forged))


@tampering(min_size=2, rotations=True)
def rotation_proof_flipped(rng, world):
    return rotation_forged(
        rng, world, lambda body, _: body | {"proof": flipped(rng, bytes.fromhex(body["proof"])).hex()}
    )


@tampering(min_size=2, rotations=True)
def rotation_without_proof(rng, world):
    def change(body: dict[str, str], place: int) -> dict[str, Any]:
        return rng.choice([{"old": body["old"], "new": body["new"]}, body | {"proof": ""}, {}])

    return rotation_forged(rng, world, change)


@tampering(min_size=2, rotations=True)
def rotation_proved_by_the_old_key(rng, world):
    def change(body: dict[str, str], place: int) -> dict[str, Any]:
        prev = world.leaves[place - 1].hex()
        message = f"custody/key-rotation/v1\n{ORIGIN}\n{place}\n{prev}\n{body['old']}\n{body['new']}\n"
        return body | {"proof": world.signer_of(place).private_key.sign(message.encode()).hex()}

    return rotation_forged(rng, world, change)


@tampering(min_size=2, rotations=True)
def rotation_proof_of_another_place(rng, world):
    def change(body: dict[str, str], place: int) -> dict[str, Any]:
        new = next(new for index, new in world.sealer.rotations if index == place)
        prev = world.leaves[place - 1].hex()
        moved = rng.choice([{"index": place + 1, "prev": prev}, {"index": place, "prev": rng.randbytes(32).hex()}])
        return rotation_body(old=world.signer_of(place).verifier, new=new, **moved)

    return rotation_forged(rng, world, change)


@tampering(min_size=2, rotations=True)
def rotation_to_a_key_that_did_not_agree(rng, world):
    return rotation_forged(rng, world, lambda body, _: body | {"new": STRANGER.vkey})


@tampering(min_size=2, rotations=True)
def rotation_from_another_key(rng, world):
    def change(body: dict[str, str], place: int) -> dict[str, Any]:
        new = next(new for index, new in world.sealer.rotations if index == place)
        return rotation_body(old=STRANGER.verifier, new=new, index=place, prev=world.leaves[place - 1].hex())

    return rotation_forged(rng, world, change)


@tampering(min_size=2, rotations=True)
def rotation_to_another_logs_key(rng, world):
    def change(body: dict[str, str], place: int) -> dict[str, Any]:
        new = signer("log key of another log", ELSEWHERE)
        return rotation_body(
            old=world.signer_of(place).verifier, new=new, index=place, prev=world.leaves[place - 1].hex()
        )

    return rotation_forged(rng, world, change)


@tampering(min_size=2, rotations=True)
def rotation_sealed_by_the_new_key(rng, world):
    place = rng.choice(world.places(ROTATION))
    new = next(new for index, new in world.sealer.rotations if index == place)
    sealer = world.resealed(place, by=new)
    return cheat(world, place, "signature", sealer=sealer)


@tampering(min_size=2)
def rotation_by_a_stranger(rng, world):
    """A rotation that no key of the log sealed, to a key that then goes on."""
    place = rng.randrange(1, world.size)
    sealer = world.before(place)
    sealer.seal(Statement(ROTATION, world.statements[0].subject, new=signer("the stranger's next")), by=STRANGER)
    return outside(world, place, "signature", notes=[*sealer.notes, *world.notes[place + 1 :]], keyless=True)


@tampering(min_size=4, rotations=True)
def signed_after_retirement(rng, world):
    """One entry by a key that has handed over, or all from there."""
    retired = _retired(rng, world)
    if retired is None:
        return rotation_sealed_by_the_new_key(rng, world)
    place, old = retired
    sealer = world.before(place)
    if rng.random() < 0.5:
        sealer.signer = old
    rest = world.statements[place:]
    sealer.seal(rest[0], by=old)
    for statement in rest[1:]:
        sealer.seal(statement)
    return cheat(world, place, "signature", sealer=sealer)


def _retired(rng: Random, world: World) -> tuple[int, Signer] | None:
    """A place after a rotation, and a key that no longer counts there."""
    places = range(world.places(ROTATION)[0] + 1, world.size)
    if not places:
        return None
    place = rng.choice(places)
    gone = [world.signer_of(index) for index, _ in world.sealer.rotations if index < place]
    return place, rng.choice(gone)


@tampering(min_size=4, rotations=True)
def rotation_by_a_retired_key(rng, world):
    retired = _retired(rng, world)
    if retired is None:
        return rotation_sealed_by_the_new_key(rng, world)
    place, old = retired
    sealer = world.before(place)
    sealer.seal(Statement(ROTATION, world.statements[0].subject, new=signer("a key of the retired one")), by=old)
    sealer.seal(Statement("hold", world.statements[0].subject, make_body(rng)))
    return cheat(world, place, "signature", sealer=sealer)


@tampering(min_size=4, rotations=True)
def rotation_by_a_stolen_key_to_a_strangers(rng, world):
    """
    Whoever stole a key that the log has long retired writes its time anew, and hands over to a key of their own.

    The caller pinned the keys that came later too: there the stranger's ends.
    """
    forged, at = handed_over_by_a_thief(rng, world)
    case = cheat(world, at, "signature", sealer=forged.sealer)
    case.policy = forged.policy
    return case


def handed_over_by_a_thief(rng: Random, world: World) -> tuple[World, int]:
    """Return that log, pinned with ranges, and the first entry that only a key pinned for it may sign."""
    turns = world.sealer.rotations
    number = rng.randrange(len(turns))
    start, begins = (turns[number - 1][0] + 1 if number else 1), turns[number][0] + 1
    place = rng.randrange(min(start, begins - 1), begins)
    log = world.statements[0].subject
    sealer = world.before(place)
    statements = [Statement(ROTATION, log, new=signer("a key of the thief"))]
    if place + 1 < begins and rng.random() < 0.3:
        statements.append(Statement(ROTATION, log, new=signer("another key of the thief")))
    while place + len(statements) <= begins or rng.random() < 0.8:
        statements.append(Statement("hold", log, make_body(rng)))
    for statement in statements:
        sealer.seal(statement)
    keys = [signer("log key 0"), *(new for _, new in turns)]
    starts = [0, *(index + 1 for index, _ in turns)]
    ends = [*(index for index, _ in turns), None]
    pinned = [PinnedKey(by.vkey, first, last) for by, first, last in zip(keys, starts, ends, strict=True)]
    # Where each begins is enough.
    if rng.random() < 0.5:
        pinned = [replace(one, last=None) for one in pinned]
    policy = replace(world.policy, keys=tuple(pinned))
    return World((*world.statements[:place], *statements), sealer, policy), begins


@tampering(min_size=4, rotations=True)
def checkpoint_by_a_retired_key(rng, world):
    last = world.sealer.rotations[-1][0]
    if last >= world.size - 1:
        return rotation_sealed_by_the_new_key(rng, world)
    checkpoint = world.sealer.checkpoint(world.signer_of(last))
    return cheat(world, None, "checkpoint_signature", sealer=world.sealer, checkpoint=checkpoint)


@tampering(min_size=3, rotations=False)
def key_beyond_its_pinned_range(rng, world):
    """The caller says where the key ends; the log went on with it."""
    last = rng.randrange(world.size - 1)
    case = cheat(world, last + 1, "signature", sealer=world.sealer)
    case.policy = replace(world.policy, keys=(PinnedKey(signer("log key 0").vkey, 0, last),))
    return case


@tampering(min_size=2, rotations=False)
def key_before_its_pinned_range(rng, world):
    first = rng.randrange(1, world.size)
    case = cheat(world, 0, "signature", sealer=world.sealer)
    case.policy = replace(world.policy, keys=(PinnedKey(signer("log key 0").vkey, first),))
    return case


# --- by the holder of the key: epochs -------------------------------------------------------------------------------


def epoch_forged(rng: Random, world: World, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Case:
    place = rng.choice(world.places(EPOCH))
    body = parse_entry(world.notes[place]).body
    forged = change(dict(body))
    assert forged != body
    return cheat(world, place, "index_epoch", sealer=world.resealed(place, body=forged))


@tampering(min_size=2, epochs=True, rotations=False)
def epoch_root_flipped(rng, world):
    return epoch_forged(rng, world, lambda body: body | {"root": flipped(rng, bytes.fromhex(body["root"])).hex()})


@tampering(min_size=2, epochs=True, rotations=False)
def epoch_count_changed(rng, world):
    return epoch_forged(rng, world, lambda body: body | {"subjects": body["subjects"] + rng.choice([1, 2, 1000])})


@tampering(min_size=2, epochs=True, rotations=False)
def epoch_malformed(rng, world):
    def change(body: dict[str, Any]) -> dict[str, Any]:
        return rng.choice(
            [
                {},
                {"root": body["root"]},
                body | {"more": 1},
                body | {"subjects": str(body["subjects"])},
                body | {"subjects": True if body["subjects"] != 1 else 0},
                body | {"root": body["root"][:-2]},
                body | {"root": body["root"].upper() + "A"},
                body | {"root": None},
            ]
        )

    return epoch_forged(rng, world, change)


@tampering(min_size=3, epochs=True, rotations=False)
def epoch_leaves_a_subject_out(rng, world):
    return _epoch_of(rng, world, lambda heads: heads.pop(rng.choice(sorted(heads))) and None)


@tampering(min_size=3, epochs=True, rotations=False)
def epoch_counts_a_subject_short(rng, world):
    """One subject as it stood before its newest entry: what an operator would say who wants to withhold that one."""

    def change(heads: dict[str, tuple[int, bytes]]) -> None:
        subject = rng.choice(sorted(heads))
        count, head = heads[subject]
        heads[subject] = (count - 1, head) if count > 1 else (count, rng.randbytes(32))

    return _epoch_of(rng, world, change)


@tampering(min_size=3, epochs=True, rotations=False)
def epoch_has_a_subject_too_many(rng, world):
    def change(heads: dict[str, tuple[int, bytes]]) -> None:
        heads["urn:uuid:00000000-0000-4000-8000-000000000000"] = (1, rng.randbytes(32))

    return _epoch_of(rng, world, change)


def _epoch_of(rng: Random, world: World, change: Callable[[dict[str, tuple[int, bytes]]], None]) -> Case:
    place = rng.choice(world.places(EPOCH))
    wrong = world.before(place)
    change(wrong.heads)
    if not wrong.heads:
        return epoch_root_flipped(rng, world)
    return cheat(world, place, "index_epoch", sealer=world.resealed(place, body=wrong.epoch()))


@tampering(min_size=3, epochs=True, rotations=False)
def epoch_of_an_earlier_place(rng, world):
    place = rng.choice(world.places(EPOCH))
    if place == 1:
        return epoch_root_flipped(rng, world)
    earlier = world.before(rng.randrange(1, place))
    return cheat(world, place, "index_epoch", sealer=world.resealed(place, body=earlier.epoch()))
