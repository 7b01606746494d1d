"""
RFC 3161 timestamps over the log-signed checkpoint: an authority's word that this history stood no later than then.

An answer is stored once it fits what was asked: this checkpoint's hash, this nonce, granted; and, where the policy pins
roots, a signature under one of them. Every verification checks the stored answers again, under its own roots.
"""

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.utils import timezone
from rfc3161_client import (
    HashAlgorithm,
    PKIStatus,
    TimestampRequestBuilder,
    decode_timestamp_response,
)

from ledger.attachments import as_bytes
from ledger.models import Checkpoint, Timestamp, WitnessState
from ledger.outgoing import PostFailed, post
from ledger.own_policy import own_policy
from ledger.tlog.errors import TimestampNotVerified, excerpt
from ledger.tlog.timestamp import MAX_RESPONSE_BYTES, read_root, read_timestamp

logger = logging.getLogger(__name__)

WITHIN_SECONDS = 20.0
# An authority that fails is asked again after so many seconds, and not at every sweep.
RETRY_SECONDS = 60
_SHA256 = "2.16.840.1.101.3.4.2.1"


@dataclass(frozen=True)
class TimestampReport:
    """What the pages say of the authority: its newest stamp, and the last request's trouble, empty if it had none."""

    authority: str
    size: int | None
    stamped_at: datetime | None
    asked_at: datetime | None
    trouble: str


class _NotStamped(Exception):
    """The authority's answer is not a timestamp of what was asked."""


def timestamp_due(now: datetime | None = None) -> Timestamp | None:
    """
    Have the newest checkpoint timestamped, where LEDGER_TSA_EVERY seconds went by since the last one and the log grew.

    A failure is logged and kept for :func:`timestamp_report`, and the next try is a minute later.

    :returns: the new timestamp, or None where none is due or the authority gave none
    :raises VerifierKeyMissing: if the verifier key is not at hand
    :raises PolicyFileUnreadable: if there is a policy file that is none
    """
    url, now = settings.LEDGER_TSA_URL, now or timezone.now()
    newest = Checkpoint.objects.first()
    if not url or newest is None or not _is_due(url, newest, now):
        return None
    roots = own_policy().timestamp_roots
    try:
        response, stamped_at = _stamp(url, as_bytes(newest.note), roots)
    except (PostFailed, _NotStamped) as error:
        logger.error("timestamp authority %s: %s", url, error)
        _keep(url, asked_at=now, trouble=str(error))
        return None
    # Two sweeps at once get two timestamps of one checkpoint, both of them true.
    row = Timestamp.objects.create(checkpoint=newest, authority=url, response=response, stamped_at=stamped_at)
    _keep(url, asked_at=now, trouble="")
    logger.info("%s stamped %d entries at %s", url, newest.size, row.stamped_at)
    return row


def timestamp_report() -> TimestampReport | None:
    """Tell how it stands with the timestamps; None where no authority is configured and none ever stamped."""
    url = settings.LEDGER_TSA_URL
    newest = Timestamp.objects.order_by("-checkpoint_id", "-stamped_at").first()
    if not url and newest is None:
        return None
    state = WitnessState.objects.filter(vkey=url).first()
    return TimestampReport(
        authority=url or (newest.authority if newest else ""),
        size=newest.checkpoint_id if newest else None,
        stamped_at=newest.stamped_at if newest else None,
        asked_at=state.asked_at if state else None,
        trouble=state.trouble if state else "",
    )


def _is_due(url: str, newest: Checkpoint, now: datetime) -> bool:
    # By our own clock, as LEDGER_TSA_EVERY is: an authority's clock that is ahead would hold up the next request.
    last = Timestamp.objects.order_by("-checkpoint_id").first()
    if last and (last.checkpoint_id >= newest.size or now - last.received_at < _seconds(settings.LEDGER_TSA_EVERY)):
        return False
    state = WitnessState.objects.filter(vkey=url).exclude(trouble="").first()
    retry = min(RETRY_SECONDS, settings.LEDGER_TSA_EVERY)
    return not (state and state.asked_at and now - state.asked_at < _seconds(retry))


def _stamp(url: str, note: bytes, roots: Sequence[bytes]) -> tuple[bytes, datetime]:
    """
    Ask for a timestamp over SHA-256 of ``note`` (RFC 3161 sections 2.4.1 and 3.4), and check that it is one.

    :returns: the answer as it came, and the authority's time
    :raises PostFailed: if no answer came
    :raises _NotStamped: if the answer is not a timestamp of this note under one of ``roots``, where there are any
    """
    builder = TimestampRequestBuilder().data(note).hash_algorithm(HashAlgorithm.SHA256).nonce(nonce=True)
    request = builder.cert_request(cert_request=True).build()
    answer = post(
        url,
        request.as_bytes(),
        content_type="application/timestamp-query",
        limit=MAX_RESPONSE_BYTES,
        within=WITHIN_SECONDS,
    )
    if answer.status != 200:
        raise _NotStamped(f"it answered {answer.status}, expected 200")
    # A parser over bytes of strangers: whatever it raises means that this is no timestamp.
    try:
        response = decode_timestamp_response(answer.body)
        if response.status != PKIStatus.GRANTED:
            raise _NotStamped(f"it granted no timestamp (status {response.status} {' '.join(response.status_string)})")
        stamp = response.tst_info
        algorithm, found = stamp.message_imprint.hash_algorithm.dotted_string, stamp.message_imprint.message.hex()
        nonce, stamped_at = stamp.nonce, stamp.gen_time
    except _NotStamped:
        raise
    except Exception as error:
        raise _NotStamped(f"its answer is no timestamp: {excerpt(str(error))}") from error
    expected = hashlib.sha256(note).hexdigest()
    if (algorithm, found) != (_SHA256, expected):
        raise _NotStamped(f"it stamped {found} ({algorithm}), expected {expected} ({_SHA256})")
    if nonce != request.nonce:
        raise _NotStamped(f"its nonce is {nonce}, expected {request.nonce}: the answer is to another request")
    if roots:
        try:
            read_timestamp(answer.body, note, roots=[read_root(root) for root in roots])
        except TimestampNotVerified as error:
            raise _NotStamped(f"its timestamp does not count under the policy's timestamp roots ({error})") from error
    return answer.body, stamped_at


def _keep(url: str, *, asked_at: datetime, trouble: str) -> None:
    # The authority's row among the witnesses' states is named by its URL, which no verifier key line can be.
    WitnessState.objects.update_or_create(
        vkey=url, defaults={"asked_at": asked_at, "trouble": trouble, **({} if trouble else {"answered_at": asked_at})}
    )


def _seconds(seconds: int) -> timedelta:
    return timedelta(seconds=seconds)
