"""
Sealed entries become events that can be asked for. The row says how far; the signed notes say what.

A note that does not hold is no event: it is logged and passed by, and ``renew`` comes back to it once it was restored.
"""

import logging

from django.db import transaction
from django.utils import timezone

from custody.entry_checks import own_verifiers
from custody.epcis_events import NotExported, export_entry
from ledger.models import Entry
from ledger.tlog.note import Verifier
from shipments.epcis.indexing import index_event, store_events
from shipments.models import EpcisEvent, EpcisProjection

logger = logging.getLogger(__name__)

BATCH = 200


def project_new() -> int:
    """
    Make events of the entries sealed since the last time.

    Without the verifier key nothing is believed and nothing is made; the next call goes on from the same place.

    :returns: how many events
    """
    made = 0
    verifiers = own_verifiers()
    while verifiers:
        with transaction.atomic():
            EpcisProjection.objects.get_or_create(pk=1)
            # Locked: two processes at once would store the same events, and one of them fail.
            head = EpcisProjection.objects.select_for_update().get(pk=1)
            # In the order of the log: the sealer commits no entry before one with a lower index.
            entries = list(Entry.objects.filter(index__gte=head.next_index).order_by("index")[:BATCH])
            if not entries:
                break
            made += _project(entries, verifiers)
            head.next_index = entries[-1].index + 1
            head.save(update_fields=["next_index"])
    return made


def renew() -> int:
    """Begin anew at entry 0: what has its event keeps it, what could not be exported then is tried again."""
    EpcisProjection.objects.filter(pk=1).update(next_index=0)
    return project_new()


def _project(entries: list[Entry], verifiers: tuple[Verifier, ...]) -> int:
    indexes = [entry.index for entry in entries]
    known = set(EpcisEvent.objects.filter(entry_index__in=indexes).values_list("entry_index", flat=True))
    now = timezone.now()
    made = []
    for entry in entries:
        if entry.index in known:
            continue
        try:
            event = export_entry(entry, verifiers)
        except NotExported as error:
            logger.error("no EPCIS event was made of %s", error)
            continue
        if event is not None:
            made.append(index_event(event, record_time=now, origin=EpcisEvent.Origin.OWN, entry_index=entry.index))
    store_events(made)
    return len(made)
