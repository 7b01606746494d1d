"""What happened to the goods: readers, packing, seals, declarations."""

from decimal import Decimal
from typing import Any

from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from custody.directory import Directory
from custody.sentences.sentence import Sentence
from shipments.models import DeclarationKind
from shipments.seals import REASONS as SEAL_REASONS

CODES_TOLD = 3


def _reads_anchored(body: dict[str, Any], subject: str, directory: Directory) -> str:
    count = int(body["reports"])
    return ngettext(
        "%(n)s report of the readers at %(site)s was bound into the ledger: it cannot be changed unseen any more.",
        "%(n)s reports of the readers at %(site)s were bound into the ledger: they cannot be changed unseen any more.",
        count,
    ) % {"n": count, "site": directory.site(body["site"])}


def _read_gap(body: dict[str, Any], subject: str, directory: Directory) -> str:
    lost = int(body["purged_total"])
    return ngettext(
        "%(reader)s at %(place)s admitted that it lost %(n)s event. A tag not read then may have been there.",
        "%(reader)s at %(place)s admitted that it lost %(n)s events. A tag not read then may have been there.",
        lost,
    ) % {"reader": directory.reader(body["reader"]), "place": directory.place(body["read_point"]), "n": lost}


def unit_name(unit: dict[str, str]) -> str:
    """Name the unit of an entry's body by the code that people name it by."""
    return next(unit[key] for key in ("sscc", "grai", "bic") if key in unit)


def _unit_packed(body: dict[str, Any], subject: str, directory: Directory) -> str:
    count = int(body["children"]["total"])
    facts = {
        "by": directory.person(body["by"]["person"]),
        "unit": unit_name(body["unit"]),
        "shipment": body["goods"]["reference"],
        "n": count,
    }
    if body["act"] == "unpacked":
        return (
            ngettext(
                "%(by)s took %(n)s unit or tagged piece out of %(unit)s of %(shipment)s.",
                "%(by)s took %(n)s units or tagged pieces out of %(unit)s of %(shipment)s.",
                count,
            )
            % facts
        )
    return (
        ngettext(
            "%(by)s packed %(n)s unit or tagged piece into %(unit)s of %(shipment)s.",
            "%(by)s packed %(n)s units or tagged pieces into %(unit)s of %(shipment)s.",
            count,
        )
        % facts
    )


def _seal(body: dict[str, Any], subject: str, directory: Directory) -> str:
    facts = {
        "by": directory.person(body["by"]["person"]),
        "number": body["seal"]["number"],
        "class": body["seal"]["class"],
        "unit": unit_name(body["unit"]),
        "shipment": body["goods"]["reference"],
        "reason": str(SEAL_REASONS.get(body.get("reason", ""), body.get("reason", ""))),
        "found": body.get("found_number", ""),
        "old": body.get("replaces", {}).get("number", ""),
    }
    sentences = {
        "affixed": _("%(by)s put the seal %(number)s (class %(class)s) on %(unit)s of %(shipment)s."),
        "broken": _("%(by)s broke the seal %(number)s on %(unit)s of %(shipment)s. Reason: %(reason)s."),
        "replaced": _(
            "%(by)s replaced the seal %(old)s on %(unit)s of %(shipment)s by %(number)s (class %(class)s). "
            "Reason: %(reason)s."
        ),
    }
    found = {
        "intact": _("%(by)s found the seal %(number)s on %(unit)s of %(shipment)s intact."),
        "tampered": _("%(by)s found the seal %(number)s on %(unit)s of %(shipment)s tampered with."),
        "missing": _("%(by)s found the seal %(number)s of %(unit)s of %(shipment)s missing."),
        "number_differs": _("%(by)s found the seal %(found)s on %(unit)s of %(shipment)s in the place of %(number)s."),
    }
    sentence = found[body["state"]] if body["act"] == "checked" else sentences[body["act"]]
    return sentence % facts


def _declaration(body: dict[str, Any], subject: str, directory: Directory) -> str:
    count = body["items"]["count"]
    told = ngettext(
        "%(by)s submitted the %(kind)s declaration %(lrn)s for %(shipment)s: %(count)s item, %(mass)s kg.",
        "%(by)s submitted the %(kind)s declaration %(lrn)s for %(shipment)s: %(count)s items, %(mass)s kg.",
        count,
    ) % {**_declared(body, directory), "count": count}
    return " ".join([told, *_verified(body)])


def _declaration_amended(body: dict[str, Any], subject: str, directory: Directory) -> str:
    changes = body["changes_total"]
    told = ngettext(
        "%(by)s amended the %(kind)s declaration %(lrn)s for %(shipment)s (version %(version)s): "
        "%(changes)s field changed.",
        "%(by)s amended the %(kind)s declaration %(lrn)s for %(shipment)s (version %(version)s): "
        "%(changes)s fields changed.",
        changes,
    ) % {**_declared(body, directory), "changes": changes, "version": body["version"]}
    return " ".join([told, *_codes_changed(body), *_verified(body)])


def _codes_changed(body: dict[str, Any]) -> list[str]:
    """The commodity codes that were exchanged, for they say what the goods are; the first few."""
    sentence = _("Item %(item)s: commodity code %(from)s → %(to)s.")
    codes = [change for change in body["changes"] if change["field"] == "hs" and change.keys() >= {"from", "to"}]
    return [sentence % change for change in codes[:CODES_TOLD]]


def _verified(body: dict[str, Any]) -> list[str]:
    return [_("Their face matched.")] if body.get("face", {}).get("outcome") == "match" else []


def _declared(body: dict[str, Any], directory: Directory) -> dict[str, Any]:
    return {
        "by": directory.person(body["by"]["person"]),
        "kind": str(DeclarationKind(body["kind"]).label).lower(),
        "lrn": body["lrn"],
        "shipment": body["goods"]["reference"],
        "mass": number_format(Decimal(body["items"]["gross_g"]) / 1000),
    }


SENTENCES = {
    "reads_anchored": Sentence(gettext_lazy("Reads bound"), _reads_anchored, "antenna", "plain"),
    "read_gap": Sentence(gettext_lazy("Gap in the reads"), _read_gap, "wifi-off", "warn"),
    "unit_packed": Sentence(gettext_lazy("Packing"), _unit_packed, "packages", "plain"),
    "seal_applied": Sentence(gettext_lazy("Seal put on"), _seal, "lock", "plain"),
    "seal_checked": Sentence(gettext_lazy("Seal checked"), _seal, "eye", "plain"),
    "seal_broken": Sentence(gettext_lazy("Seal broken"), _seal, "link-off", "warn"),
    "seal_replaced": Sentence(gettext_lazy("Seal replaced"), _seal, "refresh", "warn"),
    "declaration": Sentence(gettext_lazy("Declaration"), _declaration, "file-certificate", "plain"),
    "declaration_amended": Sentence(gettext_lazy("Amended declaration"), _declaration_amended, "versions", "warn"),
}
