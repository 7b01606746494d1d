"""The watchlist and the groups through the API: the same services as on the pages, one call each; never a photo out."""

import uuid
from typing import Any, cast

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from rest_framework import serializers, status
from rest_framework.parsers import FormParser, JSONParser, MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.access import requires
from accounts.models import User
from accounts.roles import Capability
from biometrics import watchlist
from biometrics.engine.analysis import analyse_bytes
from biometrics.engine.quality import PROBE
from biometrics.identification import identify
from biometrics.models import AuthorisedGroup, WatchlistEntry, WatchlistLead
from biometrics.watchlist import entry_state

# So many of the newest; the pages show them all.
MOST_LISTED = 200


class ProposeFields(serializers.Serializer[Any]):
    photos = serializers.ListField(child=serializers.FileField(), allow_empty=False)
    reason = serializers.CharField(max_length=watchlist.MAX_REASON)
    authority = serializers.CharField(max_length=watchlist.MAX_AUTHORITY)
    expires_at = serializers.DateTimeField()
    name = serializers.CharField(max_length=watchlist.MAX_NAME, default="", allow_blank=True)


class RemoveFields(serializers.Serializer[Any]):
    reason = serializers.CharField(max_length=watchlist.MAX_REASON)


class DecideFields(serializers.Serializer[Any]):
    decision = serializers.ChoiceField(choices=["confirmed", "dismissed"])
    note = serializers.CharField(max_length=watchlist.MAX_REASON)


class IdentifyFields(serializers.Serializer[Any]):
    photo = serializers.FileField()


def describe_entry(entry: WatchlistEntry) -> dict[str, Any]:
    return {
        "id": entry.pk,
        "subject": entry.subject_id,
        "state": entry_state(entry),
        "authority": entry.authority,
        "photos": entry.k,
        "expires_at": entry.expires_at,
        "proposed_by": entry.proposed_by.get_username(),
        "proposed_at": entry.proposed_at,
        "confirmed_by": entry.confirmed_by.get_username() if entry.confirmed_by else None,
        "confirmed_at": entry.confirmed_at,
        "removed_at": entry.removed_at,
    }


def describe_lead(lead: WatchlistLead) -> dict[str, Any]:
    """Tell of a lead what its entry in the ledger tells, who it is said to be, and what an officer decided."""
    return {
        "id": lead.pk,
        "entry": lead.entry_id,
        "person": lead.person_id,
        "verification": lead.verification_id,
        "found_at": lead.found_at,
        "distance_e4": lead.distance_e4,
        "threshold_e4": lead.threshold_e4,
        "gallery_size": lead.gallery_size,
        "target_fpir": lead.target_fpir,
        "state": lead.state,
        "decided_by": lead.decided_by.get_username() if lead.decided_by else None,
        "decided_at": lead.decided_at,
    }


class WatchlistView(APIView):
    permission_classes = [requires(Capability.KEEP_WATCHLIST)]
    parser_classes = [JSONParser, FormParser, MultiPartParser]

    def entry(self, entry_id: uuid.UUID) -> WatchlistEntry:
        return get_object_or_404(_entries(), pk=entry_id)

    def user(self, request: Request) -> User:
        return cast(User, request.user)

    def answer(self, entry: WatchlistEntry, status: int = status.HTTP_200_OK) -> Response:
        return Response(describe_entry(self.entry(entry.pk)), status=status)


class Watchlist(WatchlistView):
    def get(self, request: Request) -> Response:
        return Response([describe_entry(entry) for entry in _entries()[:MOST_LISTED]])

    def post(self, request: Request) -> Response:
        fields = ProposeFields(data=request.data)
        fields.is_valid(raise_exception=True)
        typed = dict(fields.validated_data)
        photos = [file.read() for file in typed.pop("photos")]
        entry = watchlist.propose_watchlisted(**typed, photos=photos, proposed_by=self.user(request))
        return self.answer(entry, status.HTTP_201_CREATED)


class Confirm(WatchlistView):
    def post(self, request: Request, entry_id: uuid.UUID) -> Response:
        return self.answer(watchlist.confirm_watchlisted(entry=self.entry(entry_id), confirmed_by=self.user(request)))


class Remove(WatchlistView):
    def post(self, request: Request, entry_id: uuid.UUID) -> Response:
        fields = RemoveFields(data=request.data)
        fields.is_valid(raise_exception=True)
        return self.answer(
            watchlist.remove_watchlisted(
                entry=self.entry(entry_id), removed_by=self.user(request), **fields.validated_data
            )
        )


class Leads(WatchlistView):
    def get(self, request: Request) -> Response:
        leads = WatchlistLead.objects.select_related("decided_by")
        if request.query_params.get("state") in WatchlistLead.State.values:
            leads = leads.filter(state=request.query_params["state"])
        return Response([describe_lead(lead) for lead in leads[:MOST_LISTED]])


class Decide(WatchlistView):
    def post(self, request: Request, lead_id: uuid.UUID) -> Response:
        fields = DecideFields(data=request.data)
        fields.is_valid(raise_exception=True)
        lead = watchlist.decide_lead(
            lead=get_object_or_404(WatchlistLead, pk=lead_id),
            confirmed=fields.validated_data["decision"] == "confirmed",
            decided_by=self.user(request),
            note=fields.validated_data["note"],
        )
        return Response(describe_lead(lead))


class Identify(APIView):
    """Which member of a group a face is; the photo is compared and not kept."""

    permission_classes = [requires(Capability.MANAGE_PEOPLE)]
    parser_classes = [FormParser, MultiPartParser]

    def post(self, request: Request, group_id: uuid.UUID) -> Response:
        fields = IdentifyFields(data=request.data)
        fields.is_valid(raise_exception=True)
        group = get_object_or_404(AuthorisedGroup, pk=group_id)
        _photo, face = analyse_bytes(fields.validated_data["photo"].read(), policy=PROBE)
        candidate = identify(descriptor=face.descriptor, group=group)
        if candidate is None:
            return Response({"candidate": None})
        return Response(
            {
                "candidate": {
                    "person": candidate.person.pk,
                    "distance_e4": candidate.distance_e4,
                    "threshold_e4": candidate.threshold_e4,
                    "gallery_size": candidate.gallery_size,
                    "target_fpir": candidate.target_fpir,
                    "dataset": candidate.dataset,
                    "basis": candidate.basis,
                }
            }
        )


def _entries() -> QuerySet[WatchlistEntry]:
    return WatchlistEntry.objects.select_related("proposed_by", "confirmed_by")
