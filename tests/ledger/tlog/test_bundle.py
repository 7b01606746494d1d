"""Bundles, offline: what a clean one is called, and that each way to cheat with one is named."""

import hashlib
import json
import random
import struct
import zipfile
from dataclasses import replace
from io import BytesIO, StringIO

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ledger.tlog import bundle_file, canonical
from ledger.tlog.__main__ import main
from ledger.tlog.bundle import verify_bundle
from ledger.tlog.bundle_file import MAX_MEMBERS, BundleFile, BundleMalformed, BundleWriter
from ledger.tlog.commitment import commit
from ledger.tlog.cosignature import Cosigner
from ledger.tlog.index_epoch import SubjectHead
from ledger.tlog.merkle import leaf_hash
from ledger.tlog.policy import Policy, Witness
from ledger.tlog.tiles import encode_bundle
from tests.ledger.tsa import LocalAuthority

from .bundles import (
    ORIGIN,
    SHIPMENTS,
    STRANGER,
    Log,
    cosigned,
    log_members,
    pack,
    pack_as_it_comes,
    pin,
    put,
    range_members,
    signer,
    stamp_members,
    subject_members,
)

ONE, TWO, THREE = SHIPMENTS
WITNESS = Cosigner("witness.example", Ed25519PrivateKey.from_private_bytes(b"w" * 32))


@pytest.fixture
def log() -> Log:
    """Twelve entries: a genesis, nine of three shipments in turn, an epoch at 10, one more of the first shipment."""
    log = Log()
    for n in range(9):
        log.attach(SHIPMENTS[n % 3], b"report %d" % n)
    log.seal_epoch()
    log.hand_over(ONE)
    return log


@pytest.fixture
def check(tmp_path):
    def check(content, policy: Policy | None = None, **options):
        return verify_bundle(put(tmp_path, content), policy=policy or pin(), **options)

    return check


def named(verdict) -> tuple:
    return verdict.status, verdict.check, verdict.broken_at


# What is sound


@pytest.mark.parametrize("deep", [True, False])
def test_a_bundle_of_the_whole_log_is_intact(log, check, deep):
    found = check(log_members(log), deep=deep)
    assert (found.status, found.entries, found.size) == ("intact_unwitnessed", 12, 12)
    assert found.attachments == (9 if deep else 0)
    assert found.sentence() == "Intact, unwitnessed: all 12 entries under the checkpoint are sound."


@pytest.mark.parametrize("size", [1, 2, 255, 256, 257, 600])
def test_whole_logs_of_sizes_where_tiles_fill(check, size):
    log = Log()
    while len(log.notes) < size:
        log.add("handoff", ONE, {})
    assert named(check(log_members(log))) == ("intact_unwitnessed", "", None)


def test_a_range_is_intact_and_says_which(log, check):
    found = check(range_members(log, 3, 7))
    assert (found.status, found.entries, found.attachments) == ("intact_unwitnessed", 4, 4)
    assert found.sentence() == "Intact, unwitnessed: all entries from 3 to 6 are sound."


def test_a_shipment_is_complete_up_to_the_epoch(log, check):
    found = check(subject_members(log, ONE))
    # Its three entries before the epoch, the epoch, and the one after it.
    assert (found.status, found.entries, found.complete_up_to) == ("intact_unwitnessed", 4, 10)
    assert found.sentence() == "Intact, unwitnessed: the shipment's 4 entries are sound; complete up to entry 10."


def test_without_an_epoch_completeness_is_not_claimed(check):
    log = Log()
    log.hand_over(ONE)
    found = check(subject_members(log, ONE))
    assert (found.status, found.complete_up_to) == ("intact_unwitnessed", None)
    assert "is not shown" in found.sentence()


def test_absence_is_shown_by_the_neighbours(log, check):
    found = check(subject_members(log, STRANGER))
    assert (found.status, found.entries, found.complete_up_to) == ("intact_unwitnessed", 0, 10)
    assert found.sentence() == (
        "Intact, unwitnessed: the log holds no entry about the shipment; complete up to entry 10."
    )


