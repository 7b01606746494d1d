"""What was packed, and the seals."""

from django.urls import reverse
from django.utils.translation import gettext as _

from custody.directory import Directory
from custody.facts.acts import done
from custody.facts.fact import Fact, Parts, Section
from custody.narrative import Line
from custody.sentences.goods import unit_name
from shipments.models import SealClass, SealState
from shipments.seals import REASONS


def _packing(line: Line, directory: Directory) -> Section:
    children = line.body["children"]
    names = {"packed": _("Put into it"), "unpacked": _("Taken out")}
    facts = [
        Fact(_("Unit"), unit_name(line.body["unit"])),
        Fact(names[line.body["act"]], str(children["total"])),
        *done(line, directory),
    ]
    fold = [
        Fact(name, codes=tuple(codes))
        for name, codes in ((_("Units"), children["units"]), (_("Tags"), children["epcs"]))
        if codes
    ]
    return Section(_("Packing"), "packages", facts, fold=fold)


def _seal(line: Line, directory: Directory) -> Section:
    body, seal = line.body, line.body["seal"]
    facts = [
        Fact(_("Seal"), seal["number"]),
        Fact(_("Class, ISO 17712"), str(dict(SealClass.choices).get(seal["class"], seal["class"]))),
        Fact(_("On the unit"), unit_name(body["unit"])),
        *done(line, directory),
    ]
    if "issuer" in seal:
        facts.insert(2, Fact(_("Issued by"), seal["issuer"]))
    if "found_number" in body:
        facts.insert(1, Fact(_("Number found"), body["found_number"]))
    if "replaces" in body:
        facts.insert(1, Fact(_("In the place of"), body["replaces"]["number"]))
    if "reason" in body:
        facts.append(Fact(_("Reason"), str(REASONS.get(body["reason"], body["reason"]))))
    fold = [Fact(_("Commitment to the note"), codes=(body["note"],))] if "note" in body else []
    good = body["state"] == SealState.INTACT
    tone = "ok" if good else "plain" if body["state"] == SealState.BROKEN else "bad"
    chip = str(dict(SealState.choices).get(body["state"], body["state"]))
    return Section(_("Seal"), "lock", facts, chip=chip, tone=tone, fold=fold)


def _seals_in_force(line: Line, directory: Directory) -> Section:
    states, facts = dict(SealState.choices), []
    for seal in line.body["seals"]:
        url = reverse("entry", args=[seal["affixed_entry"]]) if "affixed_entry" in seal else ""
        state = str(states.get(seal["state"], seal["state"]))
        facts.append(Fact(seal["number"], _("class %(class)s: %(state)s") % (seal | {"state": state}), url=url))
    intact = all(seal["state"] == SealState.INTACT for seal in line.body["seals"])
    chip, tone = (_("All intact"), "ok") if intact else (_("With exceptions"), "warn")
    return Section(_("Seals in force"), "lock", facts, chip=chip, tone=tone)


PARTS: Parts = {"children": _packing, "seal": _seal, "seals": _seals_in_force}
