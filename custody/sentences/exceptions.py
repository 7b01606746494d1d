"""What did not fit at a handoff, by the code that its entry holds, and how much of it."""

from django.utils.formats import number_format
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy

EXCEPTIONS = {
    "missing_tag": gettext_lazy("Tags missing after a second reading"),
    "unexpected_tag": gettext_lazy("Unexpected tags"),
    "clock_skew": gettext_lazy("Tags whose reader’s clock was off"),
    "tid_mismatch": gettext_lazy("Numbers read from another chip"),
    "unencoded_tag": gettext_lazy("Tags that were never encoded"),
    "read_gap": gettext_lazy("Read sessions with lost reads"),
    "weight_mismatch": gettext_lazy("Weight other than declared"),
    "seal_broken": gettext_lazy("Seals tampered with"),
    "seal_missing": gettext_lazy("Seals missing"),
    "seal_mismatch": gettext_lazy("Seals with another number"),
}


def how_much(code: str, items: int) -> str:
    """Tell the count, or the difference of a weight in kilograms."""
    if code == "weight_mismatch":
        return kilograms(items)
    return str(items)


def kilograms(grams: int) -> str:
    return str(format_lazy("{amount} kg", amount=number_format(grams / 1000, decimal_pos=3, force_grouping=True)))
