"""
What can be done to a log, each with the verdict that it must get.

Some hands hold the database alone, some the log's key too: the sealer who cheats is among them.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from hashlib import sha256
from typing import Any

from ledger.tlog import note
from ledger.tlog.checkpoint import Checkpoint, sign_checkpoint
from ledger.tlog.entry import ZERO_HASH, parse_entry, sign_entry
from ledger.tlog.merkle import leaf_hash
from ledger.tlog.note import Signature, Signer
from ledger.tlog.times import format_time
from ledger.tlog.verdict import BROKEN, INCOMPLETE, INTACT_UNWITNESSED
from tests.vectors.golden_log import (
    ANA,
    BEGINNING,
    BOOTS,
    COFFEE,
    GOLDEN,
    GOLDEN_CHECKPOINT,
    LOG,
    STRANGER,
    Log,
    checkpoint_over,
    digest,
    handoff,
    key,
    statements,
)


@dataclass
class Tampering:
    """What was done, the log that it left behind, and the verdict that it must get."""

    about: str
    status: str
    check: str
    broken_at: int | None
    notes: list[bytes] = field(default_factory=lambda: list(GOLDEN))
    checkpoint: bytes | None = GOLDEN_CHECKPOINT
    uncovered: int = 0
    known: Checkpoint | None = None


TAMPERINGS: list[Callable[[], Tampering]] = []


def tampering(make: Callable[[], Tampering]) -> Callable[[], Tampering]:
    TAMPERINGS.append(make)
    return make


def changed(data: bytes, old: bytes, new: bytes) -> bytes:
    assert data.count(old) == 1, (old, data)
    return data.replace(old, new)


def entry_changed(index: int, old: bytes, new: bytes, about: str, check: str) -> Tampering:
    """Change one place in one entry's bytes, without the key."""
    case = Tampering(about, BROKEN, check, index)
    case.notes[index] = changed(GOLDEN[index], old, new)
    return case


def resealed(place: int, about: str, check: str, at: int, **fields: Any) -> Tampering:
    """Let the holder of the key write entry ``place`` anew, with other fields, and seal on correctly from there."""
    log = Log()
    for number, statement in enumerate(statements()):
        log.seal(statement, **(fields if number == place else {}))
    return Tampering(about, BROKEN, check, at, log.notes, sign_checkpoint(checkpoint_over(log.notes), LOG))


@tampering
def flip_body() -> Tampering:
    return entry_changed(
        5, b'"measured_g":412350', b'"measured_g":412351', "one digit of a weight changed", "signature"
    )


@tampering
def flip_genesis() -> Tampering:
    return entry_changed(0, b"custody-ledger/v1", b"custody-ledger/v2", "the genesis changed", "signature")


@tampering
def flip_last() -> Tampering:
    return entry_changed(11, b'["template"]', b'["templatf"]', "the last entry changed", "signature")


@tampering
def flip_signature() -> Tampering:
    case = Tampering("one bit of a signature changed", BROKEN, "signature", 6)
    parsed = note.parse(GOLDEN[6])
    line = parsed.signatures[0]
    bad = replace(line, signature=bytes([line.signature[0] ^ 1]) + line.signature[1:])
    case.notes[6] = as_note(parsed.text, bad)
    return case


@tampering
def flip_key_id() -> Tampering:
    case = Tampering("the signature line names another key", BROKEN, "signature", 6)
    parsed = note.parse(GOLDEN[6])
    case.notes[6] = as_note(parsed.text, replace(parsed.signatures[0], key_id=b"\0\0\0\0"))
    return case


@tampering
def renumber_without_key() -> Tampering:
    return entry_changed(4, b'"index":4', b'"index":5', "an entry given another number", "signature")


@tampering
def kind_changed_without_key() -> Tampering:
    return entry_changed(
        9, b'"kind":"discrepancy"', b'"kind":"resolution"', "a discrepancy made its own end", "signature"
    )


@tampering
def delete_entry() -> Tampering:
    case = Tampering("an entry taken out", BROKEN, "index", 7)
    del case.notes[7]
    return case