def test_a_rotation_within_and_before_the_range_is_followed(check):
    old, new, newest = signer(1), signer(2), signer(3)
    log = Log(old)
    log.hand_over(ONE)
    log.rotate(new)
    log.hand_over(ONE)
    log.rotate(newest)
    log.hand_over(TWO)
    log.seal_epoch()
    for members in (log_members(log), range_members(log, 5, 6), range_members(log, 1, 6), subject_members(log, ONE)):
        assert named(check(members, pin(old))) == ("intact_unwitnessed", "", None)
    # Without the first rotation nobody knows why the second key counts.
    members = range_members(log, 5, 6)
    del members["entry/2.note"], members["entry/2.tlog-proof"]
    assert named(check(members, pin(old))) == ("broken", "checkpoint_signature", None)


def test_a_retired_key_signs_no_checkpoint(check):
    old, new = signer(1), signer(2)
    log = Log(old)
    log.rotate(new)
    log.hand_over(ONE)
    for members in (range_members(log, 2, 3, log.checkpoint(None, old)), log_members(log, log.checkpoint(None, old))):
        assert named(check(members, pin(old))) == ("broken", "checkpoint_signature", None)


def test_witnesses_are_named_and_a_quorum_makes_it_witnessed(log, check):
    policy = replace(pin(), witnesses=(Witness("carrier", WITNESS.vkey),), quorum="carrier")
    for make in (log_members, lambda *a: range_members(a[0], 1, 4, a[1]), lambda *a: subject_members(a[0], ONE, a[1])):
        found = check(make(log, cosigned(log.checkpoint(), WITNESS)), policy)
        assert (found.status, found.witnesses) == ("intact_and_witnessed", ("carrier",))
        assert check(make(log, log.checkpoint()), policy).status == "intact_unwitnessed"
        forged = log.checkpoint() + cosigned(log.checkpoint(5), WITNESS).splitlines(keepends=True)[-1]
        assert named(check(make(log, forged), policy)) == ("broken", "cosignature", None)


# What is not


def test_an_entry_changed_in_the_whole_log_is_named(log, check):
    for index in (0, 4, 11):
        notes = list(log.notes)
        notes[index] = notes[index].replace(b'"body"', b'"BODY"')
        members = log_members(log) | {"tile/entries/000.p/12": encode_bundle(notes)}
        assert named(check(members)) == ("broken", "format", index)


def test_a_byte_flipped_in_the_file_names_the_entry_though_the_checksum_fails_too(log, tmp_path):
    members = list(log_members(log).items())
    content = bytearray(pack_as_it_comes(members))  # stored: the bytes are found in the file
    content[content.index(log.notes[7]) + 20] ^= 1
    found = verify_bundle(put(tmp_path, bytes(content)), policy=pin())
    assert found.broken_at == 7
    # Where nothing but the checksum is wrong, no entry is blamed.
    content = bytearray(pack_as_it_comes(members))
    at = content.rindex(b"tile/entries/000.p/12") - 46 + 16
    content[at] ^= 1
    assert named(verify_bundle(put(tmp_path, bytes(content)), policy=pin())) == ("broken", "bundle", None)


def test_a_missing_entry_bundle_is_incomplete_from_there(check):
    log = Log()
    while len(log.notes) < 600:
        log.add("handoff", ONE, {})
    members = log_members(log)
    del members["tile/entries/001"]
    assert named(check(members)) == ("incomplete", "checkpoint_size", 256)
    members = log_members(log)
    del members["tile/0/001"]
    found = check(members)
    assert named(found) == ("incomplete", "tile", None)
    assert found.sentence() == "Incomplete: a tile of the tree is not in the bundle."


def test_a_forged_tile_is_named(check):
    log = Log()
    while len(log.notes) < 300:
        log.add("handoff", ONE, {})
    for name in ("tile/0/000", "tile/0/001.p/44", "tile/1/000.p/1"):
        members = log_members(log)
        members[name] = members[name][:-1] + bytes([members[name][-1] ^ 1])
        found = check(members)
        assert named(found) == ("broken", "tile", None)
        assert name in found.expected


