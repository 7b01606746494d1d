"""The log’s own beginning, and what it binds of readers."""

from django.utils.formats import number_format
from django.utils.translation import gettext as _

from custody.directory import Directory
from custody.facts.fact import Fact, Parts, Section
from custody.narrative import Line
from ledger.tlog.times import parse_time


def _genesis(line: Line, directory: Directory) -> Section:
    facts = [
        Fact(_("Format"), codes=(line.body["format"],)),
        Fact(_("Key that the log began with"), codes=(line.body["vkey"],)),
    ]
    return Section(_("Beginning of the log"), "link", facts)


def _reads_anchored(line: Line, directory: Directory) -> Section:
    body = line.body
    facts = [
        Fact(_("Site"), directory.site(body["site"])),
        Fact(_("Reports"), str(number_format(body["reports"], force_grouping=True))),
        Fact(_("First received"), at=parse_time(body["first_received_at"])),
        Fact(_("Last received"), at=parse_time(body["last_received_at"])),
        Fact(_("Readers"), _names([directory.reader(urn) for urn in body["readers"]], body["readers_total"])),
    ]
    if "gaps" in body:
        facts.append(Fact(_("Gaps that readers admitted in them"), str(body["gaps"])))
    fold = [
        Fact(_("Root over the readers’ reports"), codes=(body["root"],)),
        Fact(_("Anchor"), codes=(body["anchor"],)),
        Fact(_("GLN"), codes=(body["site"],)),
        Fact(_("Readers"), codes=tuple(body["readers"])),
    ]
    return Section(_("Reads bound"), line.icon, facts, fold=fold)


def _names(names: list[str], total: int) -> str:
    told = ", ".join(names)
    more = total - len(names)
    return told if more <= 0 else _("%(names)s and %(n)s more") % {"names": told, "n": more}


def _read_gap(line: Line, directory: Directory) -> Section:
    body = line.body
    facts = [
        Fact(_("Reader"), directory.reader(body["reader"])),
        Fact(_("Place"), directory.place(body["read_point"])),
        Fact(_("Events lost"), str(number_format(int(body["purged_total"]), force_grouping=True))),
        Fact(_("Gaps"), str(body["gaps_total"])),
    ]
    fold = [Fact(f"{gap['first']} – {gap['last']}", _("%(n)s lost") % {"n": gap["purged"]}) for gap in body["gaps"]]
    note = _("A tag that was not read in a gap is no sign that it was absent.")
    return Section(_("Gap in the reads"), line.icon, facts, note=note, fold=fold)


PARTS: Parts = {"vkey": _genesis, "readers_total": _reads_anchored, "purged_total": _read_gap}
