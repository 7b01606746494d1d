"""A dock with a reader, two enrolled persons with real faces, and two shipments: made through the real services."""

import time
import uuid
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import User
from accounts.roles import Role
from biometrics.consent import ConsentGiven
from biometrics.enrolment import enrol_person
from biometrics.models import CaptureSource, Person, PersonKind
from biometrics.people import register_person
from biometrics.second_factor import set_pin
from biometrics.verification import Still
from custody import handoffs, receiver_face
from custody.approvals import approve, shown
from custody.countersigning import release_custody
from custody.granting import Terms, grant_authorisation
from custody.handoff_exceptions import exceptions_for_officer
from custody.models import Approval, Authorisation, Handoff
from demo.portraits import Portrait, portrait
from demo.reframing import reframe
from shipments.consignments import ManifestLine, Unit, create_consignment, register_party
from shipments.epc import check_digit, sgtin_to_epc_hex
from shipments.ingest import record_report
from shipments.models import Consignment, Party, Reader
from shipments.places import create_read_point, create_reader, create_site
from shipments.simulation import Sighting, report_body

PREFIX = "0614141"
PIN = "804215"


@cache
def _takes(name: str, photos: Path) -> list[bytes]:
    """The live pictures of a person, no two of them near enough to be one picture sent twice."""
    live = portrait(name, photos).live
    if name == "obama":
        first, second = ((photos / file).read_bytes() for file in ("obama.jpg", "obama2.jpg"))
        return [
            live,
            reframe(first, squeeze=1.3),
            reframe(first, squeeze=0.75),
            reframe(second, squeeze=1.3),
            reframe(second, squeeze=0.75),
            reframe(first, lean=0.2, sharpen=200),
            reframe(first, brightness=0.6, sharpen=500),
        ]
    only = (photos / "astronaut.png").read_bytes()
    return [
        live,
        reframe(only, scale=2.6, sharpen=300, lean=-0.12),
        reframe(only, scale=2.6, sharpen=500, degrees=8, squeeze=1.1),
        reframe(only, scale=2.6, sharpen=300, squeeze=0.8),
        reframe(only, scale=2.6, sharpen=500, brightness=0.7),
        reframe(only, scale=2.6, sharpen=300, lean=0.15, squeeze=0.9),
    ]


@dataclass
class Dock:
    """Dock 1, Beto who works there, Marco and Elena whom Rosa authorised to take anything, Sofía the officer."""

    reader: Reader
    beto: User
    marco: Person
    elena: Person
    sofia: User
    officer: Person
    photos: Path
    shipment: Consignment
    other: Consignment
    rosa: User
    marcos_right: Authorisation
    elenas_right: Authorisation
    marco_shown: int = 0
    elena_shown: int = 0

    def photo(self, name: str) -> bytes:
        return (self.photos / name).read_bytes()

    @property
    def marcos_face(self) -> bytes:
        """Another picture each time: the same one twice is a resubmission."""
        self.marco_shown += 1
        return _takes("obama", self.photos)[self.marco_shown - 1]

    @property
    def elenas_face(self) -> bytes:
        self.elena_shown += 1
        return _takes("collins", self.photos)[self.elena_shown - 1]

    def tags(self, consignment: Consignment | None = None) -> list[str]:
        return list((consignment or self.shipment).manifest.values_list("epc_hex", flat=True))

    def read(self, *epcs: str, ago: timedelta = timedelta(0)) -> None:
        """Let the dock's reader post these tags."""
        sightings = [Sighting(epc, antenna=1, rssi_cdbm=-5500) for epc in epcs]
        body = report_body(
            "impinj", sightings, first_ns=time.time_ns() - int(ago.total_seconds()) * 10**9, spacing_ns=10**6
        )
        record_report(reader=self.reader, body=body, content_type="application/json", received_at=timezone.now())

    def open(
        self, *, receiver: Person | None = None, shipment: str = "LRD-1042", attempt: uuid.UUID | None = None
    ) -> Handoff:
        return handoffs.open_handoff(
            shipment=shipment,
            receiver=receiver or self.marco,
            read_point=self.reader.read_point,
            opened_by=self.beto,
            attempt=attempt or uuid.uuid4(),
        )

    def reconciled(self, **opening: object) -> Handoff:
        handoff = self.open(**opening)
        self.read(*self.tags(handoff.consignment))
        return handoffs.reconcile_handoff(handoff=handoff, by=self.beto)

    def show_face(self, handoff: Handoff, photo: bytes) -> None:
        receiver_face.verify_receiver(
            handoff=handoff,
            capture=Still(photo, timezone.now()),
            source=CaptureSource.WEBCAM,
            camera="Beto Vargas's tablet",
            by=self.beto,
        )

    def release(self, handoff: Handoff) -> Handoff:
        return release_custody(handoff=handoff, pin=PIN)

    def approve(self, handoff: Handoff, purpose: str, reason: str, **told: str) -> Approval:
        """Sofía looks at the handoff as it is now, and approves it by her PIN."""
        seen = shown(Handoff.objects.select_related("consignment").get(pk=handoff.pk))
        return approve(handoff=handoff, purpose=purpose, reason=reason, by=self.sofia, seen=seen, pin=PIN, **told)

    def countersign(self, handoff: Handoff) -> None:
        """What stands before the receiver's face: the officer for what does not fit, and who hands over."""
        handoff = Handoff.objects.select_related("consignment").get(pk=handoff.pk)
        if exceptions_for_officer(handoff):
            self.approve(handoff, "exceptions", "shortage")
        if handoff.from_person_id is not None:
            self.release(handoff)

    def accepted(self, *, receiver: Person | None = None, **opening: object) -> Handoff:
        receiver = receiver or self.marco
        handoff = self.reconciled(receiver=receiver, **opening)
        self.countersign(handoff)
        self.show_face(handoff, self.marcos_face if receiver == self.marco else self.elenas_face)
        return handoffs.accept_handoff(handoff=handoff, by=self.beto, pin=PIN)


