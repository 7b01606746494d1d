"""
Declarations through the API: the same services as on the pages, one call each.

What is posted becomes a draft; it is submitted once its author's face and second factor are confirmed (api/drafts.py).
"""

import uuid
from typing import Any, cast

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from rest_framework import serializers, status
from rest_framework.parsers import JSONParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.access import requires
from accounts.models import User
from accounts.roles import Capability
from custody.api.drafts import describe_draft
from custody.declarants import author_of
from custody.declaring import draft_amendment, draft_declaration
from shipments.declarations import find_declarations, read_document
from shipments.declared import ROLES
from shipments.intake import PartyNamed
from shipments.models import Consignment, Declaration, DeclarationVersion
from shipments.references import fold_reference

# So many of the newest; the pages show them all.
MOST_LISTED = 200


class PartyFields(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=200)
    gln = serializers.CharField(max_length=13, default="", allow_blank=True)
    eori = serializers.CharField(max_length=17, default="", allow_blank=True)


class SubmitFields(serializers.Serializer[Any]):
    """Who submits, for whom, and the attempt; the content itself is read by ``shipments.declared``."""

    attempt = serializers.UUIDField()
    person = serializers.UUIDField()
    parties = serializers.DictField(child=PartyFields())
    declaration = serializers.DictField()
    amends = serializers.IntegerField(required=False, min_value=1)

    def parties_named(self) -> dict[str, PartyNamed]:
        return {role: PartyNamed(**party) for role, party in self.validated_data["parties"].items()}


def describe(version: DeclarationVersion, *, whole: bool = False) -> dict[str, Any]:
    """Tell of one version what the list shows; ``whole`` adds the document as it was submitted."""
    declaration = version.declaration
    entry = version.statement.entry
    answer: dict[str, Any] = {
        "id": declaration.pk,
        "shipment": declaration.consignment_id,
        "reference": declaration.consignment.reference,
        "kind": declaration.kind,
        "lrn": declaration.lrn,
        "mrn": version.mrn,
        "version": version.number,
        "versions": declaration.version,
        "items": version.items,
        "gross_g": version.gross_g,
        "warnings": version.warnings,
        "changes": version.changes,
        "submitted_at": version.submitted_at,
        "person": version.person,
        "verified": author_of(version).told(),
        "document_sha256": version.document_sha256,
        "entry": {"index": entry.index, "leaf_hash": bytes(entry.leaf_hash).hex()} if entry else None,
    }
    if whole:
        answer["document"] = read_document(version)
    return answer


class DeclarationApi(APIView):
    parser_classes = [JSONParser]

    def get_permissions(self) -> Any:
        capability = Capability.SEE_GOODS if self.request.method in ("GET", "HEAD") else Capability.DECLARE
        return [requires(capability)()]


class ShipmentDeclarations(DeclarationApi):
    def get(self, request: Request, consignment_id: uuid.UUID) -> Response:
        consignment = get_object_or_404(Consignment, pk=consignment_id)
        found = find_declarations().filter(declaration__consignment=consignment)
        return Response([describe(version) for version in _joined(found)[:MOST_LISTED]])

    def post(self, request: Request, consignment_id: uuid.UUID) -> Response:
        consignment = get_object_or_404(Consignment, pk=consignment_id)
        fields = SubmitFields(data=request.data)
        fields.is_valid(raise_exception=True)
        sent = fields.validated_data
        draft = draft_declaration(
            consignment=consignment,
            told=sent["declaration"],
            parties=fields.parties_named(),
            person=sent["person"],
            by=cast(User, request.user),
            attempt=sent["attempt"],
        )
        return Response(describe_draft(draft), status=status.HTTP_201_CREATED)


class Versions(DeclarationApi):
    def get(self, request: Request, declaration_id: uuid.UUID) -> Response:
        declaration = get_object_or_404(Declaration, pk=declaration_id)
        return Response([describe(version) for version in _versions().filter(declaration=declaration)])

    def post(self, request: Request, declaration_id: uuid.UUID) -> Response:
        declaration = get_object_or_404(Declaration, pk=declaration_id)
        fields = SubmitFields(data=request.data)
        fields.is_valid(raise_exception=True)
        sent = fields.validated_data
        draft = draft_amendment(
            declaration=declaration,
            told=sent["declaration"],
            parties=fields.parties_named(),
            person=sent["person"],
            by=cast(User, request.user),
            attempt=sent["attempt"],
            amends=sent.get("amends"),
        )
        return Response(describe_draft(draft), status=status.HTTP_201_CREATED)


class Version(DeclarationApi):
    def get(self, request: Request, declaration_id: uuid.UUID, number: int) -> Response:
        version = get_object_or_404(_versions(), declaration_id=declaration_id, number=number)
        return Response(describe(version, whole=True))


class Declarations(DeclarationApi):
    def get(self, request: Request) -> Response:
        # PostgreSQL takes no NUL.
        asked = {
            name: request.query_params.get(name, "").replace("\0", "").strip()[:200]
            for name in ("mrn", "lrn", "hs", "party")
        }
        asked |= {name: fold_reference(asked[name]) for name in ("mrn", "lrn", "hs")}
        return Response([describe(version) for version in _joined(find_declarations(**asked))[:MOST_LISTED]])


def _versions() -> QuerySet[DeclarationVersion]:
    return _joined(DeclarationVersion.objects.order_by("number"))


def _joined(versions: QuerySet[DeclarationVersion]) -> QuerySet[DeclarationVersion]:
    return versions.select_related("declaration__consignment", "statement__entry", *ROLES)
