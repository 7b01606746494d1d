"""The documents that an entry names by their digest, each checked against it now."""

from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext_lazy as _

from custody.narrative import Line
from ledger import attachments
from ledger.errors import AttachmentChanged
from ledger.models import Attachment

_DECLARATION = ((("document",), _("The whole declaration")),)
_READS = ((("reads", "document"), _("What the readers reported")),)

# By kind: where a digest stands in the body, and what it is the digest of.
NAMED = {
    "handoff": (*_READS, (("reads", "reconciliation"), _("Each tag against the manifest"))),
    "handoff_refused": _READS,
    "unit_packed": ((("children", "document"), _("All that was packed or unpacked")),),
    "declaration": _DECLARATION,
    "declaration_amended": _DECLARATION,
    "act_refused": ((("document",), _("What was to be declared")),),
    "reads_anchored": ((("document",), _("The reports that it binds")),),
    "read_gap": ((("document",), _("All the gaps")),),
}


@dataclass(frozen=True)
class AttachmentFact:
    """A document that an entry names by digest; ``state`` is ok, changed or missing."""

    name: str
    sha256: str
    state: str
    size: int = 0


def named_attachments(line: Line) -> list[AttachmentFact]:
    """Find what the entry names by digest, each checked against it now."""
    found = ((str(name), _at(line.body, path)) for path, name in NAMED.get(line.kind, ()))
    return [_attachment(name, sha256) for name, sha256 in found if isinstance(sha256, str)]


def _at(value: Any, path: tuple[str, ...]) -> Any:
    for part in path:
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _attachment(name: str, sha256: str) -> AttachmentFact:
    try:
        content = attachments.load(sha256)
    except Attachment.DoesNotExist:
        return AttachmentFact(name, sha256, "missing")
    except AttachmentChanged:
        return AttachmentFact(name, sha256, "changed")
    return AttachmentFact(name, sha256, "ok", len(content))
