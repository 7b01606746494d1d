"""
What could not be read at all, kept where its sender has no answer to act on: MQTT knows no 4xx, and what is
acknowledged is gone from the broker.
"""

import hashlib
from datetime import datetime

from django.db import transaction
from django.db.models import F

from shipments.models import QuarantinedEvent, RawReport, Reader
from shipments.readers.json_body import EXCERPT, excerpt


def keep_unreadable(
    *, reader: Reader, body: bytes, content_type: str, received_at: datetime, reason: str, detail: str = ""
) -> bool:
    """
    Keep ``body`` under ``reader`` as a report of one quarantined event.

    :param reason: a stable code of at most 40 characters
    :returns: False where the same bytes of this reader are kept already: then they are counted
    """
    with transaction.atomic():
        report, created = RawReport.objects.get_or_create(
            reader=reader,
            sha256=hashlib.sha256(body).hexdigest(),
            defaults={
                "read_point_id": reader.read_point_id,
                "body": body,
                "content_type": content_type,
                "received_at": received_at,
                "last_received_at": received_at,
                "events": 1,
                "quarantined": 1,
            },
        )
        if not created:
            RawReport.objects.filter(pk=report.pk).update(deliveries=F("deliveries") + 1, last_received_at=received_at)
            return False
        told = excerpt(f"{detail}: {body[:EXCERPT].decode('latin-1')}")
        QuarantinedEvent.objects.create(report=report, position=0, reason=reason[:40], excerpt=told)
        Reader.objects.filter(pk=reader.pk).update(last_seen_at=received_at, last_report_at=received_at)
    return True
