"""
Read sessions: which tags a read point saw between opening and freezing. What counts is when we received a report, by
our clock: a reader's own may be wrong.

An operator opens one, for a handoff or to check a shipment, or an input of a reader does (:mod:`shipments.triggers`).
A frozen session is its document, stored by digest; the rows are not asked again.
"""

from datetime import datetime, timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import QuerySet, Sum
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.models import User
from ledger import attachments
from ledger.tlog import canonical, merkle
from ledger.tlog.times import format_time
from refusals import Refusal
from shipments.models import (
    Consignment,
    CoverageGap,
    RawReport,
    Reader,
    ReadPoint,
    ReadSession,
    SessionPurpose,
    TriggerEvent,
)
from shipments.readers.report import format_ns, parse_time
from shipments.reconciliation import Reconciliation, read_result
from shipments.session_results import SessionReads, hold_against
from shipments.session_tags import SeenTag, count_tags, tag_to_document, tags_of_document
from shipments.smoothing import Policy
from shipments.smoothing_policies import policy_of

# How long what a gate read by itself can still become the reading of a handoff.
OFFERED_FOR = timedelta(minutes=15)


class ReadPointBusy(Refusal):
    code = "read_point_busy"
    message = _(
        "%(read_point)s is reading for another handoff. Finish or cancel that one, or choose another read point."
    )


class ReadPointChecking(ReadPointBusy):
    message = _("%(read_point)s is reading to check goods. End that reading, or choose another read point.")


class SessionNotOffered(Refusal):
    code = "session_not_offered"
    message = _("What the gate read can no longer be used: it is in use already, or too old. Read the tags anew.")


class SessionOfHandoff(Refusal):
    code = "session_of_handoff"
    message = _("This reading belongs to a handoff, which ends it when its tags are matched.")


class NotFrozen(Refusal):
    code = "session_not_frozen"
    message = _("This reading has not ended yet. End it; then its document is there.")


def open_read_session(
    *,
    read_point: ReadPoint,
    opened_by: User | TriggerEvent,
    purpose: SessionPurpose = SessionPurpose.HANDOFF,
    consignment: Consignment | None = None,
) -> ReadSession:
    """
    Let the reads at ``read_point`` count from now on, or, where a trigger opens it, from the report that told of it.

    A session that a trigger opened, and that nobody took over, ends where an operator opens another: it stays as a
    record of what passed.

    :param consignment: the shipment that is checked, whose items the result is about
    :raises ReadPointBusy: where another session is open there
    """
    operator = opened_by if isinstance(opened_by, User) else None
    trigger = opened_by if isinstance(opened_by, TriggerEvent) else None
    try:
        with transaction.atomic():
            # A gate and an operator may open at the same moment: one after the other.
            lock_read_point(read_point)
            if operator is not None:
                for passing in ReadSession.objects.filter(
                    read_point=read_point, frozen_at__isnull=True, purpose=SessionPurpose.PASSAGE
                ):
                    freeze_read_session(session=passing)
            return ReadSession.objects.create(
                read_point=read_point,
                purpose=purpose,
                opened_by=operator,
                opened_by_trigger=trigger,
                opened_at=trigger.received_at if trigger else timezone.now(),
                consignment=consignment,
            )
    except IntegrityError as error:
        # Only the one-open-session constraint can have failed: any other is a fault of ours and must show.
        other = ReadSession.objects.filter(read_point=read_point, frozen_at__isnull=True).first()
        if other is None:
            raise
        busy = ReadPointChecking if other.purpose == SessionPurpose.CHECK else ReadPointBusy
        raise busy(read_point=str(read_point)) from error


def lock_read_point(read_point: ReadPoint) -> None:
    """Let one transaction at a time open, take over or end a trigger's sessions at ``read_point``."""
    # FOR NO KEY UPDATE: reports being stored refer to the row, and must not wait for it nor be waited for.
    ReadPoint.objects.select_for_update(no_key=True, of=("self",)).get(pk=read_point.pk)


def offered_session(read_point: ReadPoint) -> ReadSession | None:
    """Return what a trigger had read there and nobody has used: the session still open, or the last one, if recent."""
    return _offered(read_point).first()


def take_over_session(*, session: ReadSession, by: User) -> ReadSession:
    """
    Make a session that a trigger opened the reading of a handoff; no trigger and no time limit ends it any more.

    :raises SessionNotOffered: where it is in use, or ended too long ago
    """
    with transaction.atomic():
        lock_read_point(session.read_point)
        offered = _offered(session.read_point).select_for_update(of=("self",)).filter(pk=session.pk).first()
        if offered is None:
            raise SessionNotOffered
        offered.purpose = SessionPurpose.HANDOFF
        offered.taken_over_by, offered.taken_over_at = by, timezone.now()
        offered.save(update_fields=["purpose", "taken_over_by", "taken_over_at"])
    return offered


