"""
The demo world: two sites, three enrolled persons, three declared shipments, and sealed handoffs with real faces.

Everything goes through the services that the pages and the API call; no row and no entry is written by hand.
"""

import secrets
import time
import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from django.core.management import CommandError
from django.utils import timezone

from accounts.models import User
from accounts.roles import Role
from biometrics.consent import ConsentGiven
from biometrics.directory import open_names
from biometrics.enrolment import enrol_person
from biometrics.errors import PinTooWeak
from biometrics.models import CaptureSource, Person, PersonKind
from biometrics.people import register_person
from biometrics.second_factor import set_pin
from biometrics.verification import Still
from custody import handoffs, receiver_face
from custody.approvals import approve, shown
from custody.authorisations import UnauthorisedCustodian
from custody.countersigning import release_custody
from custody.declaring import draft_amendment, draft_declaration, submit_draft, verify_author
from custody.errors import FaceNotMatched
from custody.models import (
    ApprovalReason,
    DeclarationDraft,
    Handoff,
    Purpose,
)
from demo.authorised import authorise_people
from demo.crossing import LUCIA, make_passages, register_officer
from demo.desk import leave_discrepancies
from demo.portraits import portrait
from ledger.models import Entry
from shipments.actors import Actor
from shipments.consignments import ManifestLine, Unit, create_consignment, register_party
from shipments.epc import check_digit, sgtin_to_epc_hex
from shipments.ingest import record_report
from shipments.intake import PartyNamed
from shipments.models import Consignment, DeclarationVersion, Direction, Party, Reader, ReadPoint
from shipments.places import create_read_point, create_reader, create_site
from shipments.simulation import plan_sightings, report_body

ELENA, VICTOR, MARCO = "Elena Cortés", "Víctor Salas", "Marco Ruiz"
PREFIX = "0614141"  # the GS1 company prefix of the Tag Data Standard's own examples


@dataclass(frozen=True)
class Login:
    """An account of the demo; the password is random and told once."""

    username: str
    password: str
    does: str


@dataclass(frozen=True)
class NewPin:
    """A person of the demo and the PIN that is told once."""

    name: str
    pin: str


@dataclass(frozen=True)
class Custodian(NewPin):
    """An enrolled person of the demo, with the photos that stand for the live face."""

    person: Person
    live: bytes
    again: Sequence[bytes] = ()


@dataclass(frozen=True)
class World:
    logins: Sequence[Login]
    custodians: Sequence[Custodian]
    officer: NewPin


def database_is_empty() -> bool:
    """Tell whether nobody and nothing is in the database that a demo world could get mixed up with."""
    return not (User.objects.exists() or Person.objects.exists() or Entry.objects.exists())


def require_empty_database() -> None:
    """:raises CommandError: where the database holds accounts, people or entries"""
    if not database_is_empty():
        raise CommandError(
            "This database holds accounts, people or entries that are not the demo's. Nothing was changed. "
            "Name an empty folder in CUSTODY_VAR (or an empty database in DATABASE_URL) for the demo."
        )


def make_world(photos: Path) -> World:
    """
    Make the whole world from an empty database. ``photos`` is the folder that ``demo.photos`` filled.

    :raises CommandError: where the database holds accounts, people or entries already; it stays as it is
    """
    require_empty_database()
    logins = make_logins()
    supervisor = User.objects.get(username="supervisor")
    operator = User.objects.get(username="operator")
    juarez, el_paso = _make_places()
    elena, victor, marco = custodians = _enrol(photos, supervisor)
    _untouched, second, third = _make_shipments()
    _declare(victor, account=User.objects.get(username="representative"))

    # Nobody has authorised anybody yet: the refusal is an entry, too.
    with suppress(UnauthorisedCustodian):
        hand_over(third, to=marco, at=juarez, by=operator)
    authorise_people(elena.person, victor.person, marco.person, carrier_gln=_gln(5), by=supervisor)

    officer = NewPin(LUCIA, _give_pin(register_officer(by=supervisor)))
    hand_over(second, to=elena, at=juarez, by=operator)
    # One carton is not there any more: two readings do not see it, and officers have something to trace.
    hand_over(second, to=victor, at=el_paso, by=operator, given_by=elena, gone=1, accepted_by=officer)
    # Somebody else stands before the camera first: the refusal is an entry too.
    hand_over(third, to=marco, at=juarez, by=operator, impostor=victor.live)
    gate = ReadPoint.objects.get(site__code="JRZ", name="Gate")
    make_passages(photos, gate=gate, goods=third, driver=marco.person, pin=officer.pin, by=supervisor)
    leave_discrepancies(third, seen_by=Actor(account=operator, person=victor.person.pk))
    return World(logins, custodians, officer)


