"""One shipment's bundle after a real handoff: verified offline, its probe and camera disclosed to a court's expert."""

import hashlib
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from biometrics.models import PersonKey
from custody import handoffs
from custody.models import Refused
from ledger.models import Entry
from ledger.own_policy import own_policy
from ledger.sealing import seal_all
from ledger.tlog.bundle import verify_bundle
from ledger.tlog.entry import parse_entry

pytestmark = pytest.mark.django_db


def export(*arguments: object) -> None:
    call_command("export_bundle", *map(str, arguments), stdout=StringIO())


def test_a_shipment_is_exported_by_its_code_and_disclosed_piece_by_piece(dock, olga, tmp_path: Path):
    dock.accepted()
    seal_all()
    out = tmp_path / "LRD-1042.zip"
    export(out, "--shipment", "LRD-1042", "--epoch")
    found = verify_bundle(out, policy=own_policy())
    assert (found.status, found.entries, found.subject) == ("intact_unwitnessed", 1, dock.shipment.pk.urn)
    assert found.complete_up_to == Entry.objects.get(kind="index_epoch").index
    # The raw report and the reconciliation.
    assert found.attachments == 2
    content = out.read_bytes()
    assert b"Marco" not in content

    face = parse_entry(bytes(Entry.objects.get(kind="handoff").note)).body["face"]
    case = ("--as", "olga", "--reason", "Order 77/2026")
    export(out, "--shipment", "LRD-1042", "--disclose", face["probe"], "--disclose", face["camera"], *case)
    found = verify_bundle(out, policy=own_policy())
    assert found.status == "intact_unwitnessed"
    told = {one.label: one for one in found.disclosures}
    assert told.keys() == {"face.probe", "face.camera"}
    assert told["face.camera"].text == "Beto Vargas's tablet"
    assert told["face.probe"].size > 1000
    assert len(told["face.probe"].sha256) == len(hashlib.sha256().hexdigest())
    # Two entries now: the handoff, and who opened what of it.
    assert found.entries == 2

    PersonKey.objects.filter(person=dock.marco).delete()
    with pytest.raises(CommandError, match="was erased"):
        export(out, "--shipment", "LRD-1042", "--disclose", face["template"], *case)
    assert Entry.objects.filter(kind="disclosure").count() == 1


def test_what_was_written_at_a_refusal_can_be_disclosed(dock, olga, tmp_path: Path):
    handoff = dock.reconciled()
    handoffs.refuse_handoff(handoff=handoff, by=dock.beto, reason="Seal 88 is torn")
    seal_all()
    out = tmp_path / "out.zip"
    note = Refused.objects.get().note
    case = ("--as", "olga", "--reason", "Order 77/2026")
    export(out, "--shipment", "LRD-1042", "--disclose", note.commitment, *case)
    (told,) = verify_bundle(out, policy=own_policy()).disclosures
    assert (told.label, told.text) == ("note", "Seal 88 is torn")
