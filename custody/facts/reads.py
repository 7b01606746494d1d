"""The tags that were read, held against the manifest."""

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from custody.directory import Directory
from custody.facts.fact import Fact, Parts, Section
from custody.narrative import Line
from shipments.models import ManifestItem

_GRADES = {
    "direct": gettext_lazy("Direct: every expected tag was read"),
    "inferred": gettext_lazy(
        "Inferred: what was not read itself lay, by what was packed, in a unit whose tag was read"
    ),
    "inconclusive": gettext_lazy("Inconclusive: some expected tags were not read, which alone proves nothing"),
}


def _reads(line: Line, directory: Directory) -> Section | None:
    reads = line.body["reads"]
    if "seen" not in reads:
        return None  # a refusal names the session in which a stray was read, and counts nothing
    counted = _("%(seen)s of %(expected)s expected tags read") % reads
    inferred = reads.get("inferred", 0)
    facts = [
        Fact(_("Tags"), counted),
        Fact(_("Grade"), str(_GRADES.get(reads["grade"], reads["grade"]))),
        Fact(_("Read sessions"), str(reads.get("sessions", 1))),
    ]
    if inferred:
        sentence = ngettext(
            "%(count)s was not read, and is inferred: the tag of a unit in which it was packed was read",
            "%(count)s were not read, and are inferred: the tag of a unit in which they were packed was read",
            inferred,
        )
        facts.insert(1, Fact(_("Inferred"), sentence % {"count": inferred}, codes=tuple(reads.get("inferred_by", ()))))
    if reads.get("tid_mismatch"):
        sentence = _("%(count)s answered from another chip than the one that the number was bound to")
        facts.append(
            Fact(
                _("Another chip"),
                sentence % {"count": reads["tid_mismatch_total"]},
                codes=tuple(reads["tid_mismatch"]),
            )
        )
    if reads.get("weak"):
        sentence = _("%(count)s read too seldom or too faintly to count, by the rule of the read point")
        facts.append(Fact(_("Weak reads"), sentence % {"count": reads["weak"]}))
    if reads.get("gaps"):
        sentence = ngettext(
            "In %(count)s session a reader lost reads: a tag that was not read proves nothing there",
            "In %(count)s sessions a reader lost reads: a tag that was not read proves nothing there",
            reads["gaps"],
        )
        facts.append(Fact(_("Lost reads"), sentence % {"count": reads["gaps"]}))
    fold = [
        Fact(_("Read session"), codes=(reads["session"],)),
        Fact(_("Root over the readers’ reports"), codes=(reads["reports_root"],)),
    ]
    tags = listed_tags(line, "unexpected", reads["unexpected"]) + listed_tags(line, "not_seen", reads["not_seen"])
    if reads["seen"] + inferred < reads["expected"] or reads["unexpected"] or reads.get("tid_mismatch"):
        chip, tone = _("With exceptions"), "warn"
    else:
        chip, tone = (_("In part inferred"), "waiting") if inferred else (_("All read"), "ok")
    return Section(_("Tags"), "nfc", facts, chip=chip, tone=tone, tags=tags, fold=fold)


def listed_tags(line: Line, state: str, epcs: list[str]) -> list[dict[str, str]]:
    if not epcs:
        return []
    items = ManifestItem.objects.filter(epc_hex__in=epcs).select_related("consignment").order_by("-released_at")
    known = {item.epc_hex: item for item in items}
    tags = []
    for epc in epcs:
        item = known.get(epc)
        own = item is not None and item.consignment_id.urn == line.entry.subject
        tags.append(
            {
                "state": "elsewhere" if item and not own and state == "unexpected" else state,
                "name": (item.description or item.epc_uri) if item else _("Unknown tag"),
                "code": epc,
                "note": ""
                if own or item is None
                else _("On shipment %(other)s") % {"other": item.consignment.reference},
            }
        )
    return tags


PARTS: Parts = {"reads": _reads}
