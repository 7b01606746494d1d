"""Several connections at once: a reader retries while its first post is still being stored; a freeze in between."""

import hashlib
import json
import random
import threading

import pytest
from django.db import connection
from django.utils import timezone

from shipments.ingest import record_report
from shipments.models import RawReport, TagRead
from shipments.read_sessions import freeze_read_session, open_read_session, read_document
from tests.shipments.conftest import item_epc

STREAM = [(serial, ms) for serial in range(40) for ms in range(0, 100, 5)]
SAME = json.dumps({"reads": [{"epc": item_epc(1), "read_at": 1700000000000}]}).encode()


@pytest.mark.django_db(transaction=True)
def test_retries_at_once_store_each_read_once_and_a_freeze_takes_whole_reports(door, reader, beto) -> None:
    session = open_read_session(read_point=door, opened_by=beto)
    started = threading.Event()
    failures: list[Exception] = []
    counted: list[int] = []

    def post(seed: int) -> None:
        dice = random.Random(seed)
        stream = dice.sample(STREAM, len(STREAM))
        bodies = [SAME]
        for start in range(0, len(stream), 50):
            reads = [
                {"epc": item_epc(serial), "antenna": 1, "read_at": 1795356300000 + ms}
                for serial, ms in stream[start : start + 50]
            ]
            bodies.append(json.dumps({"reads": reads}).encode())
        try:
            for body in bodies:
                receipt = record_report(reader=reader, body=body, content_type="", received_at=timezone.now())
                counted.append(receipt.reads_new)
                started.set()
        except Exception as error:
            failures.append(error)
            started.set()
        finally:
            connection.close()

    threads = [threading.Thread(target=post, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    started.wait(timeout=30)
    frozen = freeze_read_session(session=session)
    for thread in threads:
        thread.join(timeout=60)

    assert failures == []
    assert TagRead.objects.count() == sum(counted) == len(STREAM) + 1
    assert RawReport.objects.get(sha256=hashlib.sha256(SAME).hexdigest()).deliveries == 4
    document = read_document(session=frozen)
    assert frozen.reports.count() == len(document["reports"]) >= 1
    assert TagRead.objects.filter(report__session=frozen).count() == sum(tag["reads"] for tag in document["tags"])
