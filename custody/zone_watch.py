"""
A camera's frame, as it arrives: whose faces are in it, whose stay they continue, and whether an alert is due.

The faces are compared before the transaction opens; the zone's row is locked only while stays are continued, so that
two frames at once cannot begin the same stay twice.
"""

import threading
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.utils.translation import gettext_lazy as _

from biometrics.engine.photo import Photo, decode_photo
from biometrics.models import Person
from biometrics.passers_by import (
    PasserBy,
    Recognised,
    Standing,
    keep_descriptor,
    keep_stranger,
    look_for_faces,
    recognise,
    resembles_watchlisted,
    same_face,
)
from custody.hours import within_hours
from custody.models import Camera, CameraCoverage, Zone, ZoneAlert, ZoneEvent
from custody.zone_alerts import raise_alert
from refusals import Refusal

Outcome = ZoneEvent.Outcome

# A face that stays unclear for so many frames is somebody who does not want to be known, or a camera hung wrongly.
UNCLEAR_FRAMES = 3
_ALERT_OF = {
    Outcome.STRANGER: ZoneAlert.Code.STRANGER,
    Outcome.UNAUTHORISED: ZoneAlert.Code.UNAUTHORISED,
    Outcome.OUTSIDE_HOURS: ZoneAlert.Code.OUTSIDE_HOURS,
    Outcome.UNCLEAR: ZoneAlert.Code.UNCLEAR,
}


class CameraBusy(Refusal):
    code = "camera_busy"
    message = _("The frame before is still being looked at. This one was left out; send the next.")
    status = 429


@dataclass(frozen=True, eq=False)
class Seen:
    """One face of a frame, judged: what it makes of whoever's stay it belongs to."""

    face: PasserBy
    outcome: ZoneEvent.Outcome
    recognised: Recognised
    watchlisted: bool = False


@dataclass(frozen=True)
class Watched:
    """What became of a frame: the stays that it showed, and the alerts that it raised."""

    events: Sequence[ZoneEvent]
    alerts: Sequence[ZoneAlert]


def watch_frame(*, camera: Camera, data: bytes, received_at: datetime, captured_at: datetime | None = None) -> Watched:
    """
    Judge one frame of ``camera``, and raise the alerts that it gives reason for.

    :param data: the encoded picture: JPEG, PNG or WebP
    :param captured_at: when the camera says it was taken; stays run by our own clock
    :raises CameraBusy: while this process still looks at the frame before: a camera never gets ahead of its zone
    :raises PhotoRefused, GroupTooLarge: and then nothing of the frame is kept
    """
    with _one_frame_at_a_time(camera):
        photo = decode_photo(data)
        seen = [_judge(camera.zone, face, received_at) for face in look_for_faces(photo)]
        with transaction.atomic():
            zone = Zone.objects.select_for_update(of=("self",)).select_related("site", "group").get(pk=camera.zone_id)
            _cover(camera, received_at)
            events, alerts = [], []
            for one in seen:
                event = _continue(zone, camera, one, received_at) or _begin(zone, camera, one, received_at)
                events.append(event)
                alerts += _alert(event, one, photo, received_at, captured_at, faces=len(seen))
    return Watched(events, alerts)


def _judge(zone: Zone, face: PasserBy, moment: datetime) -> Seen:
    if face.descriptor is None:
        return Seen(face, Outcome.UNCLEAR, Recognised(Standing.NEAR))
    recognised = recognise(descriptor=face.descriptor, group=zone.group)
    outcomes = {
        Standing.MEMBER: Outcome.AUTHORISED if within_hours(zone, moment) else Outcome.OUTSIDE_HOURS,
        Standing.ENROLLED: Outcome.UNAUTHORISED,
        Standing.NEAR: Outcome.UNCLEAR,
        Standing.UNKNOWN: Outcome.STRANGER,
    }
    return Seen(face, outcomes[recognised.standing], recognised, resembles_watchlisted(face.descriptor))


