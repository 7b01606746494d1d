"""
What was declared, held against the manifest: how many packages, which commodity codes, which countries of origin.

Only what both sides say is compared: an item without a commodity code is no finding.
"""

import hashlib
from collections import defaultdict

from custody.discrepancies import Evidence, open_discrepancy
from custody.discrepancy_codes import Code
from shipments.declarations import declared_last, newest_versions
from shipments.models import Consignment, DeclarationVersion, GoodsItem

_HEADING, _SUBHEADING = 4, 6


def check_declared(consignment: Consignment, leaf: str) -> None:
    """Open what the newest versions of all the shipment's declarations and its manifest disagree on."""
    last = declared_last(consignment)
    if last is None:
        return
    versions = newest_versions().filter(declaration__consignment=consignment).select_related("declaration")
    goods = list(GoodsItem.objects.filter(version__in=versions.order_by().values("pk")).select_related("version"))
    found = _items(consignment, goods)
    for code, epcs in found.items():
        digest = hashlib.sha256(" ".join(epcs).encode()).hexdigest()[:16]
        open_discrepancy(
            code=code,
            consignment=consignment,
            key=f"{code}:{last.pk}:{digest}",
            evidence=Evidence(items=tuple(epcs), entries=(leaf,), persons=(last.person,)),
            until=last.submitted_at,
            once=True,
        )
    _check_packages(consignment, goods, last, leaf)


def _items(consignment: Consignment, goods: list[GoodsItem]) -> dict[Code, list[str]]:
    headings = {one.hs_code[:_HEADING] for one in goods}
    origins: defaultdict[str, set[str]] = defaultdict(set)
    for one in goods:
        origins[one.hs_code[:_SUBHEADING]].add(one.origin)
    found: dict[Code, list[str]] = defaultdict(list)
    manifest = consignment.manifest.exclude(hs_code="").order_by("epc_hex")
    for epc, hs, origin in manifest.values_list("epc_hex", "hs_code", "origin").iterator():
        declared = origins.get(hs[:_SUBHEADING])
        if declared is None:
            found[Code.HS_MISMATCH if hs[:_HEADING] in headings else Code.UNDECLARED_ITEM].append(epc)
        # One that was declared without an origin may be this one.
        elif origin and "" not in declared and origin not in declared:
            found[Code.ORIGIN_MISMATCH].append(epc)
    return found


def _check_packages(consignment: Consignment, goods: list[GoodsItem], last: DeclarationVersion, leaf: str) -> None:
    """A package may be an item, a unit or an outermost unit: what equals the count of any of them agrees."""
    items = consignment.manifest.count()
    counts = {items, consignment.units.count(), consignment.units.filter(parent=None).count()}
    by_kind: defaultdict[str, list[int]] = defaultdict(list)
    kinds = {
        version.pk: version.declaration.kind
        for version in DeclarationVersion.objects.filter(pk__in={one.version_id for one in goods}).select_related(
            "declaration"
        )
    }
    for one in goods:
        by_kind[kinds[one.version_id]].append(one.packages)
    for kind, packages in sorted(by_kind.items()):
        if not items or 0 in packages or sum(packages) in counts:
            continue
        open_discrepancy(
            code=Code.QUANTITY_MISMATCH,
            consignment=consignment,
            key=f"quantity_mismatch:{kind}:{last.pk}:{items}",
            evidence=Evidence(
                entries=(leaf,),
                persons=(last.person,),
                figures={
                    "declared_packages": sum(packages),
                    "manifest_items": items,
                    "manifest_units": consignment.units.count(),
                },
            ),
            until=last.submitted_at,
            once=True,
        )
