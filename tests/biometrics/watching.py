"""What the tests of 1:N share: a second officer, descriptors of real photos, probes on file, and entries as written."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
from django.utils import timezone

from accounts.models import User
from accounts.roles import Role
from biometrics.engine.analysis import analyse_bytes
from biometrics.engine.quality import PROBE
from biometrics.models import Evidence, EvidenceKind, Person, WatchlistEntry
from biometrics.vault import seal_evidence
from biometrics.watchlist import confirm_watchlisted, propose_watchlisted
from ledger.models import Statement
from ledger.tlog import canonical

REASON = "Ordered to be found: theft of cargo"
AUTHORITY = "Fiscalía 4, FED/2026/118"
NAME = "Prófugo Desconocido"


def second_officer() -> User:
    return User.objects.create_user("otto", role=Role.OFFICER)


def described(photo: bytes) -> np.ndarray:
    return analyse_bytes(photo, policy=PROBE)[1].descriptor


def propose(olga: User, *photos: bytes, **also: Any) -> WatchlistEntry:
    fields = {"reason": REASON, "authority": AUTHORITY, "expires_at": timezone.now() + timedelta(days=30), "name": NAME}
    return propose_watchlisted(photos=photos, proposed_by=olga, **(fields | also))


def put_on_watchlist(olga: User, otto: User, *photos: bytes, **also: Any) -> WatchlistEntry:
    return confirm_watchlisted(entry=propose(olga, *photos, **also), confirmed_by=otto)


def probe_of(person: Person, photo: bytes) -> Evidence:
    return seal_evidence(person=person, kind=EvidenceKind.PROBE, value=photo)


def bodies(kind: str) -> list[dict[str, Any]]:
    return [canonical.decode(bytes(row.body)) for row in Statement.objects.filter(kind=kind).order_by("pk")]


def sitting(photos: Path, name: str) -> bytes:
    return (photos / name).read_bytes()
