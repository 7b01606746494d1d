"""
Declarations: submit one, amend it by a later version. Each version is an entry in the shipment's own chain.

What is declared is kept in the declarant's words: a version's document is a canonical JSON attachment that the entry
names by digest, and nothing is ever changed, whatever was inspected or held meanwhile. Persons are identifiers here.
"""

import hashlib
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from ledger import attachments
from ledger.submission import submit
from ledger.tlog import canonical
from ledger.tlog.times import format_time
from refusals import Refusal
from shipments.actors import Actor, Proof
from shipments.commodity_codes import fold_code
from shipments.declared import ROLES, Declared, Fault, read_declared
from shipments.declared_changes import Change, differences, party_number
from shipments.intake import PartyNamed, party_on_file
from shipments.models import (
    Consignment,
    Declaration,
    DeclarationKind,
    DeclarationVersion,
    DeclaredNumber,
    GoodsItem,
    Party,
)
from shipments.references import fold_reference, ucr_warnings

LISTED = 100
MOST_PARTIES = 500
# A change's text in an entry: a hundred of them must fit beside everything else (ledger.submission.MAX_BODY_BYTES).
CLIPPED = 40

Parties = Mapping[str, PartyNamed]


class DeclarationRefused(Refusal):
    code = "declaration_refused"
    message = _("Nothing was submitted: fields that cannot be used: %(count)s. Mend them and submit again.")
    status = 422

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(faults)
        told = [asdict(fault) | {"sentence": str(fault.sentence)} for fault in self.faults]
        super().__init__(count=len(self.faults), fields=told)


class DeclarationExists(Refusal):
    code = "declaration_exists"
    message = _("Shipment %(reference)s has this declaration already, under %(lrn)s. Amend that one.")


class DeclarationChanged(Refusal):
    code = "declaration_changed"
    message = _("Version %(number)s was submitted meanwhile. Look at it, and amend that one.")


class NothingAmended(Refusal):
    code = "nothing_amended"
    message = _("Nothing was submitted: this says what version %(number)s says already.")


class AttemptReused(Refusal):
    code = "attempt_reused"
    message = _("This attempt's number belongs to another submission. Use a new one.")


class DeclarationNotAsShown(Refusal):
    code = "not_as_shown"
    message = _("Nothing was submitted: this is not what the person was verified for. Prepare it again.")


@dataclass(frozen=True, slots=True)
class Prepared:
    """What a submission would say, before anybody submits it: the document's bytes, and what it changes."""

    content: bytes
    changes: Sequence[Change]

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()


def prepare_declaration(*, consignment: Consignment, told: Mapping[str, Any], parties: Parties) -> Prepared:
    """
    Check a first version and say what it would be; organisations that are new are put on file.

    :raises Refusal: as :func:`submit_declaration`
    """
    declared = _read(told, parties)
    with transaction.atomic():
        document = _document(consignment, declared, _on_file(parties))
    known = Declaration.objects.filter(consignment=consignment, kind=declared.kind, lrn=declared.lrn)
    if known.exists():
        raise DeclarationExists(reference=consignment.reference, lrn=declared.lrn)
    return Prepared(canonical.encode(document), [])


def prepare_amendment(
    *, declaration: Declaration, told: Mapping[str, Any], parties: Parties, amends: int | None = None
) -> Prepared:
    """
    Check a later version and say what it would change.

    :raises Refusal: as :func:`amend_declaration`
    """
    declared = _read({**told, "kind": declaration.kind, "lrn": declaration.lrn}, parties)
    with transaction.atomic():
        document = _document(declaration.consignment, declared, _on_file(parties))
    return Prepared(canonical.encode(document), _changed(declaration, document, amends))


def _changed(declaration: Declaration, document: dict[str, Any], amends: int | None) -> list[Change]:
    if amends is not None and amends != declaration.version:
        raise DeclarationChanged(number=declaration.version)
    changes = changes_of(declaration, document)
    if not changes:
        raise NothingAmended(number=declaration.version)
    return changes


