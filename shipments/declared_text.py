"""Declared measures and fields as people read them: amounts with their decimals, kilograms, the fields' names."""

from decimal import Decimal

from django.utils.formats import number_format
from django.utils.translation import gettext_lazy as _

from shipments.code_lists import CURRENCY_EXPONENTS

CHANGED_FIELDS = {
    "mrn": _("MRN"),
    "office": _("Customs office"),
    "reference": _("Shipment’s reference"),
    "ucr": _("UCR"),
    "declarant": _("Declarant"),
    "representative": _("Representative"),
    "importer": _("Importer"),
    "exporter": _("Exporter"),
    "documents": _("Transport documents"),
    "containers": _("Containers"),
    "seals": _("Seals"),
    "item": _("the whole item"),
    "hs": _("commodity code"),
    "hs_edition": _("edition of the code"),
    "description": _("description"),
    "packages": _("packages"),
    "package_kind": _("kind of packages"),
    "marks": _("marks"),
    "gross_g": _("gross mass, g"),
    "net_g": _("net mass, g"),
    "value_minor": _("value in the minor unit"),
    "currency": _("currency"),
    "origin": _("origin"),
    "procedure": _("procedure"),
}
"""The fields of :class:`shipments.declared_changes.Change`, by their own names."""


ROLE_NAMES = {
    "declarant": _("Declarant"),
    "representative": _("Representative"),
    "importer": _("Importer"),
    "exporter": _("Exporter"),
}
"""The parties of a declaration, by their roles' own names."""


def format_minor(minor: int, currency: str) -> str:
    """Write an amount in its major unit: 123450 in USD is 1,234.50 USD."""
    decimals = CURRENCY_EXPONENTS.get(currency, 0)
    return f"{number_format(Decimal(minor).scaleb(-decimals), decimals, force_grouping=True)} {currency}"


def format_kilograms(grams: int) -> str:
    return f"{number_format(Decimal(grams) / 1000, force_grouping=True)} kg"
