"""
Real faces for enrolments: of each person three captures, a picture for the document and one for the live face.

The packages carry one to five photos of each (docs/demo.md); what is missing is reframed from what there is.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from demo.reframing import reframe


@dataclass(frozen=True)
class Portrait:
    """Encoded photos of one person, all of which pass the gate that they are for."""

    captures: Sequence[bytes]
    document: bytes
    live: bytes
    again: Sequence[bytes] = ()
    """Further live pictures, no two of them so near that they would be one sent twice."""


def portrait(name: str, photos: Path) -> Portrait:
    """
    Return the portrait of ``obama``, ``biden`` or ``collins`` from the folder that ``demo.photos`` filled.

    :raises KeyError: for any other name
    """
    return _made(name, photos)


@cache
def _made(name: str, photos: Path) -> Portrait:
    return PEOPLE[name](photos)


def _obama(photos: Path) -> Portrait:
    """Three sittings; document and live picture are parts of two of them."""
    first, second, third = ((photos / name).read_bytes() for name in ("obama.jpg", "obama2.jpg", "obama3.jpg"))
    return Portrait(
        captures=(first, reframe(second, lean=-0.1, sharpen=60), reframe(third, lean=0.1, sharpen=60)),
        document=(photos / "obama_partial_face2.jpg").read_bytes(),
        live=(photos / "obama_partial_face.jpg").read_bytes(),
    )


def _biden(photos: Path) -> Portrait:
    """One photo, nine times."""
    only = (photos / "biden.jpg").read_bytes()
    return Portrait(
        captures=(
            reframe(only, sharpen=150, degrees=-8, lean=0.05, brightness=0.95, crop=0.1),
            reframe(only, sharpen=300, degrees=-8, lean=0.05, squeeze=1.1, crop=0.1),
            reframe(only, sharpen=300, degrees=-8, lean=0.1, squeeze=0.95, brightness=0.95),
        ),
        document=reframe(only, sharpen=200, degrees=8, lean=-0.08, squeeze=1.1, brightness=1.1),
        live=reframe(only, sharpen=150, degrees=-3, lean=0.1, squeeze=1.1),
        again=(
            reframe(only, sharpen=400, degrees=-3, lean=0.03, squeeze=1.1),
            reframe(only, sharpen=150, lean=0.06, squeeze=1.2, brightness=0.9, crop=0.1),
            reframe(only, sharpen=400, degrees=9, lean=0.06, squeeze=1.1, crop=0.2),
            reframe(only, sharpen=60, lean=0.03, squeeze=0.9, crop=0.2),
        ),
    )


def _collins(photos: Path) -> Portrait:
    """One small photo, enlarged five times."""
    only = (photos / "astronaut.png").read_bytes()
    return Portrait(
        captures=(
            reframe(only, scale=2.4, sharpen=300, degrees=-3, lean=0.1, brightness=0.95),
            reframe(only, scale=2.6, sharpen=300, brightness=0.85),
            reframe(only, scale=2.6, sharpen=100, degrees=3, squeeze=0.95),
        ),
        document=reframe(only, scale=2.6, sharpen=300, lean=-0.04, squeeze=1.05, brightness=1.1, crop=0.1),
        live=reframe(only, scale=2.4, sharpen=200, degrees=-3, lean=0.1, squeeze=1.05, brightness=1.1),
    )


PEOPLE: dict[str, Callable[[Path], Portrait]] = {"obama": _obama, "biden": _biden, "collins": _collins}