def submit_declaration(
    *,
    consignment: Consignment,
    told: Mapping[str, Any],
    parties: Parties,
    by: Actor,
    attempt: uuid.UUID,
    proof: Proof | None = None,
) -> DeclarationVersion:
    """
    Submit the first version of a declaration.

    :param told: its content as plain values (docs/goods.md)
    :param parties: by role; the declarant is needed
    :param attempt: the idempotency key: the same attempt returns the same version
    :param proof: what verified the person; absent where nobody was
    :raises Refusal: declaration_refused, declaration_exists, party_refused, attempt_reused, not_as_shown
    """
    declared = _read(told, parties)
    with transaction.atomic():
        # Locked: which declaration of a shipment is the newest is decided by one at a time.
        consignment = Consignment.objects.select_for_update(of=("self",)).get(pk=consignment.pk)
        on_file = _on_file(parties)
        document = _document(consignment, declared, on_file)
        if known := _same_attempt(attempt, consignment, document):
            return known
        declaration, made = Declaration.objects.get_or_create(
            consignment=consignment, kind=declared.kind, lrn=declared.lrn
        )
        if not made:
            raise DeclarationExists(reference=consignment.reference, lrn=declaration.lrn)
        return _store(declaration, declared, on_file, document, changes=[], by=by, attempt=attempt, proof=proof)


def amend_declaration(
    *,
    declaration: Declaration,
    told: Mapping[str, Any],
    parties: Parties,
    by: Actor,
    attempt: uuid.UUID,
    amends: int | None = None,
    proof: Proof | None = None,
) -> DeclarationVersion:
    """
    Submit a later version, and say field by field what it changes. Kind and local reference stay.

    It is possible at any time: a version after an inspection or a hold stands after it in the shipment's chain.

    :param told: the whole content anew, as in :func:`submit_declaration`
    :param amends: the number of the version that the declarant had before their eyes, where known
    :param proof: as in :func:`submit_declaration`
    :raises Refusal: declaration_refused, declaration_changed, nothing_amended, party_refused, attempt_reused,
        not_as_shown
    """
    declared = _read({**told, "kind": declaration.kind, "lrn": declaration.lrn}, parties)
    with transaction.atomic():
        consignment = Consignment.objects.select_for_update(of=("self",)).get(pk=declaration.consignment_id)
        declaration = Declaration.objects.select_related("consignment").get(pk=declaration.pk)
        on_file = _on_file(parties)
        document = _document(consignment, declared, on_file)
        if known := _same_attempt(attempt, consignment, document):
            return known
        changes = _changed(declaration, document, amends)
        declaration.version += 1
        declaration.save(update_fields=["version"])
        return _store(declaration, declared, on_file, document, changes=changes, by=by, attempt=attempt, proof=proof)


def changes_of(declaration: Declaration, document: Mapping[str, Any]) -> list[Change]:
    """What ``document`` would change of the newest version."""
    return differences(read_document(newest_version(declaration)), document)


def newest_version(declaration: Declaration) -> DeclarationVersion:
    return declaration.versions.get(number=declaration.version)


def newest_versions() -> QuerySet[DeclarationVersion]:
    """The newest version of each declaration, the one submitted last first."""
    return DeclarationVersion.objects.filter(number=F("declaration__version")).order_by(
        "-submitted_at", "-statement_id"
    )


def declared_last(consignment: Consignment) -> DeclarationVersion | None:
    """The version that was submitted last of all the shipment's declarations; None where nothing was declared."""
    return (
        DeclarationVersion.objects.filter(declaration__consignment=consignment)
        .select_related("declaration", "statement__entry")
        # By the order in which they were submitted, not by a clock that may have been set back.
        .order_by("-statement_id")
        .first()
    )


