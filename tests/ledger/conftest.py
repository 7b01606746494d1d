"""Statements to seal, without the apps that make real ones."""

import uuid
from collections.abc import Callable

import pytest
from django.db import transaction

from ledger.models import Statement
from ledger.submission import submit


@pytest.fixture
def submit_one() -> Callable[..., Statement]:
    """Submit a handoff-like statement; give the same ``subject`` twice to make a chain, the same ``key`` to repeat."""

    def submit_one(*, subject: str = "", key: str = "", **body: object) -> Statement:
        with transaction.atomic():
            return submit(
                kind="handoff",
                subject=subject or uuid.uuid4().urn,
                body=body or {"goods": {"reference": "LRD-1042"}},
                key=key or f"test:{uuid.uuid4()}",
            )

    return submit_one
