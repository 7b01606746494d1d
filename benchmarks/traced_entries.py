"""The generated world's entries, in the form that the product gives them, and the rows that stand beside them."""

import hashlib
import json
import uuid
from datetime import datetime, timedelta
from typing import Any

from benchmarks.traced_world import Story, Truth
from ledger.models import Statement
from ledger.submission import Draft
from ledger.tlog import canonical
from ledger.tlog.times import format_time

_NS = 1_000_000_000


class Written:
    """Submits and seals what a stop of a story amounts to, and remembers the rows for the end."""

    def __init__(self, made: Any) -> None:
        self.made = made
        self.documents: dict[str, bytes] = {}
        self.handoffs: list[Any] = []
        self.sessions: list[Any] = []
        self.reports: list[tuple[Any, Any, list[str], datetime]] = []

    def of_stop(self, story: Story, place: int) -> list[Draft]:
        drafts = [] if place else [self._declaration(story, 1, story.stops[0].at - timedelta(hours=2))]
        drafts.append(self._handoff(story, place))
        if place == story.leg and story.truth in (Truth.INSPECTOR, Truth.AMENDED):
            officer = (
                story.culprit if story.truth == Truth.INSPECTOR else (story.declarant + 1) % len(self.made.persons)
            )
            assert officer is not None
            drafts.append(self._inspection(story, place, officer))
            if story.truth == Truth.AMENDED:
                drafts.append(self._declaration(story, 2, story.stops[place].at + timedelta(hours=2)))
        return drafts

    def submit(self, drafts: list[Draft]) -> None:
        from django.db import transaction

        from ledger.models import Attachment
        from ledger.sealing import seal_pending
        from ledger.submission import submit_all

        if not drafts:
            return
        with transaction.atomic():
            Attachment.objects.bulk_create(
                [Attachment(sha256=sha256, media_type="application/json", content=content)
                 for sha256, content in self.documents.items()],
                ignore_conflicts=True,
            )  # fmt: skip
            submit_all(drafts)
        self.documents.clear()
        seal_pending(limit=len(drafts))

    def rows(self) -> None:
        """Write sessions, handoffs, reports and reads, without the rows of verifications."""
        from django.db import connection, transaction

        from custody.models import Handoff
        from shipments.models import RawReport, ReadSession, TagRead

        keys = dict(Statement.objects.filter(key__startswith="handoff:").values_list("key", "pk"))
        for handoff in self.handoffs:
            handoff.statement_id = keys[f"handoff:{handoff.attempt}"]
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA ignore_check_constraints = ON")
        with transaction.atomic():
            ReadSession.objects.bulk_create(self.sessions, batch_size=500)
            Handoff.objects.bulk_create(self.handoffs, batch_size=500)
            reports = [
                RawReport(
                    reader=reader,
                    read_point=session.read_point,
                    session=session,
                    body=(body := json.dumps([session.pk.hex, seen]).encode()),
                    sha256=hashlib.sha256(body).hexdigest(),
                    received_at=at,
                    last_received_at=at,
                    reads_new=len(seen),
                )
                for session, reader, seen, at in self.reports
            ]
            RawReport.objects.bulk_create(reports, batch_size=500)
            TagRead.objects.bulk_create(
                [
                    TagRead(
                        reader=report.reader,
                        report=report,
                        epc_hex=epc,
                        read_at_ns=int(at.timestamp()) * _NS + number,
                        reader_time=format_time(at),
                    )
                    for report, (_session, _reader, seen, at) in zip(reports, self.reports, strict=True)
                    for number, epc in enumerate(seen)
                ],
                batch_size=2000,
            )
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA ignore_check_constraints = OFF")
            cursor.execute("ANALYZE")

    def _store(self, document: object) -> str:
        content = canonical.encode(document)
        sha256 = hashlib.sha256(content).hexdigest()
        self.documents[sha256] = content
        return sha256

    def _handoff(self, story: Story, place: int) -> Draft:
        from custody.models import Handoff
        from shipments.models import ReadSession

        stop = story.stops[place]
        assert stop.result is not None
        point, reader = self.made.points[stop.site], self.made.readers[stop.site]
        opened, matched, accepted = stop.at, stop.at + timedelta(minutes=4), stop.at + timedelta(minutes=7)
        receiver = self.made.persons[stop.to]
        releaser = self.made.persons[story.stops[place - 1].to] if place else None
        session, attempt, handoff = uuid.uuid4(), uuid.uuid4(), uuid.uuid4()
        reconciliation = self._store(stop.result.document(units=[]))
        document = self._store({"v": 2, "session": session.urn, "tags": [], "weak": [], "reports": []})
        earlier = [{"session": uuid.uuid4().urn, "document": document, "reports_root": "0" * 64}] * (stop.sessions - 1)
        reads = {"session": session.urn, "document": document, "reports_root": "0" * 64, "sessions": stop.sessions}
        reads |= {"reconciliation": reconciliation, **stop.result.summary()}
        reads |= {"earlier": earlier} if earlier else {}
        body = {
            "handoff": handoff.urn,
            "attempt": attempt.urn,
            "operator": self.made.operator.pk.urn,
            "goods": {"reference": story.reference, "sscc": [], "units": 0},
            "from": {"person": releaser.pk.urn, "role": "driver"} if releaser else {"role": "consignor"},
            "to": {"person": receiver.pk.urn, "role": "driver"},
            "where": {"site": point.site.gln, "read_point": point.sgln},
            "when": {
                "opened_at": format_time(opened),
                "reconciled_at": format_time(matched),
                "accepted_at": format_time(accepted),
            },
            "reads": reads,
            "face": _made_up_face(receiver.pk, accepted),
            "second_factor": "badge",
        }
        row = ReadSession(
            id=session, read_point=point, opened_by=self.made.operator, opened_at=opened, frozen_at=matched,
            document_sha256=document, reports_root="0" * 64,
        )  # fmt: skip
        self.sessions.append(row)
        self.handoffs.append(
            Handoff(
                id=handoff, attempt=attempt, consignment_id=story.pk, read_point=point, from_person=releaser,
                to_person=receiver, state="accepted", session=row, reconciliation_sha256=reconciliation,
                opened_by=self.made.operator, opened_at=opened, reconciled_at=matched, closed_at=accepted,
            )
        )  # fmt: skip
        self.reports.append((row, reader, list(stop.seen), opened + timedelta(minutes=2)))
        return Draft("handoff", story.pk.urn, body, f"handoff:{attempt}")

    def _declaration(self, story: Story, version: int, at: datetime) -> Draft:
        items = {"count": 1, "hs": ["8544300000" if version == 1 else "2402209000"], "hs_total": 1, "gross_g": 100_000}
        body: dict[str, Any] = {
            "declaration": uuid.UUID(int=story.number).urn,
            "version": version,
            "kind": "export",
            "lrn": story.reference,
            "goods": {"reference": story.reference},
            "items": items,
            "when": {"submitted_at": format_time(at)},
            "by": {"person": self.made.persons[story.declarant].pk.urn, "operator": self.made.operator.pk.urn},
        }
        if version > 1:
            change = {"field": "hs", "item": 1, "from": "8544300000", "to": "2402209000"}
            body |= {"changes": [change], "changes_total": 1}
        kind = "declaration" if version == 1 else "declaration_amended"
        return Draft(kind, story.pk.urn, body, f"{kind}:{story.number}:{version}")

    def _inspection(self, story: Story, place: int, officer: int) -> Draft:
        at = story.stops[place].at + timedelta(hours=1)
        body = {
            "intervention": uuid.uuid4().urn,
            "act": "inspection",
            "reason": "random_check",
            "findings": "differs" if story.truth == Truth.AMENDED else "conforms",
            "goods": {"reference": story.reference},
            "when": {"opened_at": format_time(at), "acted_at": format_time(at)},
            "by": {"person": self.made.persons[officer].pk.urn, "operator": self.made.operator.pk.urn},
        }
        return Draft("inspection", story.pk.urn, body, f"inspection:{story.number}")


def _made_up_face(person: uuid.UUID, at: datetime) -> dict[str, Any]:
    """A verification's record by its form; no face was compared, and ``dataset`` says so."""
    digest = hashlib.sha256(person.bytes).hexdigest()
    return {
        "verification": uuid.uuid4().urn, "person": person.urn, "outcome": "match", "distance_e4": 3127,
        "threshold_e4": 4900, "metric": "l2_mean", "k": 3, "m": 1, "target_fmr": "1e-4", "dataset": "synthetic",
        "calibration": digest, "probe": digest, "template": digest, "device": "webcam", "captured_at": format_time(at),
        "liveness": {"method": "none", "outcome": "not_performed"},
    }  # fmt: skip