def find_declarations(
    *, mrn: str = "", lrn: str = "", hs: str = "", party: str = "", text: str = ""
) -> QuerySet[DeclarationVersion]:
    """
    Return newest versions that fit everything asked for; what is empty is not asked.

    :param hs: the first digits of a commodity code
    :param party: a GLN, an EORI, or a part of a name
    :param text: any of these, or the shipment's reference
    """
    found = newest_versions()
    if mrn:
        found = found.filter(mrn=mrn)
    if lrn:
        found = found.filter(declaration__lrn=lrn)
    if hs:
        found = found.filter(_holding(hs))
    if party:
        found = found.filter(_with_party(party))
    if text:
        folded, digits = fold_reference(text), fold_code(text)
        fits = Q(mrn=folded) | Q(declaration__lrn__icontains=folded) | Q(declaration__consignment__reference=folded)
        if digits.isascii() and digits.isdigit() and 2 <= len(digits) <= 10:
            fits |= Q(_holding(digits))
        found = found.filter(fits | _with_party(text))
    return found


def _holding(hs: str) -> Exists:
    return Exists(GoodsItem.objects.filter(version=OuterRef("pk"), hs_code__startswith=hs))


def _with_party(text: str) -> Q:
    # Looked up first: the database would else go through four joins of parties for each declaration.
    named = Party.objects.filter(Q(gln=text) | Q(eori=fold_reference(text)) | Q(name__icontains=text))
    ids = list(named.values_list("pk", flat=True)[:MOST_PARTIES])
    return Q(declarant__in=ids) | Q(representative__in=ids) | Q(importer__in=ids) | Q(exporter__in=ids)


def read_document(version: DeclarationVersion) -> dict[str, Any]:
    """
    Return the version as it was submitted, from its attachment, checked against its digest.

    :raises AttachmentChanged: if the bytes are not those that were submitted
    """
    document = canonical.decode(attachments.load(version.document_sha256))
    assert isinstance(document, dict)
    return document


def _read(told: Mapping[str, Any], parties: Parties) -> Declared:
    declared, faults = read_declared(told, kinds=DeclarationKind.values)
    if "declarant" not in parties:
        faults.append(Fault("declarant", "", "declarant_missing", _("Say who declares.")))
    for role, named in parties.items():
        if role not in ROLES:
            named_role = role[:40].encode("utf-8", "replace").decode()
            faults.append(Fault(named_role, "", "role_unknown", _("A declaration has no such party.")))
        elif not named.name.strip():
            faults.append(Fault(role, "", "party_without_name", _("Give the name of the organisation too.")))
    if declared is None or faults:
        raise DeclarationRefused(faults)
    return declared


def _on_file(parties: Parties) -> dict[str, Party]:
    return {role: party_on_file(parties[role]) for role in ROLES if role in parties}


def _document(consignment: Consignment, declared: Declared, parties: Mapping[str, Party]) -> dict[str, Any]:
    goods = {"reference": consignment.reference} | ({"ucr": consignment.ucr} if consignment.ucr else {})
    return declared.document(goods=goods, parties={role: _numbers(party) for role, party in parties.items()})


def _numbers(party: Party) -> dict[str, str]:
    numbers = {"party": party.pk.urn, "gln": party.gln, "eori": party.eori}
    return {name: number for name, number in numbers.items() if number}


def _same_attempt(attempt: uuid.UUID, consignment: Consignment, document: dict[str, Any]) -> DeclarationVersion | None:
    known = DeclarationVersion.objects.select_related("declaration").filter(attempt=attempt).first()
    if known is None:
        return None
    if known.declaration.consignment_id != consignment.pk or read_document(known) != document:
        raise AttemptReused
    return known