@tampering
def delete_genesis() -> Tampering:
    case = Tampering("the genesis taken out", BROKEN, "index", 0)
    del case.notes[0]
    return case


@tampering
def cut_tail() -> Tampering:
    return Tampering("the last two entries taken out", INCOMPLETE, "checkpoint_size", 10, GOLDEN[:10])


@tampering
def all_entries_gone() -> Tampering:
    return Tampering("every entry taken out", INCOMPLETE, "checkpoint_size", 0, [])


@tampering
def everything_gone() -> Tampering:
    return Tampering("entries and checkpoint taken out: nothing to verify", INCOMPLETE, "empty", None, [], None)


@tampering
def swap_two() -> Tampering:
    case = Tampering("two neighbours changed places", BROKEN, "index", 3)
    case.notes[3], case.notes[4] = case.notes[4], case.notes[3]
    return case


@tampering
def replay_entry() -> Tampering:
    case = Tampering("an entry put in a second time", BROKEN, "index", 8)
    case.notes.insert(8, GOLDEN[5])
    return case


@tampering
def insert_forged() -> Tampering:
    log = Log(GOLDEN[:6], {BOOTS: (3, leaf_hash(GOLDEN[5]).hex())}, BEGINNING + timedelta(hours=1))
    forged = log.seal(handoff(6, BOOTS, ANA), signer=STRANGER)
    return Tampering(
        "an entry made up and put in, by another key", BROKEN, "signature", 6, [*GOLDEN[:6], forged, *GOLDEN[6:]]
    )


@tampering
def resign_other_key() -> Tampering:
    case = Tampering("an entry changed and signed by another key", BROKEN, "signature", 5)
    entry = parse_entry(GOLDEN[5])
    case.notes[5] = sign_entry(replace(entry, body=entry.body | {"second_factor": "pin"}), STRANGER)
    return case


@tampering
def resign_other_key_under_the_logs_key_id() -> Tampering:
    case = Tampering("the same, and the line claims the log's key id", BROKEN, "signature", 5)
    parsed = note.parse(resign_other_key().notes[5])
    case.notes[5] = as_note(parsed.text, replace(parsed.signatures[0], key_id=LOG.verifier.key_id))
    return case


@tampering
def rechain_without_key() -> Tampering:
    case = Tampering(
        "an entry changed, and the hashes of all later ones computed anew, without the key", BROKEN, "signature", 5
    )
    heads: dict[str, str] = {}
    for index, data in enumerate(GOLDEN):
        entry, line = parse_entry(data), note.parse(data).signatures[0]
        if index == 5:
            entry = replace(entry, body=entry.body | {"second_factor": "pin"})
        elif index > 5:
            chained = {"prev": leaf_hash(case.notes[index - 1]).hex()}
            if entry.subject_seq:
                chained["subject_prev"] = heads[entry.subject]
            entry = replace(entry, **chained)
        case.notes[index] = as_note(entry.text(), line)
        heads[entry.subject] = leaf_hash(case.notes[index]).hex()
    case.checkpoint = as_note(checkpoint_over(case.notes).text(), note.parse(GOLDEN_CHECKPOINT).signatures[0])
    return case


@tampering
def another_entrys_signature() -> Tampering:
    case = Tampering("an entry under the signature of another entry", BROKEN, "signature", 5)
    case.notes[5] = as_note(note.parse(GOLDEN[5]).text, note.parse(GOLDEN[8]).signatures[0])
    return case


@tampering
def wrong_origin() -> Tampering:
    case = Tampering("an entry of another log", BROKEN, "origin", 4)
    other = Signer("example.org/custody/laredo", LOG.private_key)
    case.notes[4] = sign_entry(replace(parse_entry(GOLDEN[4]), origin=other.name), other)
    return case


@tampering
def origin_changed_in_the_text_alone() -> Tampering:
    return entry_changed(
        4,
        b'"origin":"example.org/custody/juarez"',
        b'"origin":"example.org/custody/laredo"',
        "the text names another log than the signature line",
        "format",
    )


