"""Measurements as they stand in an entry: whole numbers, and what is nested."""

from collections.abc import Iterator
from decimal import Decimal

from django.utils.formats import number_format

from custody.facts.fact import Fact


def decimal_e4(value_e4: int) -> str:
    return str(number_format(Decimal(value_e4) / 10_000, 4))


def spread(name: str, value: object) -> Iterator[Fact]:
    """Spread nested measurements into lines of their own, named by their keys."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from spread(f"{name}: {key}", inner)
    elif isinstance(value, list):
        yield Fact(name, codes=tuple(str(item) for item in value))
    else:
        yield Fact(name, codes=(str(value),))
