"""The ways in for a reader, over HTTP: each kind of credential, rotation, revocation, and what nobody learns."""

import gzip
import hmac
import json
import time
from datetime import timedelta
from typing import Any

import pytest
from django.core.handlers.wsgi import WSGIRequest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from shipments import reader_credentials
from shipments.api import ReaderEventsView
from shipments.models import CredentialKind, RawReport, ReaderCredential
from shipments.reader_credentials import (
    CertificateRefused,
    CredentialNotRotated,
    check_certificate,
    check_password,
    issue,
    live_credentials,
    register_certificate,
    revoke_credential,
    rotate,
    sign,
)
from tests.shipments.conftest import PostingReader, item_epc

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.shipments.urls")]

BODY = json.dumps({"reads": [{"epc": item_epc(1), "read_at": 1795356300000}]}).encode()
FINGERPRINT = "9f" * 32


def headed(posting: PostingReader, body: bytes = BODY, *, source: str = "127.0.0.1", **headers: str) -> Any:
    """Post with these headers alone, from an address."""
    return posting.client.post(
        posting.address, data=body, content_type="application/json", headers=headers, REMOTE_ADDR=source
    )


def signature(name: str, secret: str, body: bytes = BODY, *, age: int = 0) -> str:
    at = str(int(time.time()) - age)
    return f"k={name},t={at},v1={sign(secret, at, body)}"


# Passwords and tokens ------------------------------------------------------------------------------------------------


def test_a_bearer_token_lets_its_reader_in_and_is_no_password(posting, reader) -> None:
    issued = issue(reader=reader, kind=CredentialKind.BEARER)
    assert headed(posting, Authorization=f"Bearer {issued.secret}").status_code == 200
    name, _dot, secret = issued.secret.partition(".")
    assert posting.post(BODY, authorization=posting.authorization(name, secret)).status_code == 401
    assert headed(posting, Authorization=f"Bearer {posting.username}.{posting.password}").status_code == 401
    assert headed(posting, Authorization=f"Bearer {issued.secret}x").status_code == 401
    assert secret not in str(issued.credential.__dict__)


def test_an_unknown_name_costs_the_same_work_as_a_wrong_password(posting, monkeypatch) -> None:
    worked: list[str] = []
    new, compare = hmac.new, hmac.compare_digest

    def counting_new(*args: Any, **more: Any) -> Any:
        worked.append("digest")
        return new(*args, **more)

    def counting_compare(*args: Any) -> bool:
        worked.append("compare")
        return compare(*args)

    monkeypatch.setattr(reader_credentials.hmac, "new", counting_new)
    monkeypatch.setattr(reader_credentials.hmac, "compare_digest", counting_compare)
    revoked = PostingReader(posting.reader)
    revoke_credential(username=revoked.username)
    done = set()
    for username, password in (
        ("reader-000000000000", "wrong"),
        (posting.username, "wrong"),
        (revoked.username, "wrong"),
        (revoked.username, revoked.password),
    ):
        worked.clear()
        with CaptureQueriesContext(
            connection,
        ) as asked:
            assert check_password(username, password).reader is None
        done.add((*worked, len(asked)))
    assert done == {("digest", "compare", 1)}


def test_the_answer_never_says_which_part_was_wrong(posting) -> None:
    revoked = PostingReader(posting.reader)
    revoke_credential(username=revoked.username)
    answers = {
        posting.post(BODY, authorization=told).content
        for told in (
            posting.authorization(password="wrong"),
            posting.authorization(username="reader-unknown"),
            revoked.authorization(),
        )
    }
    assert len(answers) == 1


def test_nothing_of_a_body_is_read_before_its_sender_is_known(posting, rf) -> None:
    class Untouched:
        def read(self, *size: int) -> bytes:
            raise AssertionError("the body was read")

    def post(**environ: Any) -> int:
        request: WSGIRequest = rf.post(posting.address, **environ)
        request.environ["wsgi.input"] = Untouched()
        request._stream = Untouched()
        request.META["CONTENT_LENGTH"] = str(100 * 1024 * 1024)
        return ReaderEventsView.as_view()(request, reader_id=posting.reader.pk).status_code

    assert post() == 401
    assert post(HTTP_AUTHORIZATION=posting.authorization(password="wrong")) == 401
    assert post(HTTP_X_CUSTODY_SIGNATURE=signature("reader-000000000000", "x")) == 401
    # Whoever may come in is told by the length that he declares.
    assert post(HTTP_AUTHORIZATION=posting.authorization()) == 413
    signer = issue(reader=posting.reader, kind=CredentialKind.SIGNATURE)
    assert post(HTTP_X_CUSTODY_SIGNATURE=signature(signer.credential.username, "x")) == 413


