"""Asking witnesses: real ones over real HTTP; those that misbehave are a few lines each, and named for what they do."""

import time
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.db import connection

from ledger import append_only
from ledger.keys import load_signer
from ledger.models import Checkpoint, Cosignature, WitnessState
from ledger.own_policy import own_policy
from ledger.sealing import seal_pending
from ledger.tlog import note
from ledger.tlog.cosignature import Cosigner
from ledger.witness import Application, Witness
from ledger.witnessing import ask_witnesses, witness_report
from tests.ledger.watching import answering, serving, write_policy

pytestmark = pytest.mark.django_db


@pytest.fixture
def seal(submit_one) -> Callable[..., Checkpoint]:
    """Seal so many more entries, and return the checkpoint over them."""

    def seal(entries: int = 3) -> Checkpoint:
        for _ in range(entries):
            submit_one(subject=uuid.uuid4().urn)
        seal_pending()
        return Checkpoint.objects.first()

    return seal


@pytest.fixture
def policy_file(settings, tmp_path) -> Path:
    settings.LEDGER_POLICY_FILE = tmp_path / "policy"
    return settings.LEDGER_POLICY_FILE


def new_cosigner(name: str = "carrier.example/witness") -> Cosigner:
    return Cosigner(name, Ed25519PrivateKey.generate())


@pytest.fixture
def cosigner() -> Cosigner:
    return new_cosigner()


@pytest.fixture
def witness(cosigner, tmp_path) -> Witness:
    return Witness(cosigner=cosigner, logs=[load_signer(may_create=True).verifier], state=tmp_path / "witness")


@pytest.fixture
def carrier(witness, cosigner, policy_file):
    """The carrier's witness is served, and the policy asks for it."""
    with serving(witness) as url:
        write_policy(policy_file, f"witness carrier {cosigner.vkey} {url}", quorum="carrier")
        yield witness


def troubles() -> dict[str, str]:
    return {report.name: report.trouble for report in witness_report()}


def published(checkpoint: Checkpoint) -> note.Note:
    lines = "".join(row.line for row in checkpoint.cosignatures.all())
    return note.parse(bytes(checkpoint.note) + lines.encode())


def test_the_newest_checkpoint_is_cosigned_and_its_quorum_met(carrier, seal):
    checkpoint = seal()
    ask_witnesses()
    policy = own_policy()
    assert policy.met_by(policy.cosigners_of(published(checkpoint)))
    [report] = witness_report()
    assert (report.name, report.size, report.trouble) == ("carrier", checkpoint.size, "")
    assert report.witnessed_at is not None


def test_a_log_that_grows_is_cosigned_from_where_it_was(carrier, seal, cosigner):
    for entries in (1, 2, 5, 300):
        checkpoint = seal(entries)
        while (more := seal_pending()) is not None:
            checkpoint = more
        ask_witnesses()
        assert checkpoint.cosignatures.count() == 1
    assert WitnessState.objects.get(vkey=cosigner.vkey).size == checkpoint.size > 300


def test_asking_again_asks_nobody(carrier, seal):
    seal()
    ask_witnesses()
    before = WitnessState.objects.get()
    ask_witnesses()
    assert Cosignature.objects.count() == 1
    assert WitnessState.objects.get().asked_at == before.asked_at


def test_nothing_signed_yet_asks_nobody(carrier):
    ask_witnesses()
    assert not WitnessState.objects.exists()


def test_a_witness_without_a_url_is_not_asked_and_is_reported(policy_file, cosigner, seal):
    seal()
    write_policy(policy_file, f"witness carrier {cosigner.vkey}")
    ask_witnesses()
    [report] = witness_report()
    assert (report.size, report.asked_at, report.trouble) == (None, None, "")


@pytest.mark.parametrize("wrong", [0, 1, 4])
def test_a_witness_that_is_further_than_was_thought_says_so_and_is_asked_again(carrier, seal, cosigner, wrong):
    seal()
    ask_witnesses()
    WitnessState.objects.update(size=wrong if wrong != 4 else 999)
    checkpoint = seal(5)
    ask_witnesses()
    assert checkpoint.cosignatures.count() == 1
    assert troubles() == {"carrier": ""}