@tampering
def duplicate_json_key() -> Tampering:
    return signed_text(4, b'"index":4', b'"index":4,"index":4', "a key stands twice; the signature fits")


@tampering
def noncanonical_text() -> Tampering:
    return signed_text(4, b'"index":4', b'"index": 4', "a space in the JSON; the signature fits")


@tampering
def keys_out_of_order() -> Tampering:
    swapped = b'"kind":"seal_applied","index":4'
    return signed_text(4, b'"index":4,"kind":"seal_applied"', swapped, "keys in another order; the signature fits")


@tampering
def escaped_character() -> Tampering:
    return signed_text(4, b'"class":"H"', b'"class":"\\u0048"', "a letter written as an escape; the signature fits")


@tampering
def float_in_body() -> Tampering:
    return signed_text(3, b'"items":24', b'"items":24.0', "a number with a point; the signature fits")


@tampering
def integer_too_large() -> Tampering:
    return signed_text(3, b'"items":24', b'"items":9007199254740992', "2 to the 53rd; the signature fits")


@tampering
def unknown_field() -> Tampering:
    return signed_text(4, b',"v":1}', b',"v":1,"w":1}', "a field that the format does not know; the signature fits")


@tampering
def missing_field() -> Tampering:
    return signed_text(4, b',"v":1}', b"}", "a field missing; the signature fits")


@tampering
def later_version() -> Tampering:
    return signed_text(4, b',"v":1}', b',"v":2}', "a version that this format does not know; the signature fits")


@tampering
def true_for_one() -> Tampering:
    return signed_text(4, b',"v":1}', b',"v":true}', "true where 1 belongs; the signature fits")


@tampering
def uppercase_hash() -> Tampering:
    prev = parse_entry(GOLDEN[4]).prev
    assert prev.upper() != prev
    return signed_text(
        4, f'"prev":"{prev}'.encode(), f'"prev":"{prev.upper()}'.encode(), "a hash in capitals; the signature fits"
    )


@tampering
def time_without_milliseconds() -> Tampering:
    sealed_at = parse_entry(GOLDEN[4]).sealed_at
    return signed_text(
        4, sealed_at.encode(), f"{sealed_at[:-5]}Z".encode(), "a time in another form; the signature fits"
    )


@tampering
def digits_of_another_script() -> Tampering:
    old = parse_entry(GOLDEN[4]).sealed_at.encode()
    new = old.replace(b"2026", "٢٠٢٦".encode())
    return signed_text(4, old, new, "a year in Arabic-Indic digits; the signature fits")


@tampering
def second_line_in_text() -> Tampering:
    return signed_text(4, b',"v":1}', b',"v":1}\n', "a second, empty line in the text; the signature fits")


@tampering
def lax_base64() -> Tampering:
    """The last character's two spare bits: lax decoders ignore them, and the leaf would differ."""
    case = Tampering("a signature in another base64 spelling of the same bytes", BROKEN, "format", 4)
    data = GOLDEN[4]
    assert data.endswith(b"=\n")
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    last = alphabet[alphabet.index(chr(data[-3])) | 1]
    case.notes[4] = data[:-3] + f"{last}=\n".encode()
    return case


@tampering
def base64_without_padding() -> Tampering:
    case = Tampering("a signature without its base64 padding", BROKEN, "format", 4)
    case.notes[4] = GOLDEN[4].removesuffix(b"=\n") + b"\n"
    return case


@tampering
def second_signature() -> Tampering:
    case = Tampering("a second signature line added: the same entry as another leaf", BROKEN, "format", 4)
    parsed = note.parse(GOLDEN[4])
    other = Signer("example.net/somebody", key("somebody"))
    case.notes[4] = as_note(parsed.text, parsed.signatures[0], other.sign(parsed.text))
    return case


@tampering
def signature_twice() -> Tampering:
    case = Tampering("the signature line written twice", BROKEN, "format", 4)
    parsed = note.parse(GOLDEN[4])
    case.notes[4] = as_note(parsed.text, parsed.signatures[0], parsed.signatures[0])
    return case