def make_logins() -> list[Login]:
    """Make or re-key the demo's accounts, each with a new random password."""
    logins = []
    for role, does in (
        (Role.OPERATOR, "hands shipments over at the dock"),
        (Role.SUPERVISOR, "registers and enrols people, adds shipments and readers"),
        (Role.AUDITOR, "reads the ledger and verifies it"),
        (Role.OFFICER, "checks travellers at the crossing as Lucía Herrera, sees refused handoffs"),
        (Role.REPRESENTATIVE, "declares shipments to customs, as Víctor Salas"),
        (Role.ADMINISTRATOR, "keeps accounts (/admin/), people and places"),
    ):
        password = secrets.token_urlsafe(9)
        user, _ = User.objects.get_or_create(username=role.value, defaults={"role": role})
        # The Django admin asks for both flags; no other account has them.
        user.is_staff = user.is_superuser = role == Role.ADMINISTRATOR
        user.set_password(password)
        user.save()
        logins.append(Login(user.username, password, does))
    return logins


def renew_pins() -> list[NewPin]:
    """Give the demo's people new PINs. Found by name: of two with one name, the first on file is the demo's."""
    people = list(Person.objects.order_by("registered_at"))
    names = open_names(people)
    renewed = []
    for name in (ELENA, VICTOR, MARCO, LUCIA):
        person = next((person for person in people if names.get(person.pk) == name), None)
        if person is not None:
            renewed.append(NewPin(name, _give_pin(person)))
    return renewed


def _give_pin(person: Person) -> str:
    while True:
        pin = f"{7 + secrets.randbelow(3)}{secrets.randbelow(10**5):05d}"
        try:
            set_pin(person=person, pin=pin)
        except PinTooWeak:  # one of the few that are all the same or in a row
            continue
        return pin


def _make_places() -> tuple[Reader, Reader]:
    readers = []
    for code, name, digits in (
        ("JRZ", "Ciudad Juárez yard", f"{PREFIX}00001"),
        ("ELP", "El Paso warehouse", f"{PREFIX}00002"),
    ):
        site = create_site(code=code, name=name, gln=digits + check_digit(digits))
        dock = create_read_point(site=site, name="Dock 1", direction=Direction.IN, extension="1")
        create_read_point(site=site, name="Gate", direction=Direction.OUT, extension="2")
        readers.append(create_reader(read_point=dock, name=f"{code.lower()}-dock-1", dialect="impinj"))
    return readers[0], readers[1]


def _enrol(photos: Path, by: User) -> list[Custodian]:
    """Enrol three persons. Their names are made up; the portraits are credited in docs/demo.md."""
    custodians = []
    for name, kind, face in (
        (ELENA, PersonKind.DRIVER, "collins"),
        (VICTOR, PersonKind.WAREHOUSE, "biden"),
        (MARCO, PersonKind.DRIVER, "obama"),
    ):
        shown = portrait(face, photos)
        # Víctor declares as well, with an account that is his own.
        account = User.objects.get(username="representative") if name == VICTOR else None
        person = register_person(
            name=name, kind=kind, registered_by=by, consent=ConsentGiven(language="es"), user=account
        )
        enrol_person(person=person, photos=shown.captures, document=shown.document, enrolled_by=by)
        custodians.append(Custodian(name, _give_pin(person), person, shown.live, shown.again))
    return custodians


def _make_shipments() -> list[Consignment]:
    maquila = register_party(name="Maquiladora del Bravo S.A. de C.V.", gln=_gln(3))
    importer = register_party(name="Franklin Imports LLC", gln=_gln(4))
    goods = (
        ("LRD-1042", "Wiring harnesses", 9, 412_000),
        ("LRD-1043", "Infusion pumps", 6, 96_500),
        ("LRD-1044", "Printed circuit boards", 4, 58_200),
    )
    return [
        make_shipment(number, reference, description, items, grams, maquila, importer)
        for number, (reference, description, items, grams) in enumerate(goods, start=1)
    ]


def make_shipment(
    number: int, reference: str, description: str, items: int, grams: int, consignor: Party, consignee: Party
) -> Consignment:
    sscc = f"1{PREFIX}{number:09d}"
    sscc += check_digit(sscc)
    gtin = f"1{PREFIX}{80000 + number}"
    gtin += check_digit(gtin)
    return create_consignment(
        reference=reference,
        consignor=consignor,
        consignee=consignee,
        description=description,
        ucr=f"6MX{PREFIX}{reference.replace('-', '')}",
        declared_gross_mass_g=grams,
        units=[Unit(sscc=sscc, company_prefix_length=len(PREFIX))],
        manifest=[
            ManifestLine(
                epc=sgtin_to_epc_hex(gtin, 1000 * number + item, len(PREFIX)),
                description=f"{description}, carton {item}",
                unit=sscc,
            )
            for item in range(1, items + 1)
        ],
    )