def test_one_that_is_down_holds_up_no_other(carrier, seal, cosigner, policy_file):
    checkpoint, down = seal(), new_cosigner("down.example/witness")
    lines = policy_file.read_text().splitlines()
    write_policy(policy_file, f"witness down {down.vkey} http://127.0.0.1:1", lines[0])
    ask_witnesses()
    assert [row.witness for row in checkpoint.cosignatures.all()] == ["carrier"]
    assert "did not answer" in troubles()["down"]
    assert troubles()["carrier"] == ""


def test_trouble_is_forgotten_once_it_is_over(carrier, seal, policy_file):
    working = policy_file.read_text()
    policy_file.write_text(working.replace("http://127.0.0.1:", "http://127.0.0.1:1/"))
    seal()
    ask_witnesses()
    assert troubles()["carrier"]
    policy_file.write_text(working)
    ask_witnesses()
    assert troubles()["carrier"] == ""


def answer(status: str, body: bytes, delay: float = 0):
    def application(environ, start_response):
        environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
        time.sleep(delay)
        start_response(status, [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
        return [body]

    return application


@pytest.mark.parametrize(
    ("status", "body", "says"),
    [
        ("403 Forbidden", b"", "needs this log's new key"),
        ("404 Not Found", b"", "does not watch this log"),
        ("422 Unprocessable Entity", b"", "TWO HISTORIES"),
        ("500 Internal Server Error", b"oops", "answered 500: b'oops'"),
        ("307 Temporary Redirect", b"", "answered 307"),
        ("409 Conflict", b"scribble", "409 without a size"),
        ("409 Conflict", b"", "409 without a size"),
        ("409 Conflict", b"9" * 30, "409 without a size"),
        ("409 Conflict", b"999\n", "THIS LOG WENT BACK: the witness cosigned 999 entries"),
        ("409 Conflict", b"0\n", "the size that it was asked from"),
        ("409 Conflict", b"2\n", "the size that it was asked from"),
        ("409 Conflict", b"4\n", "another tree of 4 entries"),
        ("200 OK", b"", "cosignature does not count"),
        ("200 OK", b"scribble\n", "no cosignature"),
        ("200 OK", b"\xff\xfe\n", "no cosignature"),
        ("200 OK", b"x" * 100_000, "did not answer"),
    ],
)
def test_an_answer_that_is_no_cosignature_is_told_and_nothing_is_stored(
    status, body, says, policy_file, cosigner, seal, caplog
):
    seal()
    with answering(answer(status, body)) as url:
        write_policy(policy_file, f"witness carrier {cosigner.vkey} {url}")
        ask_witnesses()
    assert says in troubles()["carrier"]
    assert says in caplog.text
    assert not Cosignature.objects.exists()


def test_a_witness_that_never_answers_is_given_up(policy_file, cosigner, seal, monkeypatch):
    monkeypatch.setattr("ledger.witnessing.WITHIN_SECONDS", 0.1)
    seal()
    with answering(answer("200 OK", b"", delay=0.5)) as url:
        write_policy(policy_file, f"witness carrier {cosigner.vkey} {url}")
        ask_witnesses()
    assert "did not answer" in troubles()["carrier"]


def test_a_cosignature_of_something_else_is_refused_by_name(policy_file, cosigner, seal):
    signed = bytes(seal().note).decode()
    text = note.parse(signed.encode()).text
    stranger = Cosigner(cosigner.name, Ed25519PrivateKey.generate())
    other, right = cosigner.cosign("other\n0\nAAAA\n", timestamp=1), cosigner.cosign(text, timestamp=1)
    later = note.Signature(right.name, right.key_id, (2).to_bytes(8, "big") + right.signature[8:])
    nowhere = "nowhere.example/log\n9\nAAAA\n"
    bodies = {
        "of another text": other.line(),
        "at another time": later.line(),
        "by another key": stranger.cosign(text, timestamp=1).line(),
        "cut": note.Signature(right.name, right.key_id, right.signature[:-1]).line(),
        "over a text of its own": f"{nowhere}\n{cosigner.cosign(signed + nowhere, timestamp=1).line()}",
        "beyond any calendar": cosigner.cosign(text, timestamp=2**62).line(),
    }
    for name, body in bodies.items():
        with answering(answer("200 OK", body.encode())) as url:
            write_policy(policy_file, f"witness carrier {cosigner.vkey} {url}")
            ask_witnesses()
        assert "cosignature" in troubles()["carrier"], name
        assert not Cosignature.objects.exists(), name
    with answering(answer("200 OK", (stranger.cosign(text, timestamp=1).line() + right.line()).encode())) as url:
        write_policy(policy_file, f"witness carrier {cosigner.vkey} {url}")
        ask_witnesses()
    assert Cosignature.objects.get().line == right.line()


def test_a_log_restored_from_an_older_backup_is_told_loudly(carrier, seal, caplog):
    older = seal()
    seal(5)
    ask_witnesses()
    append_only.disarm(connection)
    Cosignature.objects.all().delete()
    Checkpoint.objects.filter(size__gt=older.size).delete()
    append_only.arm(connection)
    ask_witnesses()
    assert troubles()["carrier"].startswith(f"THIS LOG WENT BACK: the witness cosigned {older.size + 5} entries")
    assert "WENT BACK" in caplog.text
    assert not Cosignature.objects.exists()


def test_a_witness_whose_size_changes_with_every_request_is_asked_twice_and_no_more(policy_file, cosigner, seal):
    seal()
    sizes = iter(b"123")

    def application(environ, start_response):
        return answer("409 Conflict", bytes([next(sizes)]))(environ, start_response)

    with answering(application) as url:
        write_policy(policy_file, f"witness carrier {cosigner.vkey} {url}")
        ask_witnesses()
    assert "one size after another" in troubles()["carrier"]
    assert next(sizes) == ord("3")


def test_a_witness_that_does_not_know_the_log_says_so(policy_file, cosigner, seal, tmp_path):
    seal()
    foreign = note.Signer("other.example/log", Ed25519PrivateKey.generate())
    with serving(Witness(cosigner=cosigner, logs=[foreign.verifier], state=tmp_path / "w")) as url:
        write_policy(policy_file, f"witness carrier {cosigner.vkey} {url}")
        ask_witnesses()
    assert "does not watch this log" in troubles()["carrier"]


def test_a_stored_tree_that_gives_no_proof_is_told(carrier, seal):
    seal(2)
    ask_witnesses()
    checkpoint = seal(2)
    Checkpoint.objects.create(size=checkpoint.size + 1, note=bytes(checkpoint.note), root=bytes(32))
    ask_witnesses()
    assert "the stored tree gives no proof" in troubles()["carrier"]


def test_a_url_may_have_a_path(witness, cosigner, policy_file, seal):
    application = Application(witness)

    def below(environ, start_response):
        assert environ["PATH_INFO"] == "/log/witness/add-checkpoint"
        return application(environ | {"PATH_INFO": "/add-checkpoint"}, start_response)

    checkpoint = seal()
    with answering(below) as url:
        write_policy(policy_file, f"witness carrier {cosigner.vkey} {url}/log/witness/")
        ask_witnesses()
    assert checkpoint.cosignatures.count() == 1


@pytest.mark.django_db(transaction=True)
def test_no_transaction_is_open_while_the_network_is_waited_for(witness, cosigner, policy_file, seal, monkeypatch):
    checkpoint, open_then = seal(), []
    from ledger import witnessing

    asking = witnessing.ThreadPoolExecutor.map

    def look(self, *args):
        open_then.append(connection.in_atomic_block)
        return asking(self, *args)

    monkeypatch.setattr(witnessing.ThreadPoolExecutor, "map", look)
    with serving(witness) as url:
        write_policy(policy_file, f"witness carrier {cosigner.vkey} {url}")
        ask_witnesses()
    assert open_then == [False]
    assert checkpoint.cosignatures.count() == 1
