"""Where a body names an attachment: the one thing that the ledger knows about bodies (docs/ledger-format.md)."""

from collections.abc import Iterator
from typing import Any

# By kind, the paths of the body's fields that hold an attachment's digest; "*" is every element of a list
# (docs/ledger-format.md).
ATTACHMENT_FIELDS: dict[str, tuple[tuple[str, ...], ...]] = {
    "handoff": (("reads", "document"), ("reads", "reconciliation"), ("reads", "earlier", "*", "document")),
    "handoff_refused": (("reads", "document"),),
    "reads_anchored": (("document",),),
    "read_gap": (("document",),),
    "unit_packed": (("children", "document"),),
    "declaration": (("document",),),
    "declaration_amended": (("document",),),
    "act_refused": (("document",),),
}


def named_in(kind: str, body: dict[str, Any]) -> Iterator[str]:
    """Yield the digests of the attachments that a body names; a field that is absent or no text names none."""
    for path in ATTACHMENT_FIELDS.get(kind, ()):
        for value in _at(body, path):
            if isinstance(value, str):
                yield value


def _at(value: Any, path: tuple[str, ...]) -> Iterator[Any]:
    if not path:
        yield value
    elif path[0] == "*" and isinstance(value, list):
        for element in value:
            yield from _at(element, path[1:])
    elif isinstance(value, dict) and path[0] in value:
        yield from _at(value[path[0]], path[1:])
