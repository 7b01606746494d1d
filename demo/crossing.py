"""The demo's border crossing: an officer, and three travellers whom she decided on."""

import uuid
from datetime import timedelta
from pathlib import Path

from django.utils import timezone

from accounts.models import User
from biometrics.consent import ConsentGiven
from biometrics.models import CaptureSource, Person, PersonKind
from biometrics.people import register_person
from biometrics.verification import Still
from custody.crossings import open_crossing
from custody.models import Crossing, DocumentType, Exemption, PassageDirection, PassageState, WithoutFace
from custody.passage_decisions import decide_passage
from custody.passages import Presented, compare_traveller, open_passage, show_portrait
from demo.portraits import portrait
from demo.reframing import reframe
from shipments.models import Consignment, ReadPoint

LUCIA = "Lucía Herrera"


def register_officer(*, by: User) -> Person:
    """Put the officer on file, with the account that she logs in with; her PIN is what she vouches with."""
    account = User.objects.get(username="officer")
    consent = ConsentGiven(language="es")
    return register_person(name=LUCIA, kind=PersonKind.OFFICER, registered_by=by, consent=consent, user=account)


def make_passages(photos: Path, *, gate: ReadPoint, goods: Consignment, driver: Person, pin: str, by: User) -> None:
    """Let a driver pass with goods, a citizen without, and somebody who preferred not to be photographed."""
    crossing, officer = open_crossing(read_point=gate, by=by), User.objects.get(username="officer")
    shown = portrait("obama", photos)
    # Another picture than at the handoff: the same one again is refused.
    live = reframe((photos / "obama.jpg").read_bytes(), squeeze=1.3)
    _pass_by_face(crossing, officer, shown.document, live, shipment=goods.reference, person=driver)
    shown = portrait("collins", photos)
    _pass_by_face(crossing, officer, shown.document, shown.live, exemption=Exemption.OWN_CITIZEN)
    declined = open_passage(
        crossing=crossing,
        direction=PassageDirection.EXIT,
        document=_document("USA", "561048832"),
        by=officer,
        attempt=uuid.uuid4(),
        without_face=WithoutFace.DECLINED,
    )
    decide_passage(passage=declined, decision=PassageState.PASSED, by=officer, pin=pin, document_checked=True)


def _pass_by_face(
    crossing: Crossing,
    officer: User,
    document: bytes,
    live: bytes,
    *,
    shipment: str = "",
    person: Person | None = None,
    exemption: str = "",
) -> None:
    passage = open_passage(
        crossing=crossing,
        direction=PassageDirection.EXIT,
        document=_document("MEX", "G20417733"),
        by=officer,
        attempt=uuid.uuid4(),
        shipment=shipment,
        person=person,
        exemption=exemption,
    )
    show_portrait(passage=passage, photo=document, by=officer)
    capture = Still(live, timezone.now())
    compare_traveller(passage=passage, capture=capture, source=CaptureSource.UPLOAD, by=officer)
    passage.refresh_from_db()
    decide_passage(passage=passage, decision=PassageState.PASSED, by=officer)


def _document(issuing_state: str, number: str) -> Presented:
    """A passport that is good for some years; the numbers are made up."""
    expires_on = timezone.now().date() + timedelta(days=1500)
    return Presented(DocumentType.PASSPORT, issuing_state, number, expires_on)
