"""
Packing and sealing as a person does them: who acts is on file, and what they write is sealed as evidence about them.

The goods know people as identifiers alone (``shipments.actors``); this is where the identifier comes from.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from django.db import transaction
from django.utils.translation import gettext_lazy as _

from accounts.models import User
from biometrics.models import EvidenceKind, Person
from biometrics.people import people_on_file
from biometrics.vault import seal_evidence
from refusals import Refusal
from shipments import seals, units
from shipments.actors import Actor
from shipments.models import Consignment, LogisticUnit, ManifestItem, ReadPoint, Seal

MAX_NOTE = 500


class PersonNotOnFile(Refusal):
    code = "person_not_on_file"
    message = _("Who acts on the goods must be on file. Register the person first, or choose another.")
    status = 422


class NoteTooLong(Refusal):
    code = "note_too_long"
    message = _("A note has at most %(limit)s characters.")
    status = 422


@dataclass(frozen=True, slots=True)
class By:
    """Who acts, at whose screen, where, and what they write; the note is kept for the officers."""

    person: Person
    account: User
    read_point: ReadPoint | None = None
    note: str = ""

    def actor(self) -> Actor:
        """:raises PersonNotOnFile: where the person was erased, or is one to be looked out for"""
        if not people_on_file().filter(pk=self.person.pk).exists():
            raise PersonNotOnFile
        return Actor(self.account, self.person.pk)


def pack(*, unit: LogisticUnit, contents: Sequence[str], by: By) -> list[LogisticUnit | ManifestItem]:
    """Put units and tagged goods into ``unit`` (:func:`shipments.units.pack`). :raises Refusal:"""
    return units.pack(unit=unit, contents=contents, actor=by.actor(), read_point=by.read_point)


def unpack(*, unit: LogisticUnit, by: By, contents: Sequence[str] = ()) -> list[LogisticUnit | ManifestItem]:
    """Take them out again (:func:`shipments.units.unpack`). :raises Refusal:"""
    return units.unpack(unit=unit, contents=contents, actor=by.actor(), read_point=by.read_point)


def affix_seal(*, unit: LogisticUnit, seal: seals.NewSeal, by: By, consignment: Consignment | None = None) -> Seal:
    """Put a seal on a unit (:func:`shipments.seals.affix_seal`). :raises Refusal:"""
    with transaction.atomic():
        return seals.affix_seal(unit=unit, seal=seal, act=_act(by), consignment=consignment)


def check_seal(*, seal: Seal, finding: str, by: By, found_number: str = "") -> Seal:
    """Record how a seal was found (:func:`shipments.seals.check_seal`). :raises Refusal:"""
    with transaction.atomic():
        return seals.check_seal(seal=seal, finding=finding, found_number=found_number, act=_act(by))


def break_seal(*, seal: Seal, reason: str, by: By) -> Seal:
    """Break a seal, with the reason (:func:`shipments.seals.break_seal`). :raises Refusal:"""
    with transaction.atomic():
        return seals.break_seal(seal=seal, reason=reason, act=_act(by))


def replace_seal(*, seal: Seal, new: seals.NewSeal, reason: str, by: By) -> Seal:
    """Break a seal and put another in its place (:func:`shipments.seals.replace_seal`). :raises Refusal:"""
    with transaction.atomic():
        return seals.replace_seal(seal=seal, by=new, reason=reason, act=_act(by))


def _act(by: By) -> seals.Act:
    """Seal the note in the caller's transaction: a refusal takes it back."""
    actor, note = by.actor(), by.note.strip()
    if not note:
        return seals.Act(actor, by.read_point)
    if len(note) > MAX_NOTE:
        raise NoteTooLong(limit=MAX_NOTE)
    sealed = seal_evidence(person=by.person, kind=EvidenceKind.NOTE, value=note.encode("utf-8", "replace"))
    return seals.Act(actor, by.read_point, note=sealed.commitment)