def _store(
    declaration: Declaration,
    declared: Declared,
    parties: Mapping[str, Party],
    document: dict[str, Any],
    *,
    changes: Sequence[Change],
    by: Actor,
    attempt: uuid.UUID,
    proof: Proof | None,
) -> DeclarationVersion:
    consignment, at = declaration.consignment, timezone.now()
    warnings = (ucr_warnings(consignment.ucr) if consignment.ucr else []) + declared.warnings(today=at.date())
    sha256 = attachments.store(canonical.encode(document), media_type="application/json")
    if proof is not None and proof.document != sha256:
        raise DeclarationNotAsShown
    version = DeclarationVersion(
        declaration=declaration,
        number=declaration.version,
        attempt=attempt,
        mrn=declared.mrn,
        office=declared.office,
        **parties,
        gross_g=declared.gross_g,
        items=len(declared.items),
        warnings=warnings,
        changes=[change.as_json() for change in changes],
        submitted_at=at,
        submitted_by=by.account,
        person=by.person,
        document_sha256=sha256,
    )
    version.statement = submit(
        kind="declaration" if version.number == 1 else "declaration_amended",
        subject=consignment.pk.urn,
        body=_body(version, declared, document, changes, by) | dict(proof.parts if proof else {}),
        key=f"declaration:{attempt}",
    )
    try:
        with transaction.atomic():
            version.save(force_insert=True)
    except IntegrityError as error:
        # Another shipment's submission took the number between the look and this insert.
        raise AttemptReused from error
    _index(version, declared)
    # What everything else weighs and names the goods by: the declaration that was submitted last.
    Consignment.objects.filter(pk=consignment.pk).update(
        declared_gross_mass_g=declared.gross_g, **({"mrn": declared.mrn} if declared.mrn else {})
    )
    return version


def _index(version: DeclarationVersion, declared: Declared) -> None:
    GoodsItem.objects.bulk_create(
        [
            GoodsItem(
                version=version,
                number=item.number,
                hs_code=item.hs,
                hs_edition=item.hs_edition,
                description=item.description,
                packages=item.packages,
                package_kind=item.package_kind,
                marks=item.marks,
                gross_g=item.gross_g,
                net_g=item.net_g,
                value_minor=item.value_minor,
                currency=item.currency,
                origin=item.origin,
                procedure=item.procedure,
            )
            for item in declared.items
        ]
    )
    sort = DeclaredNumber.Sort
    numbers = [(sort.DOCUMENT, kind, number) for kind, number in declared.documents]
    numbers += [(sort.CONTAINER, "", number) for number in declared.containers]
    numbers += [(sort.SEAL, "", number) for number in declared.seals]
    DeclaredNumber.objects.bulk_create(
        [DeclaredNumber(version=version, sort=one, document_type=kind, number=number) for one, kind, number in numbers]
    )


def _body(
    version: DeclarationVersion,
    declared: Declared,
    document: dict[str, Any],
    changes: Sequence[Change],
    by: Actor,
) -> dict[str, Any]:
    """The entry's body (docs/ledger-format.md); the document holds all that is cut off here."""
    declaration = version.declaration
    mrn = {"mrn": declared.mrn} if declared.mrn else {}
    codes = sorted({item.hs for item in declared.items})
    values = declared.values()
    items: dict[str, Any] = {
        "count": len(declared.items),
        "hs": codes[:LISTED],
        "hs_total": len(codes),
        "gross_g": declared.gross_g,
        "packages": declared.packages,
        "values": [{"currency": currency, "minor": minor} for currency, minor in list(values.items())[:LISTED]],
    }
    if declared.net_g is not None:
        items["net_g"] = declared.net_g
    body: dict[str, Any] = {
        "declaration": declaration.pk.urn,
        "version": version.number,
        "attempt": version.attempt.urn,
        "kind": declared.kind,
        "lrn": declared.lrn,
        "goods": document["goods"] | mrn,
        "parties": {role: party_number(party) for role, party in document["parties"].items()},
        "items": items,
        "document": version.document_sha256,
        "when": {"submitted_at": format_time(version.submitted_at)},
        "by": by.body(),
        **mrn,
    }
    if declared.office:
        body["office"] = declared.office
    for field in ("documents", "containers", "seals"):
        if listed := document.get(field):
            body[field] = listed[:LISTED]
            body[f"{field}_total"] = len(listed)
    if version.warnings:
        body["warnings"] = version.warnings
    if changes:
        body["changes"] = [change.as_json(most=CLIPPED) for change in changes[:LISTED]]
        body["changes_total"] = len(changes)
    return body
