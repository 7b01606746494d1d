"""
What one writes first: a DRF serializer and ``bulk_create``. It has less to do than Custody: no credential, no report's
bytes, no quarantine, microseconds instead of nanoseconds.
"""

import os
from typing import Any

from django.urls import path
from rest_framework import serializers
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from shipments.models import TagRead

handler404 = "custody.api.errors.answer_missing"


class ReadSerializer(serializers.Serializer[Any]):
    epc = serializers.CharField(max_length=124)
    antenna = serializers.IntegerField(min_value=0, max_value=32767)
    read_at = serializers.DateTimeField()
    rssi_cdbm = serializers.IntegerField(required=False)


class PlainReadsView(APIView):
    authentication_classes = []
    permission_classes = [AllowAny]

    def post(self, request: Request) -> Response:
        serializer = ReadSerializer(data=request.data["reads"], many=True)
        serializer.is_valid(raise_exception=True)
        rows = [
            TagRead(
                reader_id=os.environ["PLAIN_READER"],
                report_id=int(os.environ["PLAIN_REPORT"]),
                epc_hex=read["epc"],
                antenna=read["antenna"],
                read_at_ns=int(read["read_at"].timestamp() * 1_000_000) * 1_000,
                reader_time=read["read_at"].isoformat(),
                rssi_cdbm=read.get("rssi_cdbm"),
            )
            for read in serializer.validated_data
        ]
        TagRead.objects.bulk_create(rows, ignore_conflicts=True)
        return Response({"reads_new": len(rows)})


urlpatterns = [path("plain", PlainReadsView.as_view())]
