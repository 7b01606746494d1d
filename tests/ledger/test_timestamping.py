"""Timestamps from a real RFC 3161 authority on this machine: when one is due, and which answers are not stored."""

from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID
from django.utils import timezone
from rfc3161_client import decode_timestamp_response

from ledger.models import Checkpoint, Timestamp, WitnessState
from ledger.sealing import seal_pending
from ledger.timestamping import timestamp_due, timestamp_report
from ledger.tlog import base64_strict
from ledger.tlog.timestamp import read_root, read_timestamp
from tests.ledger.tsa import LocalAuthority
from tests.ledger.watching import answering, write_policy

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    with LocalAuthority(tmp_path_factory.mktemp("tsa")) as authority:
        yield authority


@pytest.fixture
def policy_file(settings, tmp_path) -> Path:
    settings.LEDGER_POLICY_FILE = tmp_path / "policy"
    return settings.LEDGER_POLICY_FILE


@pytest.fixture
def configured(settings, authority, policy_file) -> LocalAuthority:
    """The operator named the authority, and pinned its root."""
    settings.LEDGER_TSA_URL, settings.LEDGER_TSA_EVERY = authority.url, 3600
    write_policy(policy_file, f"#: timestamp-root {base64_strict.encode(authority.root_der)}")
    return authority


@pytest.fixture
def seal(submit_one):
    def seal() -> Checkpoint:
        submit_one()
        seal_pending()
        return Checkpoint.objects.first()

    return seal


def test_the_newest_checkpoint_is_stamped_with_what_convinces_outsiders(configured, seal):
    seal()
    checkpoint, before = seal(), datetime.now(UTC).replace(microsecond=0)
    stamped = timestamp_due()
    assert stamped.checkpoint == checkpoint
    response = bytes(Timestamp.objects.get().response)
    genuine = read_timestamp(response, bytes(checkpoint.note), roots=[read_root(configured.root_der)])
    assert genuine == Timestamp.objects.get().stamped_at
    assert before <= genuine <= datetime.now(UTC)
    report = timestamp_report()
    assert (report.authority, report.size, report.trouble) == (configured.url, checkpoint.size, "")
    assert report.stamped_at == genuine


def test_without_pinned_roots_it_is_stored_and_left_to_the_verifiers(configured, seal, policy_file):
    policy_file.unlink()
    seal()
    assert timestamp_due() is not None


def test_no_authority_or_no_checkpoint_is_no_timestamp(configured, seal, settings):
    assert timestamp_due() is None
    settings.LEDGER_TSA_URL = ""
    seal()
    assert timestamp_due() is None
    assert timestamp_report() is None
    assert not Timestamp.objects.exists()


def test_the_next_one_is_due_when_time_went_by_and_the_log_grew(configured, seal):
    seal()
    now = timezone.now()
    first = timestamp_due(now)
    later = now + timedelta(hours=2)
    assert timestamp_due(later) is None, "the log did not grow"
    seal()
    assert timestamp_due(now + timedelta(minutes=30)) is None, "an hour did not go by"
    second = timestamp_due(later)
    assert second.checkpoint_id == first.checkpoint_id + 1
    assert timestamp_due(later) is None


def test_an_authority_that_is_down_is_told_and_not_asked_at_every_sweep(configured, seal, settings, caplog):
    seal()
    settings.LEDGER_TSA_URL = "http://127.0.0.1:1/"
    now = timezone.now()
    assert timestamp_due(now) is None
    assert "did not answer" in timestamp_report().trouble
    assert "did not answer" in caplog.text
    assert timestamp_due(now + timedelta(seconds=59)) is None
    assert WitnessState.objects.get().asked_at == now
    assert timestamp_due(now + timedelta(seconds=61)) is None
    assert WitnessState.objects.get().asked_at == now + timedelta(seconds=61)


def test_another_authority_is_asked_at_once_and_its_trouble_is_its_own(configured, seal, settings):
    seal()
    settings.LEDGER_TSA_URL = "http://127.0.0.1:1/"
    timestamp_due()
    settings.LEDGER_TSA_URL = configured.url
    assert timestamp_due() is not None
    assert timestamp_report().trouble == ""


