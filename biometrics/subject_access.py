"""
What is held about a person, as one archive for that person: what they gave, what was made of it, and who looked.

Putting it together is a look at every value in it, and recorded as such before a byte is handed out.
"""

import io
import json
import zipfile
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils import timezone

from accounts.models import User
from biometrics.holds import require_not_erased
from biometrics.looks import image_type, record_looks, require_may_look
from biometrics.models import Evidence, EvidenceKind, EvidenceLook, Person, WatchlistLead
from biometrics.people import display_name
from biometrics.vault import Opened, open_commitment
from ledger.models import Entry
from ledger.tlog.times import format_time

# Words and numbers, shown as text; they are no biometric evidence.
_TEXTS = frozenset({EvidenceKind.NAME, EvidenceKind.NOTE, EvidenceKind.NUMBER})
# Looked at by opening it.
_BIOMETRIC = frozenset(EvidenceKind.values) - _TEXTS
# What officers wrote while they investigate is theirs to disclose, under the law that they act by.
_OFFICERS_REASONS = (EvidenceLook.Reason.INVESTIGATION, EvidenceLook.Reason.LEAD)
_LEFT_OUT = (
    "watchlist leads, and the notes of officers about leads and investigations: whoever ordered the search decides",
    "the other person of a duplicate review",
    "PIN and badges beyond when they were set: only digests of them are kept",
)
_VECTORS = "128 little-endian float64 numbers"


def export_person(*, person: Person, asked_by: User) -> bytes:
    """
    Return a ZIP archive with ``held.json`` and each value that is still there, in files that are numbered.

    Beside each value stands its salt: with both, whoever has the person's entries can open their commitments.

    :raises Refusal: look_not_allowed, person_erased; nothing is opened then
    :raises EvidenceNotOpened, PersonKeyMissing, MasterKeyWrong: and then nothing is recorded
    """
    require_may_look(asked_by)
    require_not_erased(person)
    rows = list(person.evidence.exclude(pk__in=_officers_notes(person)).order_by("created_at", "pk"))
    kept = [row for row in rows if row.destroyed_at is None]
    opened = {row.pk: open_commitment(row) for row in kept}
    biometric = [row for row in kept if row.kind in _BIOMETRIC]
    with transaction.atomic(durable=True):
        record_looks(evidence=biometric, looked_by=asked_by, reason=EvidenceLook.Reason.SUBJECT_REQUEST)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        evidence = []
        for number, row in enumerate(rows, start=1):
            fact = _about_evidence(row)
            if row.pk in opened:
                fact |= _pack(archive, number, row, opened[row.pk])
            evidence.append(fact)
        held = _about(person) | {"evidence": evidence}
        archive.writestr("held.json", json.dumps(held, ensure_ascii=False, indent=2) + "\n")
    return packed.getvalue()


def find_entries(person: Person) -> Iterator[Entry]:
    """Yield the entries that name the person, wherever in them: every note of the log is read."""
    sought = person.pk.urn.encode()
    for entry in Entry.objects.order_by("index").iterator(chunk_size=512):
        if sought in bytes(entry.note):
            yield entry


def _pack(archive: zipfile.ZipFile, number: int, row: Evidence, opened: Opened) -> dict[str, Any]:
    if row.kind in _TEXTS:
        return {"text": opened.value.decode("utf-8", "replace"), "salt": opened.salt.hex()}
    name = f"evidence/{number:04d}{_suffix(opened.value, row.kind)}"
    archive.writestr(name, opened.value)
    fact = {"file": name, "salt": opened.salt.hex()}
    if row.kind in (EvidenceKind.TEMPLATE, EvidenceKind.DESCRIPTOR):
        fact["format"] = _VECTORS
    return fact


def _suffix(value: bytes, kind: str) -> str:
    if kind == EvidenceKind.TRANSCRIPT:
        return ".json"
    return {"image/jpeg": ".jpg", "image/png": ".png", "image/webp": ".webp"}.get(image_type(value), ".bin")


def _about(person: Person) -> dict[str, Any]:
    pin = getattr(person, "pin", None)
    return {
        "made_at": format_time(timezone.now()),
        "person": person.pk.urn,
        "name": display_name(person),
        "kind": person.kind,
        "exempt": person.exempt,
        "registered_at": format_time(person.registered_at),
        "account": person.user.get_username() if person.user else None,
        "groups": [group.name for group in person.groups.all()],
        "consents": [
            {
                "purpose": consent.purpose,
                "retention": consent.retention,
                "language": consent.language,
                "text_version": consent.text_version,
                "text_sha256": consent.text_sha256,
                "given_at": format_time(consent.given_at),
                "withdrawn_at": _time(consent.withdrawn_at),
            }
            for consent in person.consents.all()
        ],
        "templates": [
            {
                "version": template.version,
                "photos": template.k,
                "active": template.active,
                "commitment": template.evidence.commitment,
                "made_at": format_time(template.created_at),
            }
            for template in person.templates.select_related("evidence")
        ],
        "verifications": [
            {"at": format_time(row.created_at), "outcome": row.outcome, "record": row.record}
            for row in person.verifications.all()
        ],
        "presented_documents": [
            {
                "at": format_time(row.presented_at),
                "context": row.context,
                "exempt": row.exempt,
                "comparisons": [
                    {"at": format_time(match.created_at), "outcome": match.outcome, "record": match.record}
                    for match in row.matches.all()
                ],
            }
            for row in person.presented_documents.prefetch_related("matches")
        ],
        "challenges": [
            {"issued_at": format_time(row.issued_at), "context": row.context, "outcome": row.outcome}
            for row in person.challenges.all()
        ],
        "duplicate_reviews": [
            {"raised_at": format_time(row.raised_at), "state": row.state, "decided_at": _time(row.decided_at)}
            for row in person.duplicate_reviews.all()
        ],
        "pin_set_at": _time(pin.set_at if pin else None),
        "badges": [
            {"issued_at": format_time(row.issued_at), "revoked_at": _time(row.revoked_at)}
            for row in person.badges.all()
        ],
        "holds": [
            {"placed_at": format_time(row.placed_at), "lifted_at": _time(row.lifted_at)} for row in person.holds.all()
        ],
        "looks": [
            {
                "at": format_time(look.looked_at),
                "reason": look.reason,
                "by": look.looked_by.pk.urn,
                "evidence": look.evidence.commitment,
            }
            for look in EvidenceLook.objects.filter(evidence__person=person).select_related("evidence", "looked_by")
        ],
        "ledger_entries": [{"index": entry.index, "kind": entry.kind} for entry in find_entries(person)],
        "left_out": list(_LEFT_OUT),
    }


def _about_evidence(row: Evidence) -> dict[str, Any]:
    return {
        "kind": row.kind,
        "commitment": row.commitment,
        "kept_since": format_time(row.created_at),
        "destroyed_at": _time(row.destroyed_at),
        "destroyed_for": row.destroyed_for or None,
    }


def _officers_notes(person: Person) -> list[Any]:
    leads = WatchlistLead.objects.exclude(note=None).filter(note__person=person).values_list("note", flat=True)
    looks = EvidenceLook.objects.filter(reason__in=_OFFICERS_REASONS, note__person=person)
    return [*leads, *looks.values_list("note", flat=True)]


def _time(moment: datetime | None) -> str | None:
    return format_time(moment) if moment else None