def test_a_withheld_entry_of_a_shipment_is_found(log, check):
    # The second of four: the third skips.
    members = subject_members(log, ONE)
    del members["entry/4.note"], members["entry/4.tlog-proof"]
    members = {name: data for name, data in members.items() if not name.startswith("attachments/")} | {
        name: data for name, data in log_members(log).items() if name.startswith("attachments/") and data[-1:] in b"06"
    }
    assert named(check(members)) == ("broken", "subject_seq", 7)
    # The last one before the epoch: the epoch has counted it.
    members = subject_members(log, TWO)
    digest = log.entries[8].body["reads"]["document"]
    del members["entry/8.note"], members["entry/8.tlog-proof"], members[f"attachments/{digest}"]
    found = check(members)
    assert named(found) == ("incomplete", "subject_seq", None)
    assert found.sentence() == "Incomplete: entries of the shipment are not in the bundle."
    assert found.complete_up_to is None


def test_all_entries_withheld_is_not_an_absence(log, check):
    members = subject_members(log, STRANGER)
    about = json.loads(members["bundle.json"]) | {"subject": ONE}
    found = check(members | {"bundle.json": canonical.encode(about)})
    assert named(found) == ("broken", "epoch_proof", 10)
    # And neither entries nor an epoch is no bundle about anything.
    del members["epoch.json"], members["entry/10.note"], members["entry/10.tlog-proof"]
    assert named(check(members)) == ("incomplete", "empty", None)


def test_forged_epoch_leaves_are_refused(log, check):
    clean = subject_members(log, ONE)
    shown = json.loads(clean["epoch.json"])
    for change in ({"count": 2}, {"head": "00" * 32}, {"place": 1 if shown["present"]["place"] != 1 else 2}):
        forged = canonical.encode(shown | {"present": shown["present"] | change})
        assert named(check(clean | {"epoch.json": forged})) == ("broken", "epoch_proof", 10)


def test_an_epoch_that_commits_to_too_little_is_found_in_the_whole_log(check):
    log = Log()
    log.hand_over(ONE)
    log.hand_over(ONE)
    honest = log.subject_heads(3)
    head = leaf_hash(log.notes[1])
    forged = sorted(SubjectHead.of(ONE, 1, head) if one == honest[-1] or one.count == 2 else one for one in honest)
    log.seal_epoch(forged)
    assert named(check(log_members(log))) == ("broken", "index_epoch", 3)
    # The shipment alone shows that there is more than the epoch says.
    assert named(check(subject_members(log, ONE))) == ("broken", "epoch_proof", 3)


def test_a_range_with_a_gap_is_incomplete_at_the_gap(log, check):
    members = range_members(log, 2, 9)
    digest = log.entries[5].body["reads"]["document"]
    del members["entry/5.note"], members["entry/5.tlog-proof"], members[f"attachments/{digest}"]
    assert named(check(members)) == ("incomplete", "range", 5)
    members = range_members(log, 2, 8)
    found = check(members, span=(2, 9))
    assert named(found) == ("incomplete", "range", 8)


def test_a_forged_proof_is_refused(log, check):
    members = range_members(log, 3, 7)
    proofs = {name: data for name, data in members.items() if name.endswith("4.tlog-proof")}
    ((name, proof),) = proofs.items()
    for forged in (
        proof.replace(b"index 4\n", b"index 5\n"),
        members["entry/5.tlog-proof"],
        proof.replace(b"\n\n", b"\nAAAA\n\n", 1),
        proof.replace(ORIGIN.encode() + b"\n12\n", ORIGIN.encode() + b"\n13\n"),
        b"",
    ):
        assert forged != proof
        assert named(check(members | {name: forged})) == ("broken", "proof", 4)


def test_a_foreign_checkpoint_is_refused(log, check):
    other = Log(signer(9))
    for _ in range(11):
        other.hand_over(ONE)
    for members in (log_members(log), range_members(log, 3, 7), subject_members(log, ONE)):
        found = check(members | {"checkpoint": other.checkpoint()})
        assert named(found) == ("broken", "checkpoint_signature", None)
        assert named(check({k: v for k, v in members.items() if k != "checkpoint"}))[:2] == (
            "broken",
            "checkpoint_missing",
        )