def test_trouble_is_forgotten_once_it_is_over(configured, seal):
    seal()
    now = timezone.now()
    WitnessState.objects.create(vkey=configured.url, asked_at=now - timedelta(hours=1), trouble="It was down.")
    assert timestamp_due(now) is not None
    assert timestamp_report().trouble == ""


def answer(body, status: str = "200 OK"):
    """An authority of the test's own making; ``body`` is bytes, or makes them from the request."""

    def application(environ, start_response):
        request = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
        content = body(request) if callable(body) else body
        start_response(status, [("Content-Type", "application/timestamp-reply"), ("Content-Length", str(len(content)))])
        return [content]

    return application


def refusal(settings, application) -> str:
    """Ask that authority, and return the trouble that was kept; nothing else may be."""
    with answering(application) as url:
        settings.LEDGER_TSA_URL = url
        assert timestamp_due() is None
    assert not Timestamp.objects.exists()
    return timestamp_report().trouble


def test_an_answer_to_another_request_is_refused(configured, seal, settings):
    """A recorded answer over the same checkpoint: right in everything but its nonce."""
    old = configured.stamp(bytes(seal().note))
    assert "the answer is to another request" in refusal(settings, answer(old))


@pytest.mark.parametrize("with_roots", [True, False])
def test_a_timestamp_of_something_else_is_refused(configured, seal, settings, policy_file, with_roots):
    """The authority puts another hash in the place of ours, and keeps the nonce."""
    ours, other = sha256(bytes(seal().note)).digest(), sha256(b"something else").digest()
    if not with_roots:
        policy_file.unlink()
    trouble = refusal(settings, answer(lambda request: configured.answer(request.replace(ours, other))))
    assert f"it stamped {other.hex()}" in trouble
    assert f"expected {ours.hex()}" in trouble


def test_an_authority_under_another_root_is_refused(configured, seal, settings, tmp_path):
    seal()
    other = LocalAuthority(tmp_path / "other", name="Other TSA")
    assert "does not count under the policy's timestamp roots" in refusal(settings, answer(other.answer))


def test_an_authority_whose_certificate_is_not_for_stamping_is_refused(
    configured, seal, settings, tmp_path, policy_file
):
    seal()
    other = LocalAuthority(tmp_path / "other", purpose=ExtendedKeyUsageOID.CODE_SIGNING)
    write_policy(policy_file, f"#: timestamp-root {base64_strict.encode(other.root_der)}")
    assert refusal(settings, answer(other.answer))


def test_a_request_that_is_not_granted_is_told(configured, seal, settings):
    seal()
    refused = configured.answer(b"not a request")
    assert decode_timestamp_response(refused).status == 2
    assert "granted no timestamp" in refusal(settings, answer(refused))


@pytest.mark.parametrize("body", [b"", b"scribble", b"0" * 200_000, b"\x30\x80" * 500])
def test_what_is_no_timestamp_is_told(configured, seal, settings, body):
    seal()
    assert refusal(settings, answer(body))


def test_another_status_is_told(configured, seal, settings):
    seal()
    assert "answered 503" in refusal(settings, answer(b"", "503 Service Unavailable"))


def test_an_answer_that_is_cut_is_never_stored(configured, seal, settings, monkeypatch):
    monkeypatch.setattr("ledger.timestamping.RETRY_SECONDS", 0)
    seal()
    parts = iter(range(12))

    def cut(request: bytes) -> bytes:
        good = configured.answer(request)
        return good[: len(good) * next(parts) // 12]

    with answering(answer(cut)) as url:
        settings.LEDGER_TSA_URL = url
        for _ in range(12):
            assert timestamp_due() is None
    assert next(parts, None) is None
    assert not Timestamp.objects.exists()


@pytest.mark.parametrize(
    "place",
    [
        lambda good, note: good.index(sha256(note).digest()),
        lambda good, note: good.index(datetime.now(UTC).strftime("%Y%m").encode()) + 3,
        lambda good, note: len(good) - 5,
    ],
    ids=["the hash", "the time", "the signature"],
)
def test_an_answer_that_is_changed_is_never_stored(configured, seal, settings, place):
    note = bytes(seal().note)

    def change(request: bytes) -> bytes:
        bad = bytearray(configured.answer(request))
        bad[place(bytes(bad), note)] ^= 1
        return bytes(bad)

    assert refusal(settings, answer(change))