def _cover(camera: Camera, moment: datetime) -> None:
    """Lengthen the span in which this camera's frames arrive, or begin another one."""
    Camera.objects.filter(pk=camera.pk).update(last_frame_at=moment)
    newest = CameraCoverage.objects.filter(camera=camera).order_by("-until").first()
    if newest is not None and moment - newest.until <= timedelta(seconds=settings.ZONE_COVERAGE_GAP):
        CameraCoverage.objects.filter(pk=newest.pk).update(until=max(moment, newest.until), frames=F("frames") + 1)
    else:
        CameraCoverage.objects.create(camera=camera, since=moment, until=moment)


def _continue(zone: Zone, camera: Camera, seen: Seen, moment: datetime) -> ZoneEvent | None:
    """Find the stay that this face belongs to, and lengthen it; None where one begins."""
    recent = ZoneEvent.objects.select_related("person", "descriptor").filter(
        zone=zone,
        outcome=seen.outcome,
        last_seen_at__gte=moment - timedelta(seconds=settings.ZONE_EVENT_GAP),
    )
    event: ZoneEvent | None
    if seen.recognised.person is not None:
        event = recent.filter(person=seen.recognised.person).first()
    elif seen.outcome == Outcome.STRANGER:
        event = _nearest(list(recent), seen)
    else:
        # Nothing tells two unclear faces apart but the camera that sees them.
        event = recent.filter(camera=camera).first()
    if event is not None:
        event.frames, event.last_seen_at = event.frames + 1, max(moment, event.last_seen_at)
        event.save(update_fields=["frames", "last_seen_at"])
    return event


def _nearest(strangers: Sequence[ZoneEvent], seen: Seen) -> ZoneEvent | None:
    assert seen.face.descriptor is not None  # an unclear face is no stranger
    near = [
        (distance, place)
        for place, event in enumerate(strangers)
        if event.descriptor is not None
        and (distance := same_face(descriptor=seen.face.descriptor, stored=event.descriptor)) is not None
    ]
    return strangers[min(near)[1]] if near else None


def _begin(zone: Zone, camera: Camera, seen: Seen, moment: datetime) -> ZoneEvent:
    person: Person | None = seen.recognised.person
    descriptor = None
    if seen.outcome == Outcome.STRANGER:
        assert seen.face.descriptor is not None
        person = keep_stranger(answerable=camera.added_by)
        descriptor = keep_descriptor(person=person, descriptor=seen.face.descriptor)
    return ZoneEvent.objects.create(
        zone=zone,
        camera=camera,
        outcome=seen.outcome,
        person=person,
        descriptor=descriptor,
        first_seen_at=moment,
        last_seen_at=moment,
    )


def _alert(
    event: ZoneEvent, seen: Seen, photo: Photo, moment: datetime, captured_at: datetime | None, *, faces: int
) -> list[ZoneAlert]:
    due: list[ZoneAlert.Code] = []
    code = _ALERT_OF.get(Outcome(event.outcome))
    needed = max(event.zone.alert_after, UNCLEAR_FRAMES) if code == ZoneAlert.Code.UNCLEAR else event.zone.alert_after
    if code is not None and event.frames >= needed:
        due.append(code)
    if seen.watchlisted:
        due.append(ZoneAlert.Code.WATCHLISTED)
    if not due:
        return []
    raised = set(event.alerts.values_list("code", flat=True))
    due = [code for code in due if code not in raised]
    return raise_alert(
        event=event,
        codes=due,
        seen_quality=seen.face.quality,
        descriptor=seen.face.descriptor,
        measure=seen.recognised.measure,
        photo=photo,
        raised_at=moment,
        captured_at=captured_at,
        faces=faces,
    )


_watching: set[uuid.UUID] = set()
_watching_lock = threading.Lock()


@contextmanager
def _one_frame_at_a_time(camera: Camera) -> Iterator[None]:
    with _watching_lock:
        if camera.pk in _watching:
            raise CameraBusy
        _watching.add(camera.pk)
    try:
        yield
    finally:
        with _watching_lock:
            _watching.discard(camera.pk)