def test_entries_of_another_log_under_the_same_key_name_are_refused(log, check):
    other = Log(signer(9))
    for _ in range(11):
        other.hand_over(ONE)
    members = range_members(log, 3, 7)
    assert named(check(members | {"entry/4.note": other.notes[4]})) == ("broken", "signature", 4)
    assert named(check(members | {"entry/4.note": log.notes[5]})) == ("broken", "index", 4)


@pytest.mark.parametrize(
    "make", [log_members, lambda log: range_members(log, 0, 12), lambda log: subject_members(log, ONE)]
)
def test_attachments_are_what_the_entries_name(log, check, make):
    digest = log.entries[4].body["reads"]["document"]
    name = f"attachments/{digest}"
    assert named(check(make(log) | {name: b"another report"})) == ("broken", "attachment_changed", 4)
    members = make(log)
    del members[name]
    assert named(check(members)) == ("broken", "attachment_missing", 4)
    foreign = f"attachments/{hashlib.sha256(b'more').hexdigest()}"
    assert named(check(make(log) | {foreign: b"more"})) == ("broken", "bundle", None)


def test_another_shipment_than_asked_for_is_refused(log, check):
    assert named(check(subject_members(log, ONE), subject=TWO))[:2] == ("broken", "bundle")
    assert named(check(range_members(log, 3, 7), subject=TWO))[:2] == ("broken", "bundle")
    assert check(log_members(log), subject=TWO).complete_up_to == 12
    assert check(subject_members(log, ONE), subject=ONE).intact


def test_a_quorum_less_policy_and_no_key(log, check):
    assert named(check(range_members(log, 1, 2), Policy(ORIGIN, ()))) == ("broken", "policy", None)
    assert named(check(range_members(log, 1, 2), Policy.pin(ORIGIN, "no key"))) == ("broken", "policy", None)


# Disclosures


def disclosed(log: Log, index: int, *, label: str = "note", value: bytes = b"The seal was torn.") -> dict[str, bytes]:
    data = {"commitment": NOTE, "entry": index, "label": label, "salt": SALT.hex(), "value": value.hex()}
    return {f"disclosures/{NOTE}.json": canonical.encode(data)}


SALT = b"s" * 32
NOTE = commit(salt=SALT, value=b"The seal was torn.")


@pytest.mark.parametrize(
    "make", [log_members, lambda log: range_members(log, 0, 13), lambda log: subject_members(log, ONE)]
)
def test_a_disclosure_opens_what_stands_in_the_entry(log, check, make):
    index = log.hand_over(ONE, note=NOTE)
    found = check(make(log) | disclosed(log, index))
    assert found.intact
    assert [(one.entry, one.label, one.text) for one in found.disclosures] == [(index, "note", "The seal was torn.")]
    assert check(make(log)).disclosures == ()
    for change in ({"value": b"All was well."}, {"label": "goods.reference"}):
        assert named(check(make(log) | disclosed(log, index, **change))) == ("broken", "disclosure", index)
    assert named(check(make(log) | disclosed(log, 11))) == ("broken", "disclosure", 11)
    assert named(check(make(log) | disclosed(log, 99)))[:2] == ("broken", "disclosure")


# Timestamps


def test_a_stamped_checkpoint_that_the_log_does_not_continue_is_refused(check, tmp_path):
    log, rewritten = Log(), Log()
    for n in range(8):
        log.hand_over(ONE, n=n)
        rewritten.hand_over(ONE, n=n + 1)
    with LocalAuthority(tmp_path / "tsa") as authority:
        note = log.checkpoint(5)
        policy = replace(pin(), timestamp_roots=(authority.root_der,))
        response = authority.stamp(note)
        for part, make in ((False, log_members), (True, lambda log: range_members(log, 2, 9))):
            stamp = stamp_members(log, 5, note, response, part=part)
            found = check(make(log) | stamp, policy)
            assert (found.status, found.timestamps) == ("intact_unwitnessed", 1)
            assert named(check(make(rewritten) | stamp, policy)) == ("broken", "timestamp_root", None)
            other = stamp | {"timestamps/5.tsr": authority.stamp(note + b"x")}
            assert named(check(make(log) | other, policy)) == ("broken", "timestamp", None)
            # These entries say that they are of 2001; the stamp is of now.
            assert named(check(make(log) | stamp, replace(policy, timestamp_within=3))) == (
                ("broken", "timestamp_late", 2 if part else 0)
            )
            assert check(make(log) | stamp, replace(policy, timestamp_within=10**10)).intact


