"""
Retention: what is due by a rule is destroyed, and an ``erasure`` entry says which commitments open nothing any more.

The rows say what is due, so that a purge may stop anywhere, run twice or not at all for a day: the next one goes on.
"""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from django.db import transaction
from django.db.models import Count, Min
from django.utils import timezone

from biometrics.models import Evidence, EvidenceHold, Person, PersonKind, Template
from biometrics.remains import clear_remains
from biometrics.retention_rules import Rule, read_rules
from biometrics.vault import destroy_evidence, destroy_person_key
from ledger.submission import submit

# So many commitments of 67 bytes stay well below what an entry holds.
COMMITMENTS_AN_ENTRY = 500
_PEOPLE_AT_ONCE = 200


@dataclass(frozen=True)
class RuleState:
    """What a rule covers now: for the report."""

    rule: Rule
    kept: int
    due: int
    held: int
    oldest: datetime | None
    next_due: datetime | None
    destroyed_day: int
    destroyed_month: int


def purge_due() -> int:
    """
    Destroy what is due now, person by person, and return how many values were destroyed.

    A person's rows are locked, looked at again, destroyed and written of in one transaction. Nothing of a person on
    whom a hold stands is touched.
    """
    destroyed = sum(_purge(rule) for rule in read_rules())
    # At each purge, and not only after one that destroyed: a reader may have kept the last one from clearing the log.
    clear_remains()
    return destroyed


def report() -> list[RuleState]:
    """Tell rule by rule what is kept, what is due, and what was destroyed lately."""
    now = timezone.now()
    lately = {
        days: Counter(
            dict(
                Evidence.objects.filter(destroyed_at__gt=now - timedelta(days=days))
                .order_by()
                .values_list("destroyed_for")
                .annotate(Count("pk"))
            )
        )
        for days in (1, 30)
    }
    return [_state(rule, now, lately[1][rule.code], lately[30][rule.code]) for rule in read_rules()]


def erased_lately(*, days: int) -> int:
    """Count the people who were erased in the last ``days``; travellers' records end by a rule and are not counted."""
    erased = Person.objects.filter(erased_at__gt=timezone.now() - timedelta(days=days))
    return erased.exclude(kind=PersonKind.TRAVELLER).count()


def _state(rule: Rule, now: datetime, day: int, month: int) -> RuleState:
    kept = rule.kept().exclude(since=None)
    past = kept.filter(since__lte=now - rule.after)
    due = rule.due(at=now).count()
    waits = kept.filter(since__gt=now - rule.after).aggregate(first=Min("since"))["first"]
    return RuleState(
        rule=rule,
        kept=kept.count(),
        due=due,
        held=past.filter(person__in=EvidenceHold.objects.filter(lifted_at=None).values("person")).count(),
        oldest=kept.aggregate(first=Min("created_at"))["first"],
        next_due=waits + rule.after if waits else None,
        destroyed_day=day,
        destroyed_month=month,
    )


def _purge(rule: Rule) -> int:
    done = 0
    seen: set[UUID] = set()
    while True:
        people = rule.due(at=timezone.now()).exclude(person__in=seen).order_by().values_list("person", flat=True)
        batch = list(people.distinct()[:_PEOPLE_AT_ONCE])
        if not batch:
            return done
        seen.update(batch)
        for person in batch:
            while destroyed := _purge_person(rule, person):
                done += destroyed


def _purge_person(rule: Rule, person_id: UUID) -> int:
    with transaction.atomic():
        # Locked as a hold locks it: one that was placed meanwhile is seen by the query after it.
        person = Person.objects.select_for_update().get(pk=person_id)
        due = list(rule.due(at=timezone.now()).filter(person=person).order_by("created_at")[:COMMITMENTS_AN_ENTRY])
        destroyed = [row for row in due if destroy_evidence(evidence=row, destroyed_for=rule.code)]
        if destroyed:
            # A template whose value is gone can verify nobody.
            ended = Template.objects.filter(active=True, evidence__in=destroyed)
            ended.update(active=False)
            body = _entry_body(person, rule, destroyed)
            if _end_traveller(person):
                body["key"] = "destroyed"
            submit(kind="erasure", subject=person.pk.urn, body=body, key=f"erasure:{uuid4()}")
    return len(destroyed)


def _end_traveller(person: Person) -> bool:
    """Destroy the key of a traveller of whom nothing is left: such a record was made for one passage."""
    if person.kind != PersonKind.TRAVELLER or Evidence.objects.filter(person=person, destroyed_at=None).exists():
        return False
    person.erased_at = timezone.now()
    person.save(update_fields=["erased_at"])
    return destroy_person_key(person=person)


def _entry_body(person: Person, rule: Rule, destroyed: list[Evidence]) -> dict[str, Any]:
    return {
        "person": person.pk.urn,
        "scope": "retention",
        "rule": rule.code,
        "after_hours": rule.hours,
        "kinds": {str(kind): count for kind, count in sorted(Counter(row.kind for row in destroyed).items())},
        "destroyed": [row.commitment for row in destroyed],
    }
