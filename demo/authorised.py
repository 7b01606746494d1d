"""Who may take what in the demo world: a carrier and its drivers, a badge, and one right that was withdrawn."""

import uuid
from datetime import time as time_of_day
from datetime import timedelta
from typing import Any

from django.utils import timezone

from accounts.models import User
from biometrics.models import Person
from custody.granting import Terms, grant_authorisation, record_employment, withdraw_authorisation
from custody.models import (
    Authorisation,
    Licence,
    WithdrawalReason,
)
from shipments.consignments import register_party
from shipments.models import Party, Site

TIME_ZONE = "America/Ciudad_Juarez"


def authorise_people(elena: Person, victor: Person, marco: Person, *, carrier_gln: str, by: User) -> None:
    """
    Say who may take what: the carrier's drivers anything, its own permit permitting; Víctor anything by his badge.

    Marco's first authorisation named the wrong commodity: it was withdrawn, and stays on file.
    """
    carrier = register_party(name="Transportes Paso del Norte S.A. de C.V.", gln=carrier_gln)
    in_a_year = timezone.now().date() + timedelta(days=365)
    mistaken = _grant(marco, by, hs=["8708"], time_zone=TIME_ZONE)
    withdraw_authorisation(authorisation=mistaken, reason=WithdrawalReason.MISTAKE, by=by)
    _grant(carrier, by, time_zone=TIME_ZONE, licence=Licence.CARRIER, licence_until=in_a_year)
    _grant(
        victor,
        by,
        time_zone=TIME_ZONE,
        licence=Licence.BADGE,
        licence_until=in_a_year,
        licence_number="B-20417",
    )
    _grant(
        elena,
        by,
        hs=["8544", "9018"],
        sites=[Site.objects.get(code="JRZ")],
        consignee=Party.objects.get(name="Franklin Imports LLC"),
        days=range(5),
        opens_at=time_of_day(6),
        closes_at=time_of_day(22),
        time_zone=TIME_ZONE,
        licence=Licence.DRIVING,
        licence_until=in_a_year,
    )
    for driver in (elena, marco):
        record_employment(person=driver, employer=carrier, by=by, attempt=uuid.uuid4())


def _grant(to: Person | Party, by: User, **allowed: Any) -> Authorisation:
    return grant_authorisation(to=to, allowed=Terms(**allowed), by=by, attempt=uuid.uuid4())