# The file


@pytest.mark.parametrize(
    "name",
    ["../evil", "/etc/passwd", "entry/1.note/../x", "entry/01.note", "C:\\x", "readme.txt", "entry/٣.note", "policy/"],
)
def test_files_that_no_bundle_has_are_refused(log, check, name):
    members = [*range_members(log, 1, 3).items(), (name, b"x")]
    found = check(pack_as_it_comes(members))
    assert named(found) == ("broken", "bundle", None)
    assert found.sentence() == "Broken: the file is not a bundle in the one form that the format allows."


def test_a_name_that_stands_twice_is_refused(log, check):
    members = list(range_members(log, 1, 3).items())
    with pytest.warns(UserWarning, match="Duplicate"):
        content = pack_as_it_comes([*members, ("checkpoint", b"another")])
    assert named(check(content)) == ("broken", "bundle", None)


def test_members_of_another_scope_are_refused(log, check):
    whole, part = log_members(log), range_members(log, 1, 3)
    assert named(check(whole | {"entry/1.note": log.notes[1]}))[1] == "bundle"
    assert named(check(part | {"tile/0/000.p/12": whole["tile/0/000.p/12"]}))[1] == "bundle"
    assert named(check(part | {"epoch.json": b"{}"}))[1] == "bundle"
    assert named(check(part | {"entry/9.note": log.notes[9]}))[1] == "bundle"
    assert named(check(whole | {"tile/0/000.p/11": b"\0" * 32}))[1] == "bundle"
    assert named(check(whole | {"tile/entries/001.p/3": b""}))[1] == "bundle"


@pytest.mark.parametrize(
    "about",
    [
        b"",
        b"[]",
        b"{}",
        b'{"format":"custody-bundle/v1","origin":"x","scope":"log","size":1.0}',
        b'{"format":"custody-bundle/v1","origin":"x","scope":"log","size":12,"size":12}',
        b'{"format":"custody-bundle/v1","origin":"x","scope":"log","size":true}',
        b'{"format":"custody-bundle/v2","origin":"x","scope":"log","size":12}',
        b'{"first":3,"format":"custody-bundle/v1","origin":"x","scope":"range","size":12,"stop":3}',
        b'{"format":"custody-bundle/v1","origin":"x","scope":["log"],"size":12}',
        b'{"format":"custody-bundle/v1","origin":"x","scope":"subject","size":12,"subject":"LRD"}',
        b'{"a":' * 100_000,
        b"\xff",
    ],
)
def test_a_bundle_json_of_another_form_is_refused(log, check, about):
    assert named(check(log_members(log) | {"bundle.json": about})) == ("broken", "bundle", None)


def test_compression_bombs_and_other_methods_are_refused(log, check):
    members = range_members(log, 1, 3)
    bomb = pack_as_it_comes(
        [*members.items(), (f"attachments/{'0' * 64}", b"\0" * (65 << 20))], compression=zipfile.ZIP_DEFLATED
    )
    assert named(check(bomb))[1] == "bundle"
    bomb = pack(members | {"entry/1.note": b"\0" * (8 << 20)})
    found = check(bomb)
    assert named(found)[:2] == ("broken", "format")
    for method in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        assert named(check(pack_as_it_comes(list(members.items()), compression=method)))[1] == "bundle"


def test_members_that_share_bytes_are_refused(log, check):
    content = bytearray(pack(range_members(log, 1, 3)))
    with zipfile.ZipFile(BytesIO(content)) as archive:
        first = archive.infolist()[4].header_offset
        at = content.rindex(b"entry/2.note") - 46 + 42
    struct.pack_into("<I", content, at, first)
    assert named(check(bytes(content))) == ("broken", "bundle", None)