def _offered(read_point: ReadPoint) -> QuerySet[ReadSession]:
    unused = ReadSession.objects.filter(read_point=read_point, purpose=SessionPurpose.PASSAGE)
    recent = unused.filter(frozen_at__gte=timezone.now() - OFFERED_FOR)
    return (unused.filter(frozen_at__isnull=True) | recent).order_by("-opened_at")


def session_tags(*, session: ReadSession) -> list[SeenTag]:
    """
    Return the session's tags by EPC, weak ones included: so far where it is open, as the document holds them where it
    is frozen.
    """
    if session.frozen_at is not None:
        return list(tags_of_document(read_document(session=session)))
    return count_tags(_reports_received(session, timezone.now()), policy_of(session.read_point))


def tags_seen(*, session: ReadSession) -> list[SeenTag]:
    """Return those of the session's tags that count as seen, by EPC."""
    return [tag for tag in session_tags(session=session) if not tag.weak]


def session_reads(*, session: ReadSession) -> SessionReads:
    """Return the session as evidence that can be held against a manifest: so far, or as frozen."""
    if session.frozen_at is None:
        now = timezone.now()
        reports = _reports_received(session, now)
        return _reads(session, now, count_tags(reports, policy_of(session.read_point)), _gaps(reports))
    document = read_document(session=session)
    return SessionReads(
        tags=list(tags_of_document(document)),
        since=session.opened_at,
        until=session.frozen_at,
        gaps=[(parse_time(gap["first"]), parse_time(gap["last"])) for gap in document.get("gaps", ())],
    )


def session_result(*, session: ReadSession) -> Reconciliation | None:
    """Return what the session says of the shipment that it checks: so far, or as frozen; None where it checks none."""
    if session.consignment is None:
        return None
    if session.frozen_at is not None:
        return read_result(read_document(session=session)["result"])
    return hold_against(consignment=session.consignment, present=session_reads(session=session))


def end_read_session(*, session: ReadSession) -> ReadSession:
    """
    Freeze a session that checks goods, or that a trigger opened.

    :raises SessionOfHandoff: where a handoff is to end it
    """
    with transaction.atomic():
        # Locked: a handoff may be taking it over.
        lock_read_point(session.read_point)
        session = ReadSession.objects.select_related("read_point").get(pk=session.pk)
        if session.purpose == SessionPurpose.HANDOFF and session.frozen_at is None:
            raise SessionOfHandoff
        return freeze_read_session(session=session)


def freeze_read_session(*, session: ReadSession, trigger: TriggerEvent | None = None) -> ReadSession:
    """
    Close the session for good and store its document; a frozen one is returned unchanged.

    A report still in flight at this moment has had no answer yet, and is in no document.

    :param trigger: what ended it, where no operator did
    """
    with transaction.atomic():
        session = (
            ReadSession.objects.select_for_update(of=("self",))
            .select_related("read_point__site", "consignment", "opened_by_trigger__rule", "opened_by", "taken_over_by")
            .get(pk=session.pk)
        )
        if session.frozen_at is not None:
            return session
        session.frozen_at = timezone.now()
        session.frozen_by_trigger = trigger
        # One statement settles which reports count: a report committed after it is in none of the queries below,
        # whatever the isolation level.
        _reports_received(session, session.frozen_at).update(session=session)
        digests = list(session.reports.order_by("sha256", "reader_id").values_list("sha256", flat=True))
        session.reports_root = _reports_root(digests)
        document = _document(session, session.frozen_at, digests)
        session.summary = _summary(document)
        session.document_sha256 = attachments.store(canonical.encode(document), media_type="application/json")
        session.save(update_fields=["frozen_at", "frozen_by_trigger", "reports_root", "summary", "document_sha256"])
    return session


def read_document(*, session: ReadSession) -> dict[str, Any]:
    """
    Return the document of a frozen session, of either version.

    :raises AttachmentChanged: if it is not what was frozen
    """
    document = canonical.decode(document_bytes(session=session))
    assert isinstance(document, dict)
    return document


def document_bytes(*, session: ReadSession) -> bytes:
    """Return the document's bytes, whose SHA-256 a handoff's entry holds. :raises NotFrozen, AttachmentChanged:"""
    if session.frozen_at is None:
        raise NotFrozen
    return attachments.load(session.document_sha256)