@tampering
def truncated_note() -> Tampering:
    case = Tampering("an entry cut short", BROKEN, "format", 8)
    case.notes[8] = GOLDEN[8][:-40]
    return case


@tampering
def text_alone() -> Tampering:
    case = Tampering("an entry without its signature", BROKEN, "format", 8)
    case.notes[8] = note.parse(GOLDEN[8]).text.encode()
    return case


@tampering
def empty_note() -> Tampering:
    case = Tampering("an entry emptied", BROKEN, "format", 8)
    case.notes[8] = b""
    return case


@tampering
def windows_newlines() -> Tampering:
    case = Tampering("newlines turned into CR LF", BROKEN, "format", 8)
    case.notes[8] = GOLDEN[8].replace(b"\n", b"\r\n")
    return case


@tampering
def byte_order_mark() -> Tampering:
    case = Tampering("a byte order mark in front", BROKEN, "format", 8)
    case.notes[8] = b"\xef\xbb\xbf" + GOLDEN[8]
    return case


@tampering
def not_utf8() -> Tampering:
    return entry_changed(8, "✓".encode(), b"\xff\xfe\xfd", "bytes that are no UTF-8", "format")


@tampering
def trailing_bytes() -> Tampering:
    case = Tampering("a newline added behind an entry", BROKEN, "format", 8)
    case.notes[8] = GOLDEN[8] + b"\n"
    return case


@tampering
def checkpoint_as_entry() -> Tampering:
    case = Tampering("a checkpoint in the place of an entry", BROKEN, "format", 8)
    case.notes[8] = sign_checkpoint(checkpoint_over(GOLDEN, 8), LOG)
    return case


@tampering
def unknown_kind() -> Tampering:
    return resealed(4, "the sealer signed a kind that the format does not know", "kind", 4, kind="teleport")


@tampering
def second_genesis() -> Tampering:
    return resealed(4, "the sealer signed a second genesis", "kind", 4, kind="genesis")


@tampering
def no_genesis() -> Tampering:
    return resealed(0, "the sealer began with something else than a genesis", "kind", 0, kind="enrolment")


@tampering
def index_skipped() -> Tampering:
    return resealed(6, "the sealer skipped a number", "index", 6, index=7)


@tampering
def prev_of_another() -> Tampering:
    prev = leaf_hash(GOLDEN[4]).hex()
    return resealed(6, "the sealer chained an entry to the one before its predecessor", "prev", 6, prev=prev)


@tampering
def genesis_with_prev() -> Tampering:
    return resealed(0, "the sealer's genesis continues from something", "prev", 0, prev=digest("another log"))


@tampering
def entry_rewritten_by_sealer() -> Tampering:
    """Nothing in the entry itself is wrong: it is the next one that no longer continues from it."""
    case = Tampering("the sealer signed an entry anew and left the later ones", BROKEN, "prev", 6)
    entry = parse_entry(GOLDEN[5])
    case.notes[5] = sign_entry(replace(entry, body=entry.body | {"second_factor": "pin"}), LOG)
    return case


@tampering
def last_entry_rewritten_by_sealer() -> Tampering:
    """No later entry shows it; the checkpoint does."""
    case = Tampering("the sealer signed the last entry anew", BROKEN, "checkpoint_root", None)
    entry = parse_entry(GOLDEN[11])
    case.notes[11] = sign_entry(replace(entry, body=entry.body | {"destroyed": []}), LOG)
    return case


@tampering
def history_rewritten_by_sealer() -> Tampering:
    case = resealed(
        5, "the sealer wrote history anew; the checkpoint remembers", "checkpoint_root", 5, kind="inspection"
    )
    return replace(case, broken_at=None, checkpoint=GOLDEN_CHECKPOINT)


