"""
Disclosure: opening a commitment that stands in an entry, for whoever is to check what was committed to.

Nothing is opened without somebody who may, and each opening is an entry of its own before the value leaves the vault's
side. The ledger holds no values: the apps that do name their openers in ``LEDGER_OPENERS``.
"""

import re
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from django.conf import settings
from django.db import transaction
from django.utils.module_loading import import_string
from django.utils.translation import gettext_lazy as _

from accounts.models import User
from accounts.roles import Capability
from ledger.attachments import as_bytes
from ledger.models import Entry, Statement
from ledger.sealing import seal_all
from ledger.submission import Draft, submit_all
from ledger.tlog import canonical
from ledger.tlog.commitment import opens
from ledger.tlog.entry import parse_entry
from ledger.tlog.errors import TlogError
from refusals import Refusal

KIND = "disclosure"
# The reason stands in the ledger for good, so it is a reference to a case and not a text about people.
REASON = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ./:#_-]{0,79}")
# How long a sealer in another process is waited for, in seconds.
SEALED_WITHIN = 60

_COMMITMENT = re.compile(r"[0-9a-f]{64}")


class DisclosureNotAllowed(Refusal):
    code = "disclosure_not_allowed"
    message = _("%(user)s may not disclose. An officer may.")
    status = 403


class DisclosureReasonMissing(Refusal):
    code = "disclosure_reason_missing"
    message = _(
        "A disclosure needs the case that it is for: up to 80 letters, digits and . / : # _ -, and no names. It stands "
        "in the ledger for good."
    )
    status = 400


class CommitmentNotInScope(Refusal):
    code = "commitment_not_in_scope"
    message = _("No entry of what is exported holds the commitment %(commitment)s.")
    status = 404


class CommitmentNotOpened(Refusal):
    code = "commitment_not_opened"
    message = _("Nothing here opens the commitment %(commitment)s: its value was erased, or is kept elsewhere.")
    status = 404


class DisclosureNotSealed(Refusal):
    code = "disclosure_not_sealed"
    message = _("The disclosure is recorded and not yet sealed, so nothing was opened. Export again once it is.")


class Opened(NamedTuple):
    """What opens a commitment."""

    salt: bytes
    value: bytes


Opener = Callable[[str], Opened | None]


@dataclass(frozen=True)
class Place:
    """Where a commitment stands: the entry, its subject, and the path in the body (keys and places, joined by dots)."""

    commitment: str
    entry: int
    subject: str
    label: str


@dataclass(frozen=True)
class Opening:
    """A disclosed value, as a bundle carries it."""

    commitment: str
    entry: int
    label: str
    salt: bytes
    value: bytes

    def encode(self) -> bytes:
        """Return the bytes of ``disclosures/<commitment>.json``."""
        return canonical.encode(
            {
                "commitment": self.commitment,
                "entry": self.entry,
                "label": self.label,
                "salt": self.salt.hex(),
                "value": self.value.hex(),
            }
        )


def disclose(
    commitments: Sequence[str],
    *,
    by: User,
    reason: str,
    subject: str | None = None,
    span: tuple[int, int] | None = None,
) -> list[Opening]:
    """
    Open commitments that stand in entries of one subject, of a range, or of the whole log, and record that in entries.

    The value is returned once the ``disclosure`` entry is sealed, one for each subject that is concerned.

    :param reason: the case that it is for; no names
    :raises DisclosureNotAllowed, DisclosureReasonMissing, CommitmentNotInScope, CommitmentNotOpened: and then nothing
        is recorded
    :raises DisclosureNotSealed: if no sealer came in time; the record stands
    :raises SealingStopped: if the sealer declines; the record stands, and is sealed once it does not
    """
    if not by.may(Capability.DISCLOSE):
        raise DisclosureNotAllowed(user=by.get_username())
    if not REASON.fullmatch(reason):
        raise DisclosureReasonMissing()
    places = find_commitments(commitments, subject=subject, span=span)
    openings = [_open(place) for place in places]
    disclosure = uuid.uuid4()
    with transaction.atomic():
        statements = submit_all(
            [
                Draft(
                    kind=KIND,
                    subject=about,
                    body={
                        "disclosure": disclosure.urn,
                        "by": by.pk.urn,
                        "reason": reason,
                        "commitments": [
                            {"commitment": place.commitment, "entry": place.entry, "label": place.label}
                            for place in places
                            if place.subject == about
                        ],
                    },
                    key=f"disclosure:{disclosure}:{about}",
                )
                for about in dict.fromkeys(place.subject for place in places)
            ]
        )
    _wait_until_sealed(statements)
    return openings


def find_commitments(
    commitments: Iterable[str], *, subject: str | None = None, span: tuple[int, int] | None = None
) -> list[Place]:
    """
    Find the first entry that holds each commitment; entries about disclosures do not count.

    :raises CommitmentNotInScope: naming the first commitment that no entry in scope holds
    """
    wanted = dict.fromkeys(commitments)
    rows = Entry.objects.exclude(kind=KIND).order_by("index")
    if subject:
        rows = rows.filter(subject=subject)
    if span:
        rows = rows.filter(index__gte=span[0], index__lt=span[1])
    left = {commitment: commitment.encode() for commitment in wanted if _COMMITMENT.fullmatch(commitment)}
    found: dict[str, Place] = {}
    for stored in rows.values_list("note", flat=True).iterator(chunk_size=512):
        if not left:
            break
        note = as_bytes(stored)
        if any(sought in note for sought in left.values()):
            for place in _places(note):
                if left.pop(place.commitment, None):
                    found[place.commitment] = place
    for commitment in wanted:
        if commitment not in found:
            raise CommitmentNotInScope(commitment=commitment)
    return [found[commitment] for commitment in wanted]


def _places(note: bytes) -> Iterator[Place]:
    """Yield every text of an entry's body with its place; a note that is no entry has none."""
    try:
        entry = parse_entry(note)
    except TlogError:
        return
    for label, text in _texts(entry.body, ""):
        yield Place(text, entry.index, entry.subject, label)


def _texts(value: Any, label: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield label, value
    elif isinstance(value, (dict, list)):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            # A key with a dot in it could not be found again.
            if "." not in str(key):
                yield from _texts(item, f"{label}.{key}" if label else str(key))


def _open(place: Place) -> Opening:
    for path in settings.LEDGER_OPENERS:
        opener: Opener = import_string(path)
        opened = opener(place.commitment)
        if opened is not None and opens(place.commitment, salt=opened.salt, value=opened.value):
            return Opening(place.commitment, place.entry, place.label, opened.salt, opened.value)
    raise CommitmentNotOpened(commitment=place.commitment)


def _wait_until_sealed(statements: Sequence[int]) -> None:
    """Return once every statement has its entry: sealed here where the sealer lives here, awaited otherwise."""
    if not settings.BROKER_URL:
        seal_all()
    pending = Statement.objects.filter(pk__in=statements, entry__isnull=True)
    until = time.monotonic() + SEALED_WITHIN
    while pending.exists():
        if not settings.BROKER_URL or time.monotonic() > until:
            raise DisclosureNotSealed()
        time.sleep(0.25)
