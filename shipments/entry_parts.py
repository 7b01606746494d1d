"""What the bodies of the goods' entries have in common (docs/ledger-format.md). What does not apply is absent."""

from typing import Any

from shipments.models import Consignment, ReadPoint


def goods_of(consignment: Consignment) -> dict[str, str]:
    """The ``goods`` of an entry about one unit or seal of the shipment."""
    goods = {"reference": consignment.reference, "ucr": consignment.ucr, "mrn": consignment.mrn}
    return {name: code for name, code in goods.items() if code}


def where_of(read_point: ReadPoint | None) -> dict[str, Any]:
    """The ``where`` of an entry, as a part to be merged: nothing where no read point was named."""
    if read_point is None:
        return {}
    return {"where": {"site": read_point.site.gln, "read_point": read_point.sgln}}
