"""How a shipment's units stand inside each other: read once, asked often, changed by :mod:`shipments.units` alone."""

import uuid
from collections import defaultdict
from collections.abc import Iterable

from shipments.models import Consignment, LogisticUnit, ManifestItem


class Nesting:
    """How a shipment's units stand inside each other, read once."""

    def __init__(self, consignment: Consignment | uuid.UUID) -> None:
        pk = consignment.pk if isinstance(consignment, Consignment) else consignment
        self.units = {unit.pk: unit for unit in LogisticUnit.objects.filter(consignment=pk)}
        self._inside: defaultdict[uuid.UUID | None, list[LogisticUnit]] = defaultdict(list)
        for unit in self.units.values():
            self._inside[unit.parent_id].append(unit)

    def directly_in(self, unit: LogisticUnit | None) -> list[LogisticUnit]:
        """Return the units that stand directly in ``unit``, or in none."""
        return self._inside[unit.pk if unit else None]

    def carriers(self, unit_id: uuid.UUID | None) -> list[LogisticUnit]:
        """Return the unit and those around it, innermost first. Ends at a circle, which no service makes."""
        found: dict[uuid.UUID, LogisticUnit] = {}
        while unit_id is not None and unit_id not in found and unit_id in self.units:
            found[unit_id] = self.units[unit_id]
            unit_id = found[unit_id].parent_id
        return list(found.values())

    def within(self, unit: LogisticUnit) -> list[LogisticUnit]:
        """Return the units inside ``unit`` at any depth, outer before inner."""
        found: dict[uuid.UUID, LogisticUnit] = {}
        waiting = list(self._inside[unit.pk])
        while waiting:
            inner = waiting.pop(0)
            if inner.pk not in found and inner.pk != unit.pk:
                found[inner.pk] = inner
                waiting += self._inside[inner.pk]
        return list(found.values())

    def height(self, unit: LogisticUnit) -> int:
        """How many units stand on the longest way from ``unit`` inwards, itself included."""
        level, height, seen = [unit], 0, {unit.pk}
        while level:
            height += 1
            level = [inner for outer in level for inner in self._inside[outer.pk] if inner.pk not in seen]
            seen.update(inner.pk for inner in level)
        return height


def carriers_of(items: Iterable[ManifestItem]) -> dict[int, list[LogisticUnit]]:
    """Map each item's primary key to the units that hold it now, innermost first; an empty list where none does."""
    held = list(items)
    nestings = {pk: Nesting(pk) for pk in {item.consignment_id for item in held}}
    return {item.pk: nestings[item.consignment_id].carriers(item.logistic_unit_id) for item in held}


def units_within(unit: LogisticUnit) -> list[LogisticUnit]:
    """Return the units inside ``unit`` at any depth, outer before inner."""
    return Nesting(unit.consignment_id).within(unit)
