"""
The tamper corpus: every class of tests/corpus at random places of random logs is noticed, and its place named.

``CORPUS_SEEDS=1000`` runs the long form; each failure names the class and the seed that make the same case again.
"""

import io
import os
import tempfile
import zipfile
from dataclasses import replace
from hashlib import sha256
from random import Random

import pytest

from ledger.tlog.bundle import verify_bundle
from ledger.tlog.policy import Policy
from ledger.tlog.verify import StampedCheckpoint, verify_entries, verify_source
from tests.corpus.bundles import LOG, RANGE, SUBJECT, make_bundle
from tests.corpus.cases import Case, all_classes, clean_case
from tests.corpus.log_classes import flipped, rewritten
from tests.corpus.worlds import STRANGER, Wants, make_world
from tests.ledger.tsa import LocalAuthority

SEEDS = int(os.environ.get("CORPUS_SEEDS", "25"))
CLEAN = 1000


def verify(case: Case, *, deep: bool = True):
    if case.bundle is not None:
        return verify_packed(case.bundle, case.policy)
    stamps = [StampedCheckpoint(note, response) for note, response in case.timestamps]
    return verify_entries(
        iter(case.notes), checkpoint=case.checkpoint, policy=case.policy, known=case.known, timestamps=stamps, deep=deep
    )


def verify_packed(packed: bytes, policy: Policy):
    with tempfile.NamedTemporaryFile(suffix=".zip") as file:
        file.write(packed)
        file.flush()
        return verify_bundle(file.name, policy=policy)


@pytest.mark.parametrize("name", all_classes())
def test_every_tampering_is_named(name):
    for seed in range(SEEDS):
        case = all_classes()[name].case(seed)
        verdict = verify(case)
        found = (verdict.status, verdict.check, verdict.broken_at)
        assert found in {(case.status, check, case.broken_at) for check in case.checks}, (name, seed, verdict)
        if case.status != "intact_unwitnessed":
            assert not verdict.intact
            assert verdict.expected != verdict.found
        if case.keyless:
            fast = verify(case, deep=False)
            assert not fast.intact, (name, seed, fast)


def test_a_clean_log_raises_no_alarm():
    for seed in range(CLEAN):
        case = clean_case(seed)
        deep = verify(case)
        assert (deep.status, deep.check, deep.size) == (case.status, "", len(case.notes)), (seed, deep)
        if seed % 4 == 0:
            assert verify(case, deep=False).status == case.status


@pytest.mark.parametrize("scope", [LOG, RANGE, SUBJECT])
def test_a_clean_bundle_raises_no_alarm(scope):
    for seed in range(4 * SEEDS):
        rng = Random(f"clean {scope}/{seed}")
        world = make_world(rng, Wants(min_size=4, max_size=600 if scope == LOG else 40, witnesses=None))
        bundle = make_bundle(rng, world, scope)
        verdict = verify_packed(bundle.pack(), world.policy)
        assert (verdict.status, verdict.check, verdict.size) == (world.status, "", world.size), (seed, verdict)
        about = bundle.about
        if scope == LOG:
            assert verdict.entries == world.size
        elif scope == RANGE:
            assert verdict.entries == about["stop"] - about["first"]
        else:
            assert verdict.entries == len(world.subject_places(about["subject"]))
        assert len(verdict.disclosures) == sum(name.startswith("disclosures/") for name in bundle.members)
        if scope == SUBJECT:
            assert verdict.complete_up_to == max(world.places("index_epoch"), default=None)


def contents(packed: bytes) -> dict[str, bytes] | None:
    """What Python's own reader finds in a ZIP; None where it finds nothing to read."""
    try:
        with zipfile.ZipFile(io.BytesIO(packed)) as archive:
            return {name: archive.read(name) for name in archive.namelist()}
    except Exception:
        return None


@pytest.mark.parametrize("scope", [LOG, RANGE, SUBJECT])
def test_any_flipped_byte_of_a_bundle_gets_a_verdict(scope):
    for seed in range(4 * SEEDS):
        rng = Random(f"flipped {scope}/{seed}")
        world = make_world(rng, Wants(min_size=4, max_size=12))
        packed = make_bundle(rng, world, scope).pack()
        bent = flipped(rng, packed)
        verdict = verify_packed(bent, world.policy)
        # What a ZIP says of its making, and our README and policy template, are believed for nothing.
        if verdict.intact:
            before, after = contents(packed), contents(bent) or {}
            for told in ("README.txt", "policy"):
                before.pop(told)
                after.pop(told, None)
            assert after in (before, {}), seed
            assert verdict.size == world.size