def authorise(to: Person | Party, *, by: User, **allowed: Any) -> Authorisation:
    """Grant what is named; what is not named is not limited."""
    return grant_authorisation(to=to, allowed=Terms(**allowed), by=by, attempt=uuid.uuid4())


def _enrolled(name: str, shown: Portrait, by: User) -> Person:
    person = register_person(name=name, kind=PersonKind.DRIVER, registered_by=by, consent=ConsentGiven(language="en"))
    enrol_person(person=person, photos=shown.captures, document=shown.document, enrolled_by=by)
    set_pin(person=person, pin=PIN)
    return person


def shipment_of(reference: str, number: int, items: int) -> Consignment:
    sscc = f"1{PREFIX}{number:09d}"
    gtin = f"1{PREFIX}{80000 + number}"
    gtin += check_digit(gtin)
    return create_consignment(
        reference=reference,
        consignor=register_party(name=f"Consignor of {reference}"),
        consignee=register_party(name=f"Consignee of {reference}"),
        description="Wiring harnesses",
        units=[Unit(sscc=sscc + check_digit(sscc), company_prefix_length=len(PREFIX))],
        manifest=[
            ManifestLine(epc=sgtin_to_epc_hex(gtin, number * 100 + item, len(PREFIX)), description=f"Carton {item}")
            for item in range(1, items + 1)
        ],
    )


@pytest.fixture
def rosa(db) -> User:
    """Rosa supervises the dock, and says who may take what."""
    return User.objects.create_user("rosa", password="rosa's password", role=Role.SUPERVISOR)


@pytest.fixture
def dock(beto: User, rosa: User, photos: Path, settings, tmp_path: Path) -> Dock:
    site = create_site(code="JRZ", name="Ciudad Juárez yard", gln="0614141000012")
    read_point = create_read_point(site=site, name="Dock 1", direction="in", extension="1")
    marco = _enrolled("Marco Ruiz", portrait("obama", photos), beto)
    elena = _enrolled("Elena Cortés", portrait("collins", photos), beto)
    sofia = User.objects.create_user("luna", role=Role.OFFICER)
    officer = register_person(
        name="Sofía Luna", kind=PersonKind.OFFICER, registered_by=beto, consent=ConsentGiven(language="en"), user=sofia
    )
    set_pin(person=officer, pin=PIN)
    return Dock(
        reader=create_reader(read_point=read_point, name="jrz-dock-1"),
        beto=beto,
        marco=marco,
        elena=elena,
        sofia=sofia,
        officer=officer,
        photos=photos,
        shipment=shipment_of("LRD-1042", 1, 3),
        other=shipment_of("LRD-1043", 2, 2),
        rosa=rosa,
        marcos_right=authorise(marco, by=rosa),
        elenas_right=authorise(elena, by=rosa),
    )
