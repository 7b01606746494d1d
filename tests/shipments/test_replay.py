"""A hundred thousand reads, sent again in other batches: each is stored once, and nothing is missing."""

import json
import random
from datetime import UTC, datetime
from itertools import islice

import pytest
from django.db.models import Sum

from shipments.models import RawReport, TagRead

pytestmark = pytest.mark.django_db

READS = 100_000
FIRST_MS = 1795356300000
AT = datetime(2026, 11, 22, 14, 5, tzinfo=UTC)


def test_a_replayed_and_rebatched_stream_is_stored_exactly_once(receive) -> None:
    dice = random.Random(4)
    stream = [(f"3074257BF7194E40{n % 1009:08X}", FIRST_MS + n // 7) for n in range(READS)]
    written = [f'{{"epc":"{epc}","read_at":{ms},"antenna":1}}' for epc, ms in stream]
    new = known = 0

    def send(reads: list[str], largest: int) -> None:
        nonlocal new, known
        left = iter(reads)
        while batch := list(islice(left, dice.randint(1, largest))):
            receipt = receive(f'{{"reads":[{",".join(batch)}]}}'.encode(), at=AT)
            assert receipt.reads_new + receipt.reads_known == len(batch)
            assert receipt.quarantined == 0
            new, known = new + receipt.reads_new, known + receipt.reads_known

    # As it came, the last part of each batch once more in the next one; then all of it shuffled and batched anew.
    overlapping = [read for start in range(0, READS, 900) for read in written[max(0, start - 100) : start + 900]]
    send(overlapping, 4_000)
    assert new == READS
    dice.shuffle(written)
    send(written, 8_000)

    assert (new, known) == (READS, len(overlapping))
    stored = TagRead.objects.values_list("epc_hex", "read_at_ns")
    assert len(stored) == READS
    assert set(stored) == {(epc, ms * 1_000_000) for epc, ms in stream}
    totals = RawReport.objects.aggregate(new=Sum("reads_new"), known=Sum("reads_known"), events=Sum("events"))
    assert totals == {"new": READS, "known": known, "events": READS + known}
    # The bytes tell the same story as the rows.
    said = {
        (read["epc"], read["read_at"])
        for body in RawReport.objects.order_by().values_list("body", flat=True).iterator()
        for read in json.loads(bytes(body))["reads"]
    }
    assert said == set(stream)