def test_a_file_in_front_or_a_comment_is_refused(log, check):
    content = pack(range_members(log, 1, 3))
    assert check(content).intact
    assert named(check(b"MZ another file" + content))[1] == "bundle"
    assert named(check(content[:-2] + b"\x05\0hello"))[1] == "bundle"


@pytest.mark.parametrize("behind", [b"\0", b"\n", b"PK\5\6" + bytes(17), bytes(70_000)])
def test_nothing_may_follow_the_end_record(log, check, behind):
    """Python's own reader looks for the record further up, and takes a comment that is not declared for none."""
    content = pack(range_members(log, 1, 3))
    assert named(check(content + behind)) == ("broken", "bundle", None)


def test_two_bundles_in_one_file_are_refused(log, check):
    assert named(check(pack(range_members(log, 1, 3)) + pack(range_members(log, 3, 5)))) == ("broken", "bundle", None)


def test_every_bit_of_the_end_record_is_accounted_for(log, check):
    content = pack(range_members(log, 1, 3))
    for place in range(8 * (len(content) - 22), 8 * len(content)):
        bent = bytearray(content)
        bent[place // 8] ^= 1 << place % 8
        assert named(check(bytes(bent))) == ("broken", "bundle", None), place


def wide_end(content: bytes, **changed: int) -> bytes:
    """The file with the end records that large files have (APPNOTE.TXT 4.3.14), where the plain one would do."""
    count, size, offset = struct.unpack_from("<H2I", content, len(content) - 12)
    told = {"disk": 0, "first_disk": 0, "here": count, "count": count, "size": size, "offset": offset} | changed
    wide = struct.pack("<4sQ2H2I4Q", b"PK\6\6", 44, 45, 45, *told.values())
    locator = struct.pack("<4sIQI", b"PK\6\7", 0, len(content) - 22, 1)
    return content[:-22] + wide + locator + struct.pack("<4s4H2IH", b"PK\5\6", *[0xFFFF] * 4, *[0xFFFFFFFF] * 2, 0)


def test_the_end_of_a_large_file_is_read(log, check):
    content = pack(range_members(log, 1, 3))
    count, size, offset = struct.unpack_from("<H2I", content, len(content) - 12)
    assert check(wide_end(content)).intact
    for changed in (
        *({"disk": 1}, {"first_disk": 1}, {"here": 1}, {"count": count + 1}, {"here": count + 1, "count": count + 1}),
        *({"here": count - 1, "count": count - 1}, {"size": size - 1}, {"size": size - 1, "offset": offset + 1}),
        *({"offset": offset + 1}, {"size": 2**63}, {"offset": 2**64 - 1}, {"size": 0, "offset": offset + size}),
    ):
        assert named(check(wide_end(content, **changed))) == ("broken", "bundle", None), changed


def test_more_members_than_a_reader_holds_are_refused_before_they_are_read(log, check):
    found = check(wide_end(pack(range_members(log, 1, 3)), here=MAX_MEMBERS + 1, count=MAX_MEMBERS + 1))
    assert named(found) == ("broken", "bundle", None)
    assert found.expected == f"bundle: at most {MAX_MEMBERS} files"


def test_a_writer_makes_no_bundle_that_a_reader_refuses(monkeypatch):
    monkeypatch.setattr(bundle_file, "MAX_MEMBERS", 2)
    with BundleWriter(BytesIO()) as writer:
        writer.add("policy", b"")
        writer.add("README.txt", b"")
        with pytest.raises(BundleMalformed, match="at most 2 files"):
            writer.add("checkpoint", b"")


@pytest.mark.parametrize("scope", ["log", "range", "subject"])
def test_any_bytes_get_a_verdict(log, tmp_path, scope):
    """Cut, flipped, and cut out of the middle: never an exception, and never intact where a covered byte changed."""
    make = {
        "log": log_members,
        "range": lambda log: range_members(log, 1, 9),
        "subject": lambda log: subject_members(log, ONE),
    }[scope]
    clean = pack(make(log))
    chance, path = random.Random(scope), tmp_path / "fuzzed.zip"
    for round_ in range(150):
        content = bytearray(clean)
        kind = round_ % 3
        at = chance.randrange(len(content))
        if kind == 0:
            content[at] ^= 1 << chance.randrange(8)
        elif kind == 1:
            del content[at:]
        else:
            del content[at : at + chance.randrange(1, 40)]
        path.write_bytes(content)
        found = verify_bundle(path, policy=pin())
        assert found.sentence()
        if kind:
            assert found.status == "broken"
        elif found.intact:
            assert covered(bytes(content)) == covered(clean)


def covered(content: bytes) -> dict[str, bytes]:
    """What a verdict speaks of: everything but what is there to be read by people."""
    file = BundleFile(BytesIO(content))
    return {name: file.read(name) for name in file.names if name not in ("README.txt", "policy")}


def test_random_bytes_are_no_bundle(check):
    chance = random.Random(3)
    for length in (0, 1, 21, 22, 23, 5000):
        assert named(check(chance.randbytes(length))) == ("broken", "bundle", None)
    assert named(check(b"PK\5\6" + b"\0" * 18))[1] == "bundle"


# The command line


def run(*arguments: object) -> tuple[int, str, str]:
    out, err = StringIO(), StringIO()
    return main([str(one) for one in arguments], out=out, err=err), out.getvalue(), err.getvalue()


def test_the_command_says_the_verdict_and_its_exit_status(log, tmp_path):
    good = put(tmp_path, subject_members(log, ONE))
    code, out, err = run("verify", good, "--origin", ORIGIN, "--vkey", signer().vkey, "--subject", ONE, "--workers", 1)
    assert (code, err) == (0, "")
    assert out.startswith("Intact, unwitnessed: the shipment's 4 entries are sound; complete up to entry 10.\n")
    assert signer().vkey in out
    bad = put(tmp_path, subject_members(log, ONE) | {"entry/4.note": b"nothing"})
    code, out, _ = run("verify", bad, "--vkey", signer().vkey)
    assert code == 1
    assert out.startswith("Broken at entry 4: it is not an entry in the one form that the format allows.\n")
    code, out, _ = run("verify", good, "--vkey", signer().vkey, "--json")
    told = json.loads(out)
    assert (code, told["status"], told["complete_up_to"]) == (0, "intact_unwitnessed", 10)


def test_the_command_takes_no_key_from_the_bundle(log, tmp_path):
    members = log_members(log) | {"policy": pin().encode().encode()}
    code, out, err = run("verify", put(tmp_path, members), "--origin", ORIGIN)
    assert (code, out) == (2, "")
    assert "Nothing was verified" in err


def test_the_command_reads_a_policy_file(log, tmp_path):
    policy = tmp_path / "policy"
    good = put(tmp_path, log_members(log, cosigned(log.checkpoint(), WITNESS)))
    policy.write_text(f"log {signer().vkey}\nwitness carrier {WITNESS.vkey}\nquorum carrier\n")
    code, out, _ = run("verify", good, "--policy", policy, "--workers", 1)
    assert code == 0
    assert out.startswith("Intact, witnessed")
    assert "carrier" in out
    assert run("verify", good, "--policy", policy, "--vkey", signer(9).vkey)[0] == 2
    assert run("verify", good, "--policy", policy, "--origin", "example.org/other")[0] == 2
    assert run("verify", good, "--policy", tmp_path / "none")[0] == 2
    policy.write_text("log nonsense\n")
    assert run("verify", good, "--policy", policy)[0] == 2


def test_the_command_refuses_what_it_cannot_use(tmp_path):
    key = ("--vkey", signer().vkey)
    assert run("verify", tmp_path / "none.zip", *key)[0] == 2
    assert run("verify", tmp_path, *key)[0] == 2
    assert run("verify", put(tmp_path, b""), "--vkey", "nonsense")[0] == 2
    assert run("verify", put(tmp_path, b""), *key, "--subject", "LRD-1042")[0] == 2
    assert run("verify", put(tmp_path, b""), *key, "--timestamp-root", put(tmp_path, b"no certificate"))[0] == 2
    assert run("verify", put(tmp_path, b""), *key)[0] == 1
