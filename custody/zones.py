"""
Restricted zones and their cameras: who may be there, when, and which camera's frames are believed.

A camera is known by its token alone. The group says who; the hours, in the zone's own time, say when.
"""

import hashlib
import secrets
import uuid
from collections.abc import Collection
from datetime import time
from typing import Any

from django.db import IntegrityError, transaction
from django.utils.translation import gettext_lazy as _

from accounts.models import User
from biometrics.models import AuthorisedGroup
from custody.hours import as_bits, hours_problem
from custody.models import Camera, Zone
from refusals import Refusal
from shipments.models import Site

MAX_NAME = 80
MOST_FRAMES_BEFORE_ALERT = 10


class ZoneRefused(Refusal):
    code = "zone_refused"
    message = _("%(name)s was not saved: %(problem)s")
    status = 422


class ZoneExists(Refusal):
    code = "zone_exists"
    message = _("%(name)s was not saved: another one has this name. Choose another.")


def create_zone(
    *,
    site: Site,
    name: str,
    group: AuthorisedGroup,
    made_by: User,
    days: Collection[int] = range(7),
    opens_at: time | None = None,
    closes_at: time | None = None,
    time_zone: str = "UTC",
    alert_after: int = 1,
) -> Zone:
    """
    Put a zone under watch.

    :param days: days of the week on which it may be entered, Monday 0
    :param opens_at: wall time in ``time_zone``; with ``closes_at`` or not at all
    :param alert_after: in how many frames somebody is seen before an alert is raised
    :raises ZoneRefused, ZoneExists:
    """
    zone = Zone(site=site, made_by=made_by)
    return _save(zone, name, group, days, opens_at, closes_at, time_zone, alert_after)


def change_zone(
    *,
    zone: Zone,
    name: str,
    group: AuthorisedGroup,
    days: Collection[int] = range(7),
    opens_at: time | None = None,
    closes_at: time | None = None,
    time_zone: str = "UTC",
    alert_after: int = 1,
) -> Zone:
    """Change who may be there and when, from now on; what was seen before stays judged by what held then."""
    return _save(zone, name, group, days, opens_at, closes_at, time_zone, alert_after)


def add_camera(*, zone: Zone, name: str, added_by: User) -> tuple[Camera, str]:
    """
    Put a camera on file and return it with its token, which cannot be shown again.

    :raises ZoneRefused, ZoneExists:
    """
    name, token = _named(name), secrets.token_urlsafe(30)
    try:
        with transaction.atomic():
            camera = Camera.objects.create(zone=zone, name=name, token_sha256=_digest(token), added_by=added_by)
    except IntegrityError as error:
        raise ZoneExists(name=name) from error
    return camera, token


def renew_camera_token(*, camera: Camera) -> str:
    """Give the camera another token and return it; the one before opens nothing from now on."""
    token = secrets.token_urlsafe(30)
    Camera.objects.filter(pk=camera.pk).update(token_sha256=_digest(token))
    return token


def switch_camera(*, camera: Camera, enabled: bool) -> None:
    """Believe the camera's frames, or turn them away."""
    Camera.objects.filter(pk=camera.pk).update(enabled=enabled)


def find_camera(*, camera_id: uuid.UUID, token: str) -> Camera | None:
    """Return the enabled camera behind the token; None where the token is another's, old, or the camera is off."""
    camera = (
        Camera.objects.select_related("zone__site", "zone__group", "added_by")
        .filter(pk=camera_id, enabled=True, zone__enabled=True)
        .first()
    )
    expected = camera.token_sha256 if camera else ""
    return camera if secrets.compare_digest(expected, _digest(token)) else None


def _digest(token: str) -> str:
    # 240 random bits need no slow hash.
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def _save(
    zone: Zone,
    name: str,
    group: AuthorisedGroup,
    days: Collection[int],
    opens_at: time | None,
    closes_at: time | None,
    time_zone: str,
    alert_after: int,
) -> Zone:
    zone.name, zone.group = _named(name), group
    zone.days = as_bits(days)
    zone.opens_at, zone.closes_at = opens_at, closes_at
    zone.time_zone, zone.alert_after = time_zone, alert_after
    problem = _problem(zone)
    if problem:
        raise ZoneRefused(name=zone.name, problem=problem)
    try:
        with transaction.atomic():
            zone.save()
    except IntegrityError as error:
        raise ZoneExists(name=zone.name) from error
    return zone


def _problem(zone: Zone) -> Any:
    if problem := hours_problem(zone):
        return problem
    if not 1 <= zone.alert_after <= MOST_FRAMES_BEFORE_ALERT:
        return _("an alert is raised after 1 to 10 frames.")
    return ""


def _named(text: str) -> str:
    folded = " ".join(text.split())
    if not folded or len(folded) > MAX_NAME or not folded.isprintable():
        problem = _("a name has 1 to %(limit)s characters that can be printed.") % {"limit": MAX_NAME}
        raise ZoneRefused(name=folded[:MAX_NAME] or _("The name"), problem=problem)
    return folded
