"""A small world: two sites, a dock door each, a reader each, and two shipments on their way."""

import base64
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from django.test import Client

from accounts.models import User
from shipments import reader_alerts, reader_limits
from shipments.consignments import ManifestLine, Unit, create_consignment, register_party
from shipments.epc import check_digit, sgtin_to_epc_hex
from shipments.ingest import ReportReceipt, record_report
from shipments.models import Consignment, Reader, ReadPoint
from shipments.places import create_read_point, create_reader, create_site
from shipments.reader_credentials import issue_credential

GTIN = "80614141123458"
SSCC = "106141412345678908"


@pytest.fixture(autouse=True)
def own_memory() -> None:
    """What a process counts and measures of readers in its memory begins anew with each test."""
    reader_alerts.forget_all()
    reader_limits.forget_all()


def item_epc(serial: int) -> str:
    return sgtin_to_epc_hex(GTIN, serial, 7)


def gln(body: str) -> str:
    return body + check_digit(body)


@pytest.fixture
def operator(db: None) -> User:
    return User.objects.create_user("beto", role="operator")


@pytest.fixture
def door(db: None) -> ReadPoint:
    site = create_site(code="LRD", name="Laredo yard", gln="0614141123452")
    return create_read_point(site=site, name="Dock 1", direction="out", extension="dock1")


@pytest.fixture
def other_door(door: ReadPoint) -> ReadPoint:
    site = create_site(code="NLD", name="Nuevo Laredo bridge", gln=gln("061414154321"))
    return create_read_point(site=site, name="Lane 4", direction="in", extension="4")


@pytest.fixture
def reader(door: ReadPoint) -> Reader:
    return create_reader(read_point=door, name="impinj-14-2f-f4")


@pytest.fixture
def other_reader(other_door: ReadPoint) -> Reader:
    return create_reader(read_point=other_door, name="zebra-lane-4")


@pytest.fixture
def shipment(db: None) -> Consignment:
    return create_consignment(
        reference="LRD-1042",
        ucr="6US0614141LRD1042",
        consignor=register_party(name="Acme Maquila", gln="0614141123452"),
        consignee=register_party(name="Laredo Imports"),
        description="Automotive harnesses",
        manifest=[ManifestLine(epc=item_epc(serial), description=f"Box {serial}") for serial in range(1, 6)],
        units=[Unit(sscc=SSCC, company_prefix_length=7)],
    )


@pytest.fixture
def receive(reader: Reader) -> Callable[..., ReportReceipt]:
    """Store a report as if it had just been posted."""

    def post(body: bytes, *, by: Reader = reader, at: datetime | None = None) -> ReportReceipt:
        return record_report(
            reader=by, body=body, content_type="application/json", received_at=at or datetime.now(tz=UTC)
        )

    return post


class PostingReader:
    """A reader with a credential in front of the product's own address."""

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        self.username, self.password = issue_credential(reader=reader)
        self.client = Client()

    @property
    def address(self) -> str:
        return f"/api/v1/readers/{self.reader.pk}/events"

    def authorization(self, username: str | None = None, password: str | None = None) -> str:
        pair = f"{self.username if username is None else username}:{self.password if password is None else password}"
        return "Basic " + base64.b64encode(pair.encode()).decode()

    def post(self, body: bytes, *, authorization: str | None = None, address: str = "", **headers: str) -> Any:
        told = self.authorization() if authorization is None else authorization
        if told:
            headers["Authorization"] = told
        return self.client.post(
            address or self.address, data=body, content_type="application/json", headers=headers or None
        )


@pytest.fixture
def posting(reader: Reader) -> PostingReader:
    return PostingReader(reader)