@tampering
def subject_withheld() -> Tampering:
    """The log's own chain has no gap: only the shipment's chain remembers its third entry."""
    log = Log()
    for number, statement in enumerate(statements()):
        if number == 5:
            seq, _ = log.heads[statement.subject]
            log.heads[statement.subject] = (seq + 1, leaf_hash(GOLDEN[5]).hex())
            continue
        log.seal(statement)
    about = "the sealer left out a handoff and renumbered the log; the shipment's own chain shows it"
    return Tampering(about, BROKEN, "subject_seq", 9, log.notes, sign_checkpoint(checkpoint_over(log.notes), LOG))


@tampering
def subject_withheld_and_recounted() -> Tampering:
    log = Log()
    for number, statement in enumerate(statements()):
        if number == 5:
            seq, _ = log.heads[statement.subject]
            log.heads[statement.subject] = (seq, leaf_hash(GOLDEN[5]).hex())
            continue
        log.seal(statement)
    about = "the same, and the shipment's entries counted anew; the hash still shows it"
    return Tampering(about, BROKEN, "subject_prev", 9, log.notes, sign_checkpoint(checkpoint_over(log.notes), LOG))


@tampering
def subject_repeated() -> Tampering:
    return resealed(10, "the sealer counted a shipment's entry twice", "subject_seq", 10, subject_seq=2)


@tampering
def subject_begun_again() -> Tampering:
    fields = {"subject_seq": 0, "subject_prev": ZERO_HASH}
    return resealed(10, "the sealer began a shipment's chain again", "subject_seq", 10, **fields)


@tampering
def moved_to_another_subject() -> Tampering:
    return resealed(10, "the sealer moved an entry to another shipment", "subject_seq", 10, subject=COFFEE)


@tampering
def clock_set_back() -> Tampering:
    earlier = format_time(BEGINNING - timedelta(days=1))
    return resealed(10, "the sealer dated an entry back", "sealed_at", 10, sealed_at=earlier)


@tampering
def first_fault_is_named() -> Tampering:
    case = entry_changed(9, b'"missing_tag"', b'"missing_tah"', "two entries changed: the first is named", "signature")
    case.notes[4] = changed(GOLDEN[4], b'"class":"H"', b'"class":"I"')
    return replace(case, broken_at=4)


@tampering
def checkpoint_gone() -> Tampering:
    return Tampering("the checkpoint taken out", BROKEN, "checkpoint_missing", None, checkpoint=None)


@tampering
def checkpoint_other_key() -> Tampering:
    forged = sign_checkpoint(checkpoint_over(GOLDEN), STRANGER)
    return Tampering("a checkpoint signed by another key", BROKEN, "checkpoint_signature", None, checkpoint=forged)


@tampering
def checkpoint_size_changed() -> Tampering:
    smaller = changed(GOLDEN_CHECKPOINT, b"\n12\n", b"\n11\n")
    return Tampering("the checkpoint's size changed", BROKEN, "checkpoint_signature", None, checkpoint=smaller)


@tampering
def checkpoint_wrong_origin() -> Tampering:
    text = checkpoint_over(GOLDEN, origin="example.org/custody/laredo").text()
    about = "a checkpoint of another log, signed by the pinned key"
    return Tampering(about, BROKEN, "checkpoint_origin", None, checkpoint=note.sign(text, LOG))


@tampering
def checkpoint_leading_zero() -> Tampering:
    text = checkpoint_over(GOLDEN).text().replace("\n12\n", "\n012\n")
    about = "a checkpoint whose size has a leading zero; the signature fits"
    return Tampering(about, BROKEN, "checkpoint_format", None, checkpoint=note.sign(text, LOG))


@tampering
def checkpoint_digits_of_another_script() -> Tampering:
    text = checkpoint_over(GOLDEN).text().replace("\n12\n", "\n١٢\n")
    about = "a checkpoint whose size is in Arabic-Indic digits; the signature fits"
    return Tampering(about, BROKEN, "checkpoint_format", None, checkpoint=note.sign(text, LOG))


@tampering
def checkpoint_garbage() -> Tampering:
    return Tampering("a checkpoint that is no note", BROKEN, "checkpoint_format", None, checkpoint=b"\x00\xff")


