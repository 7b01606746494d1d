"""Our witness: what it cosigns and refuses, over HTTP too, and that kill -9 never makes it cosign two histories."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.core.management import CommandError, call_command

from ledger.last_signed import LastSignedStore
from ledger.outgoing import PostFailed, post
from ledger.tlog import base64_strict, merkle
from ledger.tlog.checkpoint import Checkpoint, sign_checkpoint
from ledger.tlog.cosignature import CosignatureVerifier, Cosigner, timestamp_of
from ledger.tlog.note import Signer, open_note, parse, sign
from ledger.witness import MAX_REQUEST_BYTES, Witness, WitnessCannotStart, open_cosigner, parse_request
from tests.ledger.watching import serving

ORIGIN = "port.example/log"
NAME = "carrier.example/witness"
REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass
class Log:
    """A log that can show itself at any size; a fork has other leaves from ``until`` on."""

    signer: Signer
    leaves: list[bytes] = field(default_factory=lambda: [merkle.leaf_hash(b"%d" % i) for i in range(64)])

    def fork(self, until: int) -> "Log":
        other = [merkle.leaf_hash(b"other %d" % i) for i in range(until, len(self.leaves))]
        return Log(self.signer, self.leaves[:until] + other)

    def checkpoint(self, size: int, *extensions: str) -> Checkpoint:
        return Checkpoint(self.signer.name, size, merkle.root(self.leaves[:size]), extensions)

    def note(self, size: int) -> bytes:
        return sign_checkpoint(self.checkpoint(size), self.signer)

    def request(self, old: int, size: int, *, proof: list[bytes] | None = None, note: bytes | None = None) -> bytes:
        if proof is None:
            proof = merkle.consistency_proof(self.leaves[:size], old) if old <= size else []
        lines = [f"old {old}", *map(base64_strict.encode, proof), "", ""]
        return "\n".join(lines).encode() + (self.note(size) if note is None else note)


def new_signer(origin: str = ORIGIN) -> Signer:
    return Signer(origin, Ed25519PrivateKey.generate())


@pytest.fixture
def log() -> Log:
    return Log(new_signer())


@pytest.fixture
def cosigner() -> Cosigner:
    return Cosigner(NAME, Ed25519PrivateKey.generate())


@pytest.fixture
def witness(cosigner, log, tmp_path) -> Witness:
    return Witness(cosigner=cosigner, logs=[log.signer.verifier], state=tmp_path / "state", clock=lambda: 1_700_000_000)


def cosigned(witness: Witness, log: Log) -> int:
    """Return the size that the witness holds of the log, as it tells whoever asks from a wrong size."""
    answer = witness.add_checkpoint(log.request(63, 63, proof=[]))
    assert (answer.status, answer.content_type) == (409, "text/x.tlog.size")
    return int(answer.body)


# What it cosigns


def test_the_first_checkpoint_is_cosigned_at_the_witness_own_time(witness, log, cosigner):
    answer = witness.add_checkpoint(log.request(0, 5))
    assert answer.status == 200
    opened = open_note(log.note(5) + answer.body.encode(), log.signer.verifier, cosigner.verifier)
    assert [signature.name for signature in opened.verified] == [ORIGIN, NAME]
    assert timestamp_of(opened.verified[1]) == 1_700_000_000


@pytest.mark.parametrize(("old", "size"), [(1, 2), (3, 7), (4, 8), (8, 64), (5, 6), (63, 64)])
def test_a_log_that_grew_is_cosigned_again(witness, log, old, size):
    assert witness.add_checkpoint(log.request(0, old)).status == 200
    assert witness.add_checkpoint(log.request(old, size)).status == 200
    assert cosigned(witness, log) == size


def test_the_same_checkpoint_is_cosigned_as_often_as_it_is_asked_for(witness, log):
    for old in (0, 5, 5):
        assert witness.add_checkpoint(log.request(old, 5)).status == 200


def test_an_empty_log_is_cosigned_and_may_grow(witness, log):
    assert witness.add_checkpoint(log.request(0, 0)).status == 200
    assert witness.add_checkpoint(log.request(0, 3)).status == 200
    assert cosigned(witness, log) == 3


def test_a_rotated_log_is_cosigned_under_either_key(cosigner, log, tmp_path):
    rotated = Log(new_signer())
    keys = [log.signer.verifier, rotated.signer.verifier]
    witness = Witness(cosigner=cosigner, logs=keys, state=tmp_path)
    assert witness.add_checkpoint(log.request(0, 5)).status == 200
    assert witness.add_checkpoint(rotated.request(5, 9)).status == 200
    both = sign(log.checkpoint(11).text(), log.signer, rotated.signer)
    assert witness.add_checkpoint(log.request(9, 11, note=both)).status == 200


def test_signatures_of_strangers_are_ignored(witness, log):
    note = sign(log.checkpoint(5).text(), new_signer("stranger.example/log"), log.signer, new_signer())
    assert witness.add_checkpoint(log.request(0, 5, note=note)).status == 200


def test_extension_lines_are_cosigned_with_the_rest(witness, log, cosigner):
    note = sign_checkpoint(log.checkpoint(5, "extension"), log.signer)
    answer = witness.add_checkpoint(log.request(0, 5, note=note))
    assert open_note(note + answer.body.encode(), cosigner.verifier).text.endswith("extension\n")
    assert witness.add_checkpoint(log.request(5, 6)).status == 200


def test_each_log_has_a_history_of_its_own(cosigner, log, tmp_path):
    other = Log(new_signer("other.example/log"))
    witness = Witness(cosigner=cosigner, logs=[log.signer.verifier, other.signer.verifier], state=tmp_path)
    assert witness.add_checkpoint(log.request(0, 9)).status == 200
    assert witness.add_checkpoint(other.request(0, 4)).status == 200
    assert (cosigned(witness, log), cosigned(witness, other)) == (9, 4)


# What it refuses


def test_a_log_that_is_not_pinned_is_not_found(witness):
    assert witness.add_checkpoint(Log(new_signer("other.example/log")).request(0, 5)).status == 404


def test_a_checkpoint_that_no_pinned_key_signed_is_forbidden(witness, log):
    stranger = Log(new_signer())
    assert witness.add_checkpoint(stranger.request(0, 5)).status == 403
    changed = log.note(5).replace(b"\n5\n", b"\n6\n")
    assert witness.add_checkpoint(log.request(0, 6, note=changed)).status == 403
    assert cosigned(witness, log) == 0


def test_a_cosignature_does_not_stand_in_for_the_logs_signature(witness, log, cosigner):
    line = cosigner.cosign(log.checkpoint(5).text(), timestamp=1).line()
    note = f"{log.checkpoint(5).text()}\n{line}".encode()
    assert witness.add_checkpoint(log.request(0, 5, note=note)).status == 403


def test_another_old_size_than_was_cosigned_conflicts_and_is_told(witness, log):
    witness.add_checkpoint(log.request(0, 5))
    for old in (0, 4, 6):
        answer = witness.add_checkpoint(log.request(old, 7))
        assert (answer.status, answer.content_type, answer.body) == (409, "text/x.tlog.size", "5\n")


def test_a_log_that_went_back_conflicts(witness, log):
    witness.add_checkpoint(log.request(0, 9))
    assert witness.add_checkpoint(log.request(0, 5)).status == 409
    assert witness.add_checkpoint(log.request(9, 5, proof=[])).status == 400
    assert cosigned(witness, log) == 9


def test_another_tree_of_the_cosigned_size_conflicts(witness, log):
    witness.add_checkpoint(log.request(0, 9))
    answer = witness.add_checkpoint(log.fork(4).request(9, 9))
    assert (answer.status, answer.body) == (409, "9\n")


def test_an_empty_log_of_another_root_conflicts(witness, log):
    false = sign_checkpoint(Checkpoint(ORIGIN, 0, bytes(32)), log.signer)
    assert witness.add_checkpoint(log.request(0, 0, note=false)).status == 409


@pytest.mark.parametrize("until", [0, 4, 8])
def test_another_history_is_unprocessable(witness, log, until):
    witness.add_checkpoint(log.request(0, 9))
    assert witness.add_checkpoint(log.fork(until).request(9, 20)).status == 422
    assert witness.add_checkpoint(log.request(9, 20)).status == 200


def test_a_proof_that_does_not_fit_is_unprocessable(witness, log):
    assert witness.add_checkpoint(log.request(0, 5, proof=[bytes(32)])).status == 422
    witness.add_checkpoint(log.request(0, 5))
    good = merkle.consistency_proof(log.leaves[:12], 5)
    for proof in ([], good[:-1], [*good, bytes(32)], good[::-1], [bytes(32), *good[1:]]):
        assert witness.add_checkpoint(log.request(5, 12, proof=proof)).status == 422
    assert witness.add_checkpoint(log.request(5, 5, proof=[bytes(32)])).status == 422
    assert cosigned(witness, log) == 5


GOOD = Log(new_signer()).request(3, 7).decode()


@pytest.mark.parametrize(
    "body",
    [
        "",
        "\n\n",
        GOOD.replace("old 3", "old 03"),
        GOOD.replace("old 3", "old  3"),
        GOOD.replace("old 3", "old -3"),
        GOOD.replace("old 3", "old +3"),
        GOOD.replace("old 3", "old ٣"),
        GOOD.replace("old 3", "Old 3"),
        GOOD.replace("old 3\n", ""),
        GOOD.replace("old 3", "old 3\r"),
        GOOD.replace("old 3", "old " + "9" * 20),
        GOOD.replace("old 3\n", "old 3\nAAAA\n"),
        GOOD.replace("old 3\n", "old 3\n" + base64_strict.encode(bytes(32))[:-1] + "\n"),
        GOOD.replace("old 3\n", "old 3\n" + f"{base64_strict.encode(bytes(32))}\n" * 62),
        GOOD.split("\n\n")[0] + "\n",
        GOOD.partition("\n\n")[0] + "\n\n",
        GOOD[:-1],
        GOOD.replace("\n7\n", "\n07\n"),
        GOOD.replace("\n7\n", "\n"),
    ],
)
def test_a_request_of_another_form_is_bad(witness, body):
    assert witness.add_checkpoint(body.encode()).status == 400


def test_no_bytes_make_it_stumble(witness, log):
    witness.add_checkpoint(log.request(0, 5))
    good, dice = log.request(5, 12), random.Random(7)
    for _ in range(300):
        bad = bytearray(good)
        for _ in range(dice.randint(1, 4)):
            bad[dice.randrange(len(bad))] = dice.randrange(256)
        bad = bad[: dice.choice([len(bad), dice.randrange(len(bad))])]
        if bytes(bad) != good:
            assert witness.add_checkpoint(bytes(bad)).status in (400, 403, 404, 409, 422)
    assert cosigned(witness, log) == 5


def test_a_state_that_cannot_be_read_stops_the_cosigning_of_that_log_alone(cosigner, log, tmp_path, caplog):
    other = Log(new_signer("other.example/log"))
    witness = Witness(cosigner=cosigner, logs=[log.signer.verifier, other.signer.verifier], state=tmp_path)
    witness.add_checkpoint(log.request(0, 5))
    (witness.store_of(ORIGIN).folder / "last-signed").write_text("scribble")
    assert witness.add_checkpoint(log.request(5, 6)).status == 503
    assert "its state cannot be used" in caplog.text
    assert witness.add_checkpoint(other.request(0, 5)).status == 200


def test_a_checkpoint_is_durable_before_it_is_cosigned(witness, log, monkeypatch):
    held: list[int] = []
    cosign = Cosigner.cosign

    def cosign_and_look(self, text, *, timestamp):
        held.append(witness.store_of(ORIGIN).read().size)
        return cosign(self, text, timestamp=timestamp)

    monkeypatch.setattr(Cosigner, "cosign", cosign_and_look)
    witness.add_checkpoint(log.request(0, 5))
    witness.add_checkpoint(log.request(5, 8))
    assert held == [5, 8]


def test_many_at_once_get_one_history(witness, log):
    """Of two forks, shown by eight threads in every order, one alone is cosigned past the place where they part."""
    forks = [log, log.fork(10)]
    witness.add_checkpoint(log.request(0, 10))
    seen: list[tuple[int, bytes]] = []

    def show(seed: int) -> None:
        dice, old = random.Random(seed), 10
        for _ in range(40):
            fork = dice.choice(forks)
            size = min(64, old + dice.randint(0, 3))
            answer = witness.add_checkpoint(fork.request(old, size))
            if answer.status == 200:
                seen.append((size, fork.checkpoint(size).root))
                old = size
            elif answer.status == 409:
                old = int(answer.body)

    threads = [threading.Thread(target=show, args=[seed]) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    beyond = {(size, root) for size, root in seen if size > 10}
    assert len(beyond) > 5
    assert any(all(root == fork.checkpoint(size).root for size, root in beyond) for fork in forks)


def test_two_that_would_both_fit_are_not_both_compared_with_the_same_record(witness, log, monkeypatch):
    """Each request waits, the record read, for the other to have read it too; the lock is why that never happens."""
    witness.add_checkpoint(log.request(0, 5))
    both_have_read, read = threading.Barrier(2), LastSignedStore.read

    def read_and_wait(store):
        found = read(store)
        with suppress(threading.BrokenBarrierError):
            both_have_read.wait(0.3)
        return found

    monkeypatch.setattr(LastSignedStore, "read", read_and_wait)
    with ThreadPoolExecutor(2) as threads:
        answers = list(threads.map(witness.add_checkpoint, [log.request(5, 9), log.fork(6).request(5, 8)]))
    assert sorted(answer.status for answer in answers) == [200, 409]


# Its key


def test_the_key_is_made_once_and_for_its_owner_alone(tmp_path):
    made = open_cosigner(name=NAME, key_file=tmp_path / "keys" / "witness.pem", state=tmp_path / "state")
    assert (tmp_path / "keys" / "witness.pem").stat().st_mode & 0o777 == 0o600
    again = open_cosigner(name=NAME, key_file=tmp_path / "keys" / "witness.pem", state=tmp_path / "state")
    assert again.vkey == made.vkey
    assert CosignatureVerifier.from_vkey(made.vkey).name == NAME


def test_a_key_whose_state_is_gone_does_not_start(tmp_path):
    open_cosigner(name=NAME, key_file=tmp_path / "witness.pem", state=tmp_path / "state")
    with pytest.raises(WitnessCannotStart, match="bring its state back"):
        open_cosigner(name=NAME, key_file=tmp_path / "witness.pem", state=tmp_path / "elsewhere")


def test_a_crash_between_state_and_key_is_begun_again(tmp_path):
    open_cosigner(name=NAME, key_file=tmp_path / "witness.pem", state=tmp_path / "state")
    (tmp_path / "witness.pem").unlink()
    made = open_cosigner(name=NAME, key_file=tmp_path / "witness.pem", state=tmp_path / "state")
    assert (tmp_path / "state" / "witness").read_text() == f"{made.vkey}\n"


def test_a_key_that_cannot_be_read_is_named(tmp_path):
    (tmp_path / "witness.pem").write_text("scribble")
    with pytest.raises(WitnessCannotStart, match=r"witness\.pem cannot be used"):
        open_cosigner(name=NAME, key_file=tmp_path / "witness.pem", state=tmp_path)


# Over HTTP


def get(url: str, path: str, method: str = "GET") -> tuple[int, str]:
    connection = HTTPConnection(url.removeprefix("http://"))
    connection.request(method, path)
    with connection.getresponse() as response:
        found = response.status, response.read().decode()
    connection.close()
    return found


def test_over_http_statuses_bodies_and_types_are_those_of_the_standard(witness, log, cosigner):
    with serving(witness) as url:
        first = post(f"{url}/add-checkpoint", log.request(0, 5), content_type="text/plain")
        second = post(f"{url}/add-checkpoint", log.request(0, 7), content_type="text/plain")
        large = post(f"{url}/add-checkpoint", b"x" * (MAX_REQUEST_BYTES + 1), content_type="text/plain")
        assert get(url, "/") == (200, f"{NAME}: witness of {ORIGIN}\n")
        assert get(url, "/vkey") == (200, f"{cosigner.vkey}\n")
        assert get(url, "/add-checkpoint")[0] == 405
        assert get(url, "/", method="DELETE")[0] == 405
        assert get(url, "/else")[0] == 404
    assert first.status == 200
    assert open_note(log.note(5) + first.body, cosigner.verifier).verified
    assert (second.status, second.content_type, second.body) == (409, "text/x.tlog.size", b"5\n")
    assert large.status == 413


# The command


class Process:
    """``manage.py witness`` in a process of its own."""

    def __init__(self, folder: Path, log: Log) -> None:
        # Nothing of the app's: a database that is not there, and a folder of its own for what settings make.
        env = os.environ | {"CUSTODY_VAR": str(folder / "var"), "DATABASE_URL": "postgres://nobody@127.0.0.1:1/none"}
        env["DJANGO_SETTINGS_MODULE"] = "custody.settings"
        self.process = subprocess.Popen(
            [
                *(sys.executable, "manage.py", "witness", "--name", NAME, "--port", "0"),
                *("--key", folder / "key.pem", "--state", folder / "state", "--log", log.signer.vkey),
            ],
            stdout=subprocess.PIPE,
            text=True,
            cwd=REPOSITORY,
            env=env,
        )
        assert self.process.stdout
        self.vkey = self.process.stdout.readline().strip()
        line = self.process.stdout.readline()
        assert f"watches {ORIGIN}" in line
        self.url = next(word for word in line.split() if word.startswith("http")) + "add-checkpoint"

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        assert self.process.stdout
        self.process.stdout.close()


def test_kill_9_under_load_leaves_one_history_that_never_goes_back(tmp_path):
    """
    Clients show two forks of one signed log to a witness that is killed at random moments: its cosignatures are of one
    fork alone, and after each start it holds at least what it ever cosigned.
    """
    log = Log(new_signer(), [merkle.leaf_hash(b"%d" % i) for i in range(500)])
    forks, seen, vkeys = [log, log.fork(3)], [], set()
    dice = random.Random(11)
    for life in range(6):
        witness = Process(tmp_path, log)
        vkeys.add(witness.vkey)
        verifier = CosignatureVerifier.from_vkey(witness.vkey)
        asked = post(witness.url, log.request(500, 500, proof=[]), content_type="text/plain")
        held = int(asked.body)
        assert asked.status == 409
        assert held >= max((size for size, _ in seen), default=0)

        def show(seed: int, url: str = witness.url, verifier: CosignatureVerifier = verifier, old: int = held) -> None:
            dice = random.Random(seed)
            while True:
                fork = dice.choice(forks)
                size = min(499, old + dice.choice([0, 0, 0, 1]))
                try:
                    answer = post(url, fork.request(old, size), content_type="text/plain")
                except PostFailed:
                    return
                if answer.status == 200:
                    cosigned = parse(fork.note(size) + answer.body)
                    if any(verifier.verifies(s, cosigned.text) for s in cosigned.signatures if verifier.made(s)):
                        seen.append((size, fork.checkpoint(size).root))
                    old = size
                elif answer.status == 409:
                    old = int(answer.body)

        threads = [threading.Thread(target=show, args=[life * 10 + n]) for n in range(4)]
        for thread in threads:
            thread.start()
        while any(t.is_alive() for t in threads) and max((size for size, _ in seen), default=0) < held + 4:
            time.sleep(0.005)
        time.sleep(dice.uniform(0, 0.05))
        witness.kill()
        for thread in threads:
            thread.join()
    assert len(vkeys) == 1
    beyond = {(size, root) for size, root in seen if size > 3}
    assert len({size for size, _ in beyond}) == len(beyond) > 20
    assert any(all(root == fork.checkpoint(size).root for size, root in beyond) for fork in forks)


# Dies where the record is durable and the cosignature is not yet made. Needs no settings, so no Django is set up.
DIES = """
import os, pathlib, signal, sys
from ledger.tlog.cosignature import Cosigner
from ledger.tlog.note import Verifier
from ledger.witness import Witness, open_cosigner
folder = pathlib.Path(sys.argv[1])
cosigner = open_cosigner(name="carrier.example/witness", key_file=folder / "key.pem", state=folder)
Cosigner.cosign = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)
witness = Witness(cosigner=cosigner, logs=[Verifier.from_vkey(sys.argv[2])], state=folder)
witness.add_checkpoint((folder / "request").read_bytes())
"""


def test_killed_between_record_and_answer_it_goes_on_from_the_record(log, cosigner, tmp_path):
    open_cosigner(name=NAME, key_file=tmp_path / "key.pem", state=tmp_path)
    before = Witness(cosigner=cosigner, logs=[log.signer.verifier], state=tmp_path)
    before.add_checkpoint(log.request(0, 5))
    (tmp_path / "request").write_bytes(log.request(5, 9))
    dies = subprocess.run([sys.executable, "-c", DIES, tmp_path, log.signer.vkey], cwd=REPOSITORY)
    assert dies.returncode == -signal.SIGKILL
    after = Witness(cosigner=cosigner, logs=[log.signer.verifier], state=tmp_path)
    answer = after.add_checkpoint(log.request(5, 9))
    assert (answer.status, answer.body) == (409, "9\n")
    assert after.add_checkpoint(log.fork(6).request(9, 9)).status == 409
    assert after.add_checkpoint(log.request(9, 9)).status == 200


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"log": ["scribble"]}, "verifier key"),
        ({"name": "two words"}, "key name"),
        ({"host": "not a host"}, "not a host|Name or service|host"),
    ],
)
def test_the_command_says_why_it_does_not_start(change, says, log, tmp_path):
    options = {"name": NAME, "key": tmp_path / "k", "state": tmp_path, "log": [log.signer.vkey], "port": 0} | change
    with pytest.raises(CommandError, match=says):
        call_command("witness", **options)


def test_a_request_is_read_into_its_parts(log):
    request = parse_request(log.request(3, 7))
    assert (request.old_size, request.checkpoint) == (3, log.checkpoint(7))
    assert list(request.proof) == merkle.consistency_proof(log.leaves[:7], 3)
