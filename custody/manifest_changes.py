"""
Change a shipment's manifest while nothing was matched against it yet.

From its first handoff on, tags were counted by the manifest, in entries that nobody can change: it stays as it
is.
"""

from django.db import transaction

from custody.errors import ManifestInUse, ShipmentClosed
from custody.models import Handoff, HandoffState
from shipments import manifest_import
from shipments.manifest_import import ImportedManifest, ReadManifest
from shipments.models import Consignment


def change_manifest(
    *, consignment: Consignment, manifest: ReadManifest, replace: bool = False, check_only: bool = False
) -> ImportedManifest:
    """
    Add lines to the manifest, or put others in their place, before the shipment's first handoff.

    :raises Refusal: manifest_in_use, shipment_closed, and what :func:`shipments.manifest_import.change_manifest` raises
    """
    with transaction.atomic():
        # The lock that open_handoff takes: no handoff is opened while the manifest changes.
        consignment = Consignment.objects.select_for_update(of=("self",)).get(pk=consignment.pk)
        require_unused(consignment)
        return manifest_import.change_manifest(
            consignment=consignment, manifest=manifest, replace=replace, check_only=check_only
        )


def require_unused(consignment: Consignment) -> None:
    """:raises Refusal: shipment_closed, manifest_in_use"""
    if consignment.closed_at is not None:
        raise ShipmentClosed(reference=consignment.reference)
    if Handoff.objects.filter(consignment=consignment).exclude(state=HandoffState.CANCELLED).exists():
        raise ManifestInUse(reference=consignment.reference)