@tampering
def entry_as_checkpoint() -> Tampering:
    about = "an entry in the place of the checkpoint"
    return Tampering(about, BROKEN, "checkpoint_format", None, checkpoint=GOLDEN[5])


@tampering
def checkpoint_of_another_history() -> Tampering:
    other = replace(checkpoint_over(GOLDEN), root=sha256(b"another history").digest())
    about = "a checkpoint that the log signed over another history"
    return Tampering(about, BROKEN, "checkpoint_root", None, checkpoint=sign_checkpoint(other, LOG))


@tampering
def bad_checkpoint_and_bad_entry() -> Tampering:
    case = flip_body()
    return replace(case, about="checkpoint and entry changed: the entry is named", checkpoint=b"garbage")


@tampering
def bad_checkpoint_and_cut_tail() -> Tampering:
    case = checkpoint_other_key()
    return replace(case, about="a forged checkpoint over a cut log proves no length", notes=GOLDEN[:10])


@tampering
def old_checkpoint() -> Tampering:
    """Not a fault by itself: the later entries wait. Whoever kept a later checkpoint knows better."""
    older = sign_checkpoint(checkpoint_over(GOLDEN, 9), LOG)
    return Tampering("an older checkpoint of the same log", INTACT_UNWITNESSED, "", None, checkpoint=older, uncovered=3)


@tampering
def fault_beyond_old_checkpoint() -> Tampering:
    case = entry_changed(
        10, b'"random"', b'"randon"', "an entry changed that the checkpoint does not cover yet", "signature"
    )
    return replace(case, checkpoint=old_checkpoint().checkpoint)


@tampering
def old_head_known() -> Tampering:
    return Tampering(
        "nothing done; an older head is known besides", INTACT_UNWITNESSED, "", None, known=checkpoint_over(GOLDEN, 9)
    )


@tampering
def history_rewritten_and_continued_by_sealer() -> Tampering:
    """The log is sound by itself and one entry longer: only who knows the head over eleven entries sees it."""
    case = resealed(5, "the sealer wrote history anew and went on", "known_root", 5, kind="inspection")
    return replace(case, broken_at=None, known=checkpoint_over(GOLDEN, 11))


@tampering
def entry_forged_under_known_head() -> Tampering:
    """The checkpoint is older than what is known: the entries beyond it are held against the known head."""
    case = resealed(
        11, "the sealer wrote an entry anew that awaits its checkpoint", "known_root", 11, kind="inspection"
    )
    return replace(case, broken_at=None, checkpoint=old_checkpoint().checkpoint, known=checkpoint_over(GOLDEN))


@tampering
def cut_tail_with_its_checkpoint() -> Tampering:
    case = Tampering("the end cut off, and an older checkpoint put under the rest", INCOMPLETE, "known_size", 9)
    case.notes = case.notes[:9]
    return replace(case, checkpoint=old_checkpoint().checkpoint, known=checkpoint_over(GOLDEN))


@tampering
def everything_gone_and_a_head_known() -> Tampering:
    case = Tampering("no entry and no checkpoint is left, and a head is known", INCOMPLETE, "known_size", 0)
    return replace(case, notes=[], checkpoint=None, known=checkpoint_over(GOLDEN, 9))


@tampering
def bad_checkpoint_before_known_head() -> Tampering:
    """Both checkpoint and known head fail: the checkpoint is told first."""
    case = history_rewritten_by_sealer()
    return replace(
        case, about="history written anew under an old checkpoint and head", known=checkpoint_over(GOLDEN, 9)
    )


def signed_text(index: int, old: bytes, new: bytes, about: str) -> Tampering:
    """Change the text of an entry and sign it with the log's own key: only the form is wrong."""
    case = Tampering(about, BROKEN, "format", index)
    text = changed(note.parse(GOLDEN[index]).text.encode(), old, new).decode()
    case.notes[index] = note.sign(text, LOG)
    return case


def as_note(text: str, *lines: Signature) -> bytes:
    """Put signature lines under a text, whether they fit or not."""
    return (text + "\n" + "".join(line.line() for line in lines)).encode()