@pytest.fixture(scope="module")
def authorities(tmp_path_factory):
    """Two real timestamp authorities; the first one is pinned."""
    folder = tmp_path_factory.mktemp("authorities")
    return LocalAuthority(folder / "pinned"), LocalAuthority(folder / "foreign", name="Foreign TSA")


def cut_response(rng, world, authorities, stamped):
    return stamped.note, stamped.response[: rng.randrange(1, len(stamped.response))]


def flipped_response(rng, world, authorities, stamped):
    """The digest that was stamped stands in the token once: whatever else is under its signature, this is."""
    digest = sha256(stamped.note).digest()
    return stamped.note, stamped.response.replace(digest, flipped(rng, digest))


def response_of_another_checkpoint(rng, world, authorities, stamped):
    return world.log_checkpoint.replace(b"\n\n", b"\nanother\n\n"), stamped.response


def response_of_a_foreign_authority(rng, world, authorities, stamped):
    return stamped.note, authorities[1].stamp(stamped.note)


def stamped_checkpoint_of_a_stranger(rng, world, authorities, stamped):
    note = world.sealer.checkpoint(STRANGER)
    return note, authorities[0].stamp(note)


FORGED_STAMPS = [
    cut_response,
    flipped_response,
    response_of_another_checkpoint,
    response_of_a_foreign_authority,
    stamped_checkpoint_of_a_stranger,
]


def stamped_world(seed, authorities):
    rng = Random(f"stamped/{seed}")
    world = make_world(rng, Wants(min_size=3, max_size=30))
    note = world.resealed(rng.randint(1, world.size), []).checkpoint()
    return rng, world, StampedCheckpoint(note, authorities[0].stamp(note))


@pytest.mark.parametrize("forge", FORGED_STAMPS, ids=lambda forge: forge.__name__)
@pytest.mark.parametrize("seed", range(3))
def test_a_forged_timestamp_is_refused(forge, seed, authorities):
    rng, world, stamped = stamped_world(seed, authorities)
    policy = replace(world.policy, timestamp_roots=(authorities[0].root_der,))
    sound = verify_entries(world.notes, checkpoint=world.checkpoint, policy=policy, timestamps=[stamped])
    assert (sound.status, sound.timestamps) == (world.status, 1)
    forged = StampedCheckpoint(*forge(rng, world, authorities, stamped))
    found = verify_entries(world.notes, checkpoint=world.checkpoint, policy=policy, timestamps=[forged])
    assert (found.status, found.check, found.broken_at) == ("broken", "timestamp", None)


@pytest.mark.parametrize("seed", range(6))
def test_a_timestamp_gives_a_rewritten_history_away(seed, authorities):
    """Database and key in one hand: the entries, the chain and the checkpoint all fit, but not what was stamped."""
    rng, world, stamped = stamped_world(seed, authorities)
    policy = replace(world.policy, timestamp_roots=(authorities[0].root_der,))
    size = int(stamped.note.split(b"\n")[1])
    _, sealer = rewritten(rng, world, stop=size)
    found = verify_entries(sealer.notes, checkpoint=sealer.checkpoint(), policy=policy, timestamps=[stamped])
    assert (found.status, found.check, found.broken_at) == ("broken", "timestamp_root", None)


@pytest.mark.parametrize("seed", range(4))
def test_entries_that_were_stamped_too_late_are_named(seed, authorities):
    """These logs were sealed long before the authority stamps them."""
    _, world, stamped = stamped_world(seed, authorities)
    late = replace(world.statements[-1], kind="hold", new=None, body={"n": 1}, after_ms=10_000_000)
    sealer = world.resealed(world.size, [late])
    policy = replace(world.policy, timestamp_roots=(authorities[0].root_der,), timestamp_within=3600)
    for stamps in ([stamped], []):
        found = verify_entries(sealer.notes, checkpoint=sealer.checkpoint(), policy=policy, timestamps=stamps)
        assert (found.status, found.check, found.broken_at) == ("broken", "timestamp_late", 0)


@pytest.mark.parametrize(
    "name", ["flip_any_byte", "swap_two", "signed_after_retirement", "epoch_root_flipped", "cut_tail"]
)
def test_several_processes_name_the_same(name):
    tampering = all_classes()[name]
    cases = [tampering.case(f"large/{seed}") for seed in range(60)]
    case = max(cases, key=lambda case: len(case.notes))
    alone = verify(case)
    together = verify_source(
        lambda first: case.notes[first:], checkpoint=case.checkpoint, policy=case.policy, known=case.known, workers=2
    )
    assert together == alone
    assert (alone.status, alone.broken_at) == (case.status, case.broken_at)


def test_there_are_at_least_forty_classes():
    assert len(all_classes()) >= 40
