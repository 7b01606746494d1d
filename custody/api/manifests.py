"""Manifests through the API: check one, or import it; the answer names every line that cannot be used."""

from typing import Any

from django.shortcuts import get_object_or_404
from rest_framework import serializers, status
from rest_framework.exceptions import ValidationError
from rest_framework.parsers import JSONParser, MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.access import requires
from accounts.roles import Capability
from custody.manifest_changes import change_manifest
from shipments.csv_table import MAX_BYTES, TableRefused
from shipments.intake import PartyNamed
from shipments.manifest_import import (
    ImportedManifest,
    NewShipment,
    ReadManifest,
    import_manifest,
    read_lines,
    read_manifest,
)
from shipments.models import Consignment


class ManifestFields(serializers.Serializer[Any]):
    """``lines`` as JSON, or ``file``; the shipment's own fields where it is a new one."""

    shipment = serializers.CharField(max_length=40)
    mode = serializers.ChoiceField(choices=["create", "extend", "replace"], default="create")
    check = serializers.BooleanField(default=False)
    file = serializers.FileField(required=False)
    company_prefix_length = serializers.IntegerField(required=False, min_value=6, max_value=12)
    consignor = serializers.CharField(max_length=200, default="")
    consignor_gln = serializers.CharField(max_length=13, default="", allow_blank=True)
    consignee = serializers.CharField(max_length=200, default="")
    consignee_gln = serializers.CharField(max_length=13, default="", allow_blank=True)
    description = serializers.CharField(max_length=500, default="")
    ucr = serializers.CharField(max_length=35, default="", allow_blank=True)
    declared_gross_mass_g = serializers.IntegerField(required=False, min_value=1)

    def validate(self, fields: dict[str, Any]) -> dict[str, Any]:
        if fields["mode"] == "create":
            missing = [name for name in ("consignor", "consignee", "description") if not fields[name]]
            if missing:
                raise ValidationError(dict.fromkeys(missing, "A new shipment needs this."))
        return fields


class Manifests(APIView):
    permission_classes = [requires(Capability.MANAGE_GOODS)]
    parser_classes = [JSONParser, MultiPartParser]

    def post(self, request: Request) -> Response:
        if int(request.META.get("CONTENT_LENGTH") or 0) > 2 * MAX_BYTES:
            raise TableRefused(problem="it has more than 12 MB. Split it, or leave out columns.")
        sent = request.data if isinstance(request.data, dict) else {}
        fields = ManifestFields(data=sent)
        fields.is_valid(raise_exception=True)
        asked = fields.validated_data
        manifest = _read(sent.get("lines"), asked)
        if asked["mode"] == "create":
            imported = import_manifest(manifest=manifest, shipment=_new(asked), check_only=asked["check"])
        else:
            imported = change_manifest(
                consignment=get_object_or_404(Consignment, reference=asked["shipment"].upper()),
                manifest=manifest,
                replace=asked["mode"] == "replace",
                check_only=asked["check"],
            )
        return Response(_tell(imported), status=status.HTTP_200_OK if imported.checked else status.HTTP_201_CREATED)


def _read(lines: Any, asked: dict[str, Any]) -> ReadManifest:
    prefix = asked.get("company_prefix_length")
    if "file" in asked:
        return read_manifest(asked["file"].read(MAX_BYTES + 1), company_prefix_length=prefix)
    if not isinstance(lines, list):
        raise ValidationError({"lines": "A list of lines, or a file."})
    return read_lines(lines, company_prefix_length=prefix)


def _new(asked: dict[str, Any]) -> NewShipment:
    return NewShipment(
        reference=asked["shipment"],
        consignor=PartyNamed(asked["consignor"], asked["consignor_gln"]),
        consignee=PartyNamed(asked["consignee"], asked["consignee_gln"]),
        description=asked["description"],
        ucr=asked["ucr"],
        declared_gross_mass_g=asked.get("declared_gross_mass_g"),
    )


def _tell(imported: ImportedManifest) -> dict[str, Any]:
    return {
        "shipment": imported.consignment.pk if imported.consignment else None,
        "checked": imported.checked,
        "lines": imported.lines,
        "units": imported.units,
        "columns_not_used": list(imported.ignored),
    }