# Rotation and revocation ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [CredentialKind.BASIC, CredentialKind.BEARER, CredentialKind.SIGNATURE])
def test_a_rotation_gives_another_of_its_kind_and_lets_the_old_one_work_on_for_a_while(reader, kind) -> None:
    old = issue(reader=reader, kind=kind)
    new = rotate(credential=old.credential, hours=2)
    assert (new.credential.kind, new.credential.reader) == (kind, reader)
    assert new.secret != old.secret
    now = timezone.now()
    assert set(live_credentials(reader, now)) == {old.credential, new.credential}
    assert set(live_credentials(reader, now + timedelta(hours=3))) == {new.credential}


def test_the_old_one_ends_by_itself_and_the_new_one_goes_on(posting) -> None:
    credential = ReaderCredential.objects.get(username=posting.username)
    new = rotate(credential=credential, hours=1)
    assert posting.post(BODY).status_code == 200
    ReaderCredential.objects.filter(pk=credential.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    assert posting.post(BODY).status_code == 401
    told = posting.authorization(new.credential.username, new.secret)
    assert posting.post(BODY, authorization=told).status_code == 200


def test_a_second_rotation_gives_the_old_one_no_more_time(posting) -> None:
    credential = ReaderCredential.objects.get(username=posting.username)
    rotate(credential=credential, hours=1)
    rotate(credential=credential, hours=100)
    credential.refresh_from_db()
    assert credential.expires_at < timezone.now() + timedelta(hours=2)


def test_the_new_one_may_be_revoked_and_the_old_one_too(posting) -> None:
    new = rotate(credential=ReaderCredential.objects.get(username=posting.username))
    revoke_credential(username=posting.username)
    assert posting.post(BODY).status_code == 401
    revoke_credential(username=new.credential.username)
    told = posting.authorization(new.credential.username, new.secret)
    assert posting.post(BODY, authorization=told).status_code == 401


def test_what_cannot_be_rotated_says_why(posting, reader) -> None:
    credential = ReaderCredential.objects.get(username=posting.username)
    for hours in (0, -1, 169):
        with pytest.raises(CredentialNotRotated, match="1 to 168 hours"):
            rotate(credential=credential, hours=hours)
    with pytest.raises(CredentialNotRotated, match="Add the new one"):
        rotate(credential=register_certificate(reader=reader, certificate=FINGERPRINT))
    revoke_credential(username=posting.username)
    with pytest.raises(CredentialNotRotated, match="Issue another"):
        rotate(credential=credential)
    assert ReaderCredential.objects.count() == 2


def test_the_last_use_is_noted_to_the_minute_and_costs_one_write_in_it(posting) -> None:
    credential = ReaderCredential.objects.get(username=posting.username)
    assert credential.last_used_at is None
    posting.post(BODY)
    credential.refresh_from_db()
    noted = credential.last_used_at
    assert noted > timezone.now() - timedelta(minutes=1)
    with CaptureQueriesContext(connection) as asked:
        posting.post(BODY)
    assert not [query for query in asked if 'last_used_at" =' in query["sql"] and query["sql"].startswith("UPDATE")]
    credential.refresh_from_db()
    assert credential.last_used_at == noted
    ReaderCredential.objects.update(last_used_at=noted - timedelta(minutes=2))
    posting.post(BODY)
    credential.refresh_from_db()
    assert credential.last_used_at >= noted


def test_a_wrong_try_is_no_use(posting) -> None:
    posting.post(BODY, authorization=posting.authorization(password="wrong"))
    assert ReaderCredential.objects.get().last_used_at is None


# Signatures ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def signer(reader) -> Any:
    return issue(reader=reader, kind=CredentialKind.SIGNATURE)


def test_a_signed_report_is_taken(posting, signer) -> None:
    told = signature(signer.credential.username, signer.secret)
    answer = headed(posting, **{"X-Custody-Signature": told})
    assert (answer.status_code, answer.json()["reads_new"]) == (200, 1)
    assert bytes(RawReport.objects.get().body) == BODY


def test_the_signature_is_over_the_body_as_sent(posting, signer) -> None:
    packed = gzip.compress(BODY)
    told = signature(signer.credential.username, signer.secret, packed)
    answer = headed(posting, packed, **{"X-Custody-Signature": told, "Content-Encoding": "gzip"})
    assert answer.status_code == 200
    assert bytes(RawReport.objects.get().body) == BODY


def test_a_signature_of_another_body_time_name_or_secret(posting, signer, reader) -> None:
    name, secret = signer.credential.username, signer.secret
    good = signature(name, secret)
    other = issue(reader=reader, kind=CredentialKind.SIGNATURE)
    for told in (
        signature(name, secret, BODY + b" "),
        good.replace("t=1", "t=2"),
        signature(name, other.secret),
        good.replace(name, other.credential.username),
        signature(posting.username, posting.password),
    ):
        answer = headed(posting, **{"X-Custody-Signature": told})
        assert (answer.status_code, answer.json()["code"]) == (401, "reader_credential_refused")
    assert not RawReport.objects.exists()


@pytest.mark.parametrize(
    "told", ["", "v1=" + "0" * 64, "k=a,t=x,v1=" + "0" * 64, "k=a,t=1,v1=00", "k=a,t=٣,v1=" + "0" * 64]
)
def test_a_header_that_is_no_signature(posting, told) -> None:
    answer = headed(posting, **{"X-Custody-Signature": told})
    assert (answer.status_code, answer.json()["code"]) == (401, "reader_credential_malformed")


@pytest.mark.parametrize("age", [301, 3600, -301])
def test_a_signed_report_is_not_replayed_later(posting, signer, age) -> None:
    told = signature(signer.credential.username, signer.secret, age=age)
    assert headed(posting, **{"X-Custody-Signature": told}).status_code == 401


def test_within_the_window_a_replay_is_a_known_report_and_changes_nothing(posting, signer) -> None:
    told = {"X-Custody-Signature": signature(signer.credential.username, signer.secret, age=200)}
    headed(posting, **told)
    again = headed(posting, **told)
    assert (again.status_code, again.json()["redelivered"]) == (200, True)
    assert RawReport.objects.count() == 1


def test_a_revoked_signer(posting, signer) -> None:
    revoke_credential(username=signer.credential.username)
    told = signature(signer.credential.username, signer.secret)
    assert headed(posting, **{"X-Custody-Signature": told}).status_code == 401


def test_a_signing_secret_is_encrypted_and_opens_in_its_own_row_alone(posting, signer, reader) -> None:
    row = ReaderCredential.objects.get(pk=signer.credential.pk)
    assert signer.secret.encode() not in bytes(row.sealed)
    other = issue(reader=reader, kind=CredentialKind.SIGNATURE)
    ReaderCredential.objects.filter(pk=other.credential.pk).update(sealed=row.sealed)
    told = signature(other.credential.username, signer.secret)
    assert headed(posting, **{"X-Custody-Signature": told}).status_code == 401


def test_another_key_file_opens_no_signing_secret(posting, signer, settings, tmp_path, monkeypatch) -> None:
    settings.READER_SECRET_KEY_FILE = tmp_path / "other"
    reader_credentials._cipher.cache_clear()
    try:
        told = signature(signer.credential.username, signer.secret)
        assert headed(posting, **{"X-Custody-Signature": told}).status_code == 401
    finally:
        reader_credentials._cipher.cache_clear()


# Certificates --------------------------------------------------------------------------------------------------------


@pytest.fixture
def proxied(settings, reader) -> ReaderCredential:
    settings.READER_MTLS_HEADER = "X-Client-Fingerprint"
    settings.READER_MTLS_PROXIES = ["10.0.0.0/24", "::1"]
    return register_certificate(reader=reader, certificate=FINGERPRINT)


@pytest.mark.parametrize("told", [FINGERPRINT, FINGERPRINT.upper(), "SHA256:" + ":".join(["9F"] * 32)])
def test_a_certificate_that_a_trusted_proxy_tells_lets_its_reader_in(posting, proxied, told) -> None:
    for source in ("10.0.0.9", "::1"):
        assert headed(posting, source=source, **{"X-Client-Fingerprint": told}).status_code == 200


def test_the_header_is_nothing_from_anybody_else(posting, proxied) -> None:
    for source in ("10.0.1.9", "127.0.0.1", "::2", ""):
        answer = headed(posting, source=source, **{"X-Client-Fingerprint": FINGERPRINT})
        assert (answer.status_code, answer.json()["code"]) == (401, "not_authenticated")


def test_the_header_is_nothing_unless_the_settings_name_it(posting, proxied, settings) -> None:
    settings.READER_MTLS_HEADER = ""
    assert headed(posting, source="10.0.0.9", **{"X-Client-Fingerprint": FINGERPRINT}).status_code == 401
    settings.READER_MTLS_HEADER, settings.READER_MTLS_PROXIES = "X-Client-Fingerprint", []
    assert headed(posting, source="10.0.0.9", **{"X-Client-Fingerprint": FINGERPRINT}).status_code == 401


def test_a_wrong_password_is_not_made_good_by_a_certificate(posting, proxied) -> None:
    told = {"X-Client-Fingerprint": FINGERPRINT, "Authorization": posting.authorization(password="wrong")}
    assert headed(posting, source="10.0.0.9", **told).status_code == 401


def test_a_subject_is_matched_as_the_proxy_spells_it(reader) -> None:
    register_certificate(reader=reader, certificate=" CN=dock-1,O=Acme ")
    assert check_certificate("CN=dock-1,O=Acme").reader == reader
    assert check_certificate("CN=dock-1,O=ACME").reader is None
    assert check_certificate("").reader is None


def test_a_certificate_is_one_readers_and_free_again_once_revoked(reader, other_reader) -> None:
    first = register_certificate(reader=reader, certificate=FINGERPRINT)
    with pytest.raises(CertificateRefused):
        register_certificate(reader=other_reader, certificate=FINGERPRINT.upper())
    with pytest.raises(CertificateRefused):
        register_certificate(reader=other_reader, certificate=" ")
    revoke_credential(username=first.username)
    assert check_certificate(FINGERPRINT).reader is None
    register_certificate(reader=other_reader, certificate=FINGERPRINT)
    assert check_certificate(FINGERPRINT).reader == other_reader
