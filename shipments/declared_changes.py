"""What a later version of a declaration changes, field by field. It compares two documents, and needs no database."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from shipments.declared import ROLES, DeclaredItem


@dataclass(frozen=True, slots=True)
class Change:
    """One field that two versions differ in. Empty ``before`` or ``after``: it was not there."""

    field: str
    before: str = ""
    after: str = ""
    item: int = 0

    def as_json(self, *, most: int | None = None) -> dict[str, Any]:
        """The change as it is stored; ``most`` clips long texts, which the attached documents hold whole."""
        told: dict[str, Any] = {"field": self.field}
        if self.item:
            told["item"] = self.item
        if self.before:
            told["from"] = _clipped(self.before, most)
        if self.after:
            told["to"] = _clipped(self.after, most)
        return told


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Change]:
    """
    Compare two documents of :meth:`Declared.document` field by field, items by their numbers.

    An item that came or went is one change, in the field ``item``, with its commodity code and description.
    """
    changes = [
        Change(field, str(before.get(field, "")), str(after.get(field, "")))
        for field in ("mrn", "office")
        if before.get(field, "") != after.get(field, "")
    ]
    for field in ("reference", "ucr"):
        old, new = (str(document["goods"].get(field, "")) for document in (before, after))
        if old != new:
            changes.append(Change(field, old, new))
    for role in ROLES:
        old, new = (party_number(document["parties"].get(role, {})) for document in (before, after))
        if old != new:
            changes.append(Change(role, old, new))
    for field in ("documents", "containers", "seals"):
        changes += _came_and_went(field, before.get(field, []), after.get(field, []))
    old_items, new_items = ({item["number"]: item for item in document["items"]} for document in (before, after))
    for number in sorted(old_items.keys() | new_items.keys()):
        changes += _item_changes(number, old_items.get(number), new_items.get(number))
    return changes


def party_number(party: Mapping[str, str]) -> str:
    """The number that names a party: its GLN, or its EORI, or what it has on file here."""
    return party.get("gln") or party.get("eori") or party.get("party", "")


def _came_and_went(field: str, before: Iterable[Any], after: Iterable[Any]) -> list[Change]:
    old, new = ([_named(entry) for entry in entries] for entries in (before, after))
    gone = [Change(field, before=entry) for entry in old if entry not in new]
    return gone + [Change(field, after=entry) for entry in new if entry not in old]


def _item_changes(number: int, old: Mapping[str, Any] | None, new: Mapping[str, Any] | None) -> list[Change]:
    if old is None or new is None:
        named = [f"{item['hs']} {item['description']}" if item else "" for item in (old, new)]
        return [Change("item", named[0], named[1], number)]
    fields = [field for field in DeclaredItem.__dataclass_fields__ if field != "number"]
    return [
        Change(field, str(old.get(field, "")), str(new.get(field, "")), number)
        for field in fields
        if old.get(field, "") != new.get(field, "")
    ]


def _named(entry: Any) -> str:
    return f"{entry['type']} {entry['number']}" if isinstance(entry, Mapping) else str(entry)


def _clipped(text: str, most: int | None) -> str:
    return text if most is None or len(text) <= most else f"{text[: most - 1]}…"