def _declare(author: Custodian, *, account: User) -> None:
    """Declare each shipment for export, and amend one: the commodity code of the boards was another one."""
    shown = iter(author.again)
    for consignment, hs, description, value in zip(
        Consignment.objects.order_by("reference"),
        ("8544300000", "9018900000", "8534000000"),
        ("Wiring harnesses for cars", "Infusion pumps", "Printed circuit boards"),
        (1_854_000, 4_212_000, 977_550),
        strict=True,
    ):
        parties = {
            role: PartyNamed(party.name, party.gln)
            for role, party in (
                ("declarant", consignment.consignor),
                ("exporter", consignment.consignor),
                ("importer", consignment.consignee),
            )
        }
        item = {
            "hs": hs,
            "description": description,
            "packages": consignment.manifest.count(),
            "package_kind": "CT",
            "gross_g": consignment.declared_gross_mass_g,
            "value_minor": value,
            "currency": "USD",
            "origin": "MX",
        }
        told = {"kind": "export", "lrn": f"JRZ-{consignment.reference}", "items": [item]}
        draft = draft_declaration(
            consignment=consignment,
            told=told,
            parties=parties,
            person=author.person.pk,
            by=account,
            attempt=uuid.uuid4(),
        )
        version = _submit(draft, author, next(shown), account)
    amendment = draft_amendment(
        declaration=version.declaration,
        told={**told, "items": [item | {"hs": "8537100000", "description": "Populated circuit boards"}]},
        parties=parties,
        person=author.person.pk,
        by=account,
        attempt=uuid.uuid4(),
    )
    _submit(amendment, author, next(shown), account)


def _submit(draft: DeclarationDraft, author: Custodian, photo: bytes, account: User) -> DeclarationVersion:
    """Show the author's face for what was prepared, and give their PIN."""
    verify_author(draft=draft, capture=Still(photo, timezone.now()), source=CaptureSource.UPLOAD, by=account)
    return submit_draft(draft=draft, by=account, pin=author.pin)


def hand_over(
    consignment: Consignment,
    *,
    to: Custodian,
    at: Reader,
    by: User,
    given_by: Custodian | None = None,
    impostor: bytes | None = None,
    gone: int = 0,
    accepted_by: NewPin | None = None,
) -> Handoff:
    """
    One handoff from the scan to the entry, with the reads that the dock's reader would post.

    :param gone: so many of the shipment's tags are not there, and are looked for a second time
    :param accepted_by: the officer who accepts what does not fit
    """
    handoff = handoffs.open_handoff(
        shipment=consignment.units.get().sscc,
        receiver=to.person,
        read_point=at.read_point,
        opened_by=by,
        attempt=uuid.uuid4(),
    )
    read(consignment, at, gone=gone)
    handoff = handoffs.reconcile_handoff(handoff=handoff, by=by)
    if gone:
        handoff = handoffs.read_again(handoff=handoff, by=by)
        read(consignment, at, gone=gone)
        handoff = handoffs.reconcile_handoff(handoff=handoff, by=by)
    if accepted_by is not None:
        _accept_exceptions(handoff, accepted_by)
    if given_by is not None:
        release_custody(handoff=handoff, pin=given_by.pin)
    if impostor is not None:
        try:
            _show_face(handoff, impostor, by)
        except FaceNotMatched:
            pass
        else:
            raise AssertionError("the impostor's face matched")
    _show_face(handoff, to.live, by)
    return handoffs.accept_handoff(handoff=handoff, by=by, pin=to.pin)


def _accept_exceptions(handoff: Handoff, officer: NewPin) -> None:
    approve(
        handoff=handoff,
        purpose=Purpose.EXCEPTIONS,
        reason=ApprovalReason.SHORTAGE,
        by=User.objects.get(username="officer"),
        seen=shown(handoff),
        pin=officer.pin,
    )


def read(consignment: Consignment, reader: Reader, *, gone: int = 0) -> None:
    """Post what ``reader`` sees of the shipment's tags, in its own dialect, through the real ingest."""
    tags = list(consignment.manifest.values_list("epc_hex", flat=True))
    tags = tags[: len(tags) - gone]
    spacing_ns = 10_000_000
    sightings = plan_sightings(tags, miss=0, stray=0, seed=1)
    body = report_body(
        "impinj", sightings, first_ns=time.time_ns() - len(sightings) * spacing_ns, spacing_ns=spacing_ns
    )
    record_report(reader=reader, body=body, content_type="application/json", received_at=timezone.now())


def _show_face(handoff: Handoff, photo: bytes, by: User) -> None:
    receiver_face.verify_receiver(
        handoff=handoff, capture=Still(photo, timezone.now()), source=CaptureSource.UPLOAD, by=by
    )


def _gln(number: int) -> str:
    digits = f"{PREFIX}{number:05d}"
    return digits + check_digit(digits)
