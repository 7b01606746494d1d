"""
Alerts of restricted zones: raised with the frame that gave reason, as an entry, and decided by an officer, as another.

An alert says what a camera saw. Whether it was an intruder, a person says.
"""

import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import numpy as np
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from numpy.typing import NDArray

from accounts.models import User
from accounts.roles import Capability
from biometrics.engine import analysis
from biometrics.engine.photo import Photo
from biometrics.engine.quality import Quality
from biometrics.models import EvidenceKind, PersonKind
from biometrics.passers_by import keep_frame, keep_stranger
from biometrics.vault import seal_evidence
from biometrics.watchlist import search_watchlist
from custody.models import ZoneAlert, ZoneEvent
from ledger.submission import submit
from ledger.tlog.times import format_time
from refusals import Refusal

ALERT, RESOLUTION = "zone_alert", "resolution"
MAX_NOTE = 500


class AlertNotYours(Refusal):
    code = "alert_not_yours"
    message = _("Alerts of restricted zones are decided by officers.")
    status = 403


class AlertDecidedBefore(Refusal):
    code = "alert_decided_before"
    message = _("This alert was decided before: %(decision)s. The first decision stands.")


class AlertNoteMissing(Refusal):
    code = "alert_note_missing"
    message = _("Say what the decision rests on, in 1 to %(limit)s characters.")
    status = 422


class DecisionUnknown(Refusal):
    code = "decision_unknown"
    message = _("A decision is one of: %(known)s.")
    status = 422


def raise_alert(
    *,
    event: ZoneEvent,
    codes: Sequence[ZoneAlert.Code],
    seen_quality: Quality,
    descriptor: NDArray[np.float64] | None,
    measure: dict[str, int | str] | None,
    photo: Photo,
    raised_at: datetime,
    captured_at: datetime | None,
    faces: int,
) -> list[ZoneAlert]:
    """
    Keep the frame, sealed, and submit an entry for each code; call inside the transaction that holds the zone's row.

    :param measure: how near the face is to whom it was recognised as, where it was
    :returns: the alerts; none where ``codes`` is empty
    """
    if not codes:
        return []
    if event.person is None:
        event.person = keep_stranger(answerable=event.camera.added_by)
        event.save(update_fields=["person"])
    frame = keep_frame(person=event.person, photo=photo)
    alerts = []
    for code in codes:
        alert = ZoneAlert(id=uuid.uuid4(), event=event, code=code, raised_at=raised_at, frame=frame)
        if code == ZoneAlert.Code.WATCHLISTED:
            assert descriptor is not None
            known = event.person if event.person.kind != PersonKind.UNKNOWN else None
            leads = search_watchlist(descriptor=descriptor, probe=frame, person=known)
            if not leads:
                # Removed from the watchlist since it was looked through a moment ago.
                continue
            alert.lead = leads[0]
        body = _alert_body(alert, seen_quality, measure, captured_at, faces)
        alert.statement = submit(kind=ALERT, subject=event.zone_id.urn, body=body, key=f"{ALERT}:{alert.pk}")
        alert.save()
        alerts.append(alert)
    return alerts


def decide_alert(*, alert: ZoneAlert, decision: str, decided_by: User, note: str) -> ZoneAlert:
    """
    Record what an officer makes of an alert, once.

    :param decision: one of :class:`ZoneAlert.Decision`
    :param note: what it rests on, at most 500 characters; sealed, and committed to by the entry
    :raises AlertNotYours, AlertNoteMissing, DecisionUnknown, AlertDecidedBefore:
    """
    if not decided_by.may(Capability.WATCH_ZONES):
        raise AlertNotYours
    if decision not in ZoneAlert.Decision.values:
        raise DecisionUnknown(known=", ".join(ZoneAlert.Decision.values))
    note = " ".join(note.split())
    if not note or len(note) > MAX_NOTE:
        raise AlertNoteMissing(limit=MAX_NOTE)
    with transaction.atomic():
        alert = (
            ZoneAlert.objects.select_for_update(of=("self",))
            .select_related("event__zone__site", "event__person", "frame__person")
            .get(pk=alert.pk)
        )
        if alert.decision:
            raise AlertDecidedBefore(decision=alert.get_decision_display())
        alert.decision, alert.decided_by, alert.decided_at = decision, decided_by, timezone.now()
        if alert.frame.person.erased_at is None:
            alert.note = seal_evidence(person=alert.frame.person, kind=EvidenceKind.NOTE, value=note.encode())
        body: dict[str, Any] = {
            "alert": alert.pk.urn,
            "code": alert.code,
            "decision": decision,
            "zone": alert.event.zone_id.urn,
            "by": decided_by.pk.urn,
            "when": {"decided_at": format_time(alert.decided_at)},
        }
        if alert.note is not None:
            body["note"] = alert.note.commitment
        alert.resolution = submit(
            kind=RESOLUTION, subject=alert.event.zone_id.urn, body=body, key=f"{RESOLUTION}:{alert.pk}"
        )
        alert.save()
    return alert


def _alert_body(
    alert: ZoneAlert,
    quality: Quality,
    measure: dict[str, int | str] | None,
    captured_at: datetime | None,
    faces: int,
) -> dict[str, Any]:
    event = alert.event
    when = {"first_seen_at": format_time(event.first_seen_at), "raised_at": format_time(alert.raised_at)}
    if captured_at is not None:
        when["captured_at"] = format_time(captured_at)
    body: dict[str, Any] = {
        "alert": alert.pk.urn,
        "event": event.pk.urn,
        "code": str(alert.code),
        "zone": event.zone_id.urn,
        "camera": event.camera_id.urn,
        "where": {"site": event.zone.site.gln},
        "when": when,
        "frame": alert.frame.commitment,
        "frames": event.frames,
        "faces": faces,
        "quality": quality.as_record(),
        "models": analysis.models(),
        "runtime": analysis.runtime(),
    }
    assert event.person is not None
    # Of a stranger this is a record without a name, by which their later entries can be found.
    body["person"] = event.person.pk.urn
    if measure is not None:
        body["face"] = dict(measure)
    if alert.lead is not None:
        body["lead"] = alert.lead.pk.urn
    return body