def _reports_received(session: ReadSession, until: datetime) -> QuerySet[RawReport]:
    # Without those that a session before it holds: the first report of a trigger's may have come while that was open.
    return RawReport.objects.filter(
        read_point_id=session.read_point_id,
        received_at__gte=session.opened_at,
        received_at__lte=until,
        session__isnull=True,
    )


def _gaps(reports: QuerySet[RawReport]) -> list[CoverageGap]:
    found = CoverageGap.objects.filter(report__in=reports.order_by().values("pk"))
    return list(found.order_by("first_ns", "last_ns", "reader_id", "purged"))


def _reads(session: ReadSession, until: datetime, tags: list[SeenTag], gaps: list[CoverageGap]) -> SessionReads:
    spans = [(gap.first_ns, gap.last_ns) for gap in gaps]
    return SessionReads(tags=tags, since=session.opened_at, until=until, gaps=spans)


def _reports_root(digests: list[str]) -> str:
    """RFC 6962 tree head over the reports' digests in ascending order: the 32 bytes of each are one leaf's data."""
    return merkle.root([merkle.leaf_hash(bytes.fromhex(digest)) for digest in digests]).hex()


def _document(session: ReadSession, frozen_at: datetime, digests: list[str]) -> dict[str, Any]:
    readers = set(Reader.objects.filter(read_point_id=session.read_point_id).values_list("pk", flat=True))
    readers |= set(session.reports.order_by().values_list("reader_id", flat=True).distinct())
    policy = policy_of(session.read_point)
    tags, gaps = count_tags(session.reports.all(), policy), _gaps(session.reports.all())
    document: dict[str, Any] = {
        "v": 2,
        "session": session.pk.urn,
        "purpose": session.purpose,
        "site": session.read_point.site.gln,
        "read_point": session.read_point.sgln,
        "readers": sorted(reader.urn for reader in readers),
        "opened_at": format_time(session.opened_at),
        "opened_by": _opened_by(session),
        "frozen_at": format_time(frozen_at),
        "reports": digests,
        "reports_root": session.reports_root,
        "quarantined": session.reports.aggregate(total=Sum("quarantined"))["total"] or 0,
        "smoothing": _policy_to_document(policy),
        "tags": [tag_to_document(tag) for tag in tags if not tag.weak],
        "weak": [tag_to_document(tag) for tag in tags if tag.weak],
    }
    if session.taken_over_by is not None and session.taken_over_at is not None:
        document["taken_over"] = {
            "operator": session.taken_over_by.pk.urn,
            "at": format_time(session.taken_over_at),
        }
    if session.frozen_by_trigger is not None:
        document["frozen_by"] = _trigger_to_document(session.frozen_by_trigger)
    if gaps:
        document["gaps"] = [
            {
                "reader": gap.reader_id.urn,
                "first": format_ns(gap.first_ns),
                "last": format_ns(gap.last_ns),
                # As text: the reader's counter may pass 2^53.
                "purged": str(gap.purged),
            }
            for gap in gaps
        ]
    if session.consignment is not None:
        document["shipment"] = session.consignment.pk.urn
        result = hold_against(consignment=session.consignment, present=_reads(session, frozen_at, tags, gaps))
        units = list(session.consignment.units.exclude(sscc="").values_list("sscc", flat=True))
        document["result"] = result.document(units=units)
    return document


def _summary(document: dict[str, Any]) -> dict[str, Any]:
    counted: dict[str, Any] = {"tags": len(document["tags"]), "weak": len(document["weak"])}
    if "result" in document:
        counted["result"] = read_result(document["result"]).summary()
    return counted


def _opened_by(session: ReadSession) -> dict[str, Any]:
    if session.opened_by_trigger is not None:
        return _trigger_to_document(session.opened_by_trigger)
    assert session.opened_by is not None
    return {"operator": session.opened_by.pk.urn}


def _trigger_to_document(event: TriggerEvent) -> dict[str, Any]:
    return {
        "reader": event.rule.reader_id.urn,
        "port": event.rule.port,
        "level": "high" if event.high else "low",
        "at": format_ns(event.at_ns),
    }


def _policy_to_document(policy: Policy) -> dict[str, Any]:
    written: dict[str, Any] = {"min_reads": policy.min_reads}
    if policy.min_rssi_cdbm is not None:
        written |= {"min_rssi_cdbm": policy.min_rssi_cdbm, "strength": policy.strength}
    if policy.delta_e4 is not None:
        written |= {"delta_e4": policy.delta_e4, "epoch_ms": policy.epoch_ms}
    return written
