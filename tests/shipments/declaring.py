"""A declaration to submit, and somebody who submits it."""

import uuid
from typing import Any

from accounts.models import User
from shipments.actors import Actor
from shipments.declarations import submit_declaration
from shipments.intake import PartyNamed
from shipments.models import Consignment, DeclarationVersion

PERSON = uuid.UUID("7b1c8f2e-6f0a-4f3e-9d8e-0c3b5a1d2e4f")
PARTIES = {"declarant": PartyNamed("Acme Maquila", "0614141123452"), "importer": PartyNamed("Laredo Imports")}


def item(**changes: Any) -> dict[str, Any]:
    return {
        "hs": "8544.30",
        "description": "Wiring harnesses",
        "packages": 9,
        "package_kind": "CT",
        "gross_g": 412_000,
        "net_g": 400_500,
        "value_minor": 1_854_000,
        "currency": "USD",
        "origin": "MX",
        "procedure": "1000",
    } | changes


def told(**changes: Any) -> dict[str, Any]:
    return {"kind": "export", "lrn": "jrz-118", "items": [item()]} | changes


def submit(consignment: Consignment, account: User, **changes: Any) -> DeclarationVersion:
    asked = {
        "consignment": consignment,
        "told": told(),
        "parties": PARTIES,
        "by": Actor(account=account, person=PERSON),
        "attempt": uuid.uuid4(),
    }
    return submit_declaration(**asked | changes)
