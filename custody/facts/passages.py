"""A passage of a border: who, with which document, what the machine advised and what the officer decided."""

from django.utils.translation import gettext as _

from custody.directory import Directory
from custody.facts.acts import shipment
from custody.facts.confirmations import factor_name
from custody.facts.fact import Fact, Parts, Section
from custody.models import Advice, DocumentType, Exemption, PassageDirection, PassageState
from custody.narrative import Line
from custody.passage_decisions import FINDINGS
from custody.sentences.officers import passage_check
from ledger.tlog.times import parse_time


def _passage(line: Line, directory: Directory) -> Section:
    body, document = line.body, line.body["document"]
    traveller = body["traveller"]
    facts = [
        Fact(_("Outcome"), str(PassageState(body["outcome"]).label)),
        Fact(_("Traveller"), directory.person(traveller["person"]) if traveller["on_file"] else _("Not on file")),
        Fact(_("Direction"), str(PassageDirection(body["direction"]).label)),
        Fact(_("Place"), directory.place(body["where"]["read_point"])),
        Fact(_("Document"), str(DocumentType(document["type"]).label), codes=(document["issuing_state"],)),
        Fact(_("How it was checked"), passage_check(body)),
        Fact(_("Begun"), at=parse_time(body["when"]["opened_at"])),
        Fact(_("Closed"), at=parse_time(body["when"]["closed_at"])),
    ]
    if document["expired"]:
        facts.insert(5, Fact(_("Good until"), _("It had expired.")))
    if "carrier" in body:
        facts.insert(2, Fact(_("Drives for"), directory.party(body["carrier"])))
    if "goods" in body:
        facts.insert(2, shipment(line))
    if "machine" in body:
        facts.append(Fact(_("Advice of the machine"), str(Advice(body["machine"]["advice"]).label)))
        facts += [
            Fact(
                _("Because of"),
                str(FINDINGS.get(one["code"], one["code"])),
                codes=(one["reason_code"],) if "reason_code" in one else (),
            )
            for one in body["machine"]["findings"]
        ]
    if "person" in body["by"]:
        facts.append(Fact(_("Decided by"), directory.person(body["by"]["person"])))
    facts.append(Fact(_("Operated by"), directory.account(body["by"]["operator"])))
    if "second_factor" in body:
        facts.append(Fact(_("Second factor of the officer"), factor_name(body["second_factor"])))
    note = ""
    if "exempt" in body:
        facts.append(Fact(_("Exempt"), str(Exemption(body["exempt"]["reason"]).label)))
        facts.append(Fact(_("To be destroyed by"), at=parse_time(body["exempt"]["destroyed_by"])))
        note = _("Once photos, number and key are destroyed, nobody can be shown any more who this was.")
    fold = [
        Fact(_("Passage"), codes=(body["passage"],)),
        Fact(_("Traveller"), codes=(traveller["person"],)),
        Fact(_("Commitment to the document’s number"), codes=(document["number"],)),
        *(Fact(name, codes=(body[key],)) for name, key in ((_("Commitment to the note"), "note"),) if key in body),
        *(Fact(name, codes=tuple(body[key])) for name, key in ((_("Leads"), "leads"),) if key in body),
        *(
            Fact(_("Attempt %(attempt)s") % one, codes=(one["code"], *([one["probe"]] if "probe" in one else [])))
            for one in body.get("failed_captures", [])
        ),
    ]
    return Section(_("Passage of a border"), line.icon, facts, note=note, fold=fold)


PARTS: Parts = {"passage": _passage}
