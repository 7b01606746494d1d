"""
Submit statements, one a transaction, and acknowledge each after its commit.

``python -m tests.durability.writer FOLDER COUNT``: the acknowledged keys go line by line into a file of its own there;
COUNT 0 is until it is killed.
"""

import itertools
import os
import sys
import uuid
from pathlib import Path

import django


def main(folder: Path, count: int) -> None:
    os.environ["DJANGO_SETTINGS_MODULE"] = "custody.settings"
    django.setup()
    from django.db import transaction

    from ledger import submission

    # The sealer is a process of its own here.
    submission.hint_sealing = lambda: None
    name = uuid.uuid4().hex
    # Few shipments for many writers: their chains are continued by several writers at once.
    shipments = [uuid.uuid5(uuid.NAMESPACE_URL, f"shipment {number}").urn for number in range(20)]
    acknowledged = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for number in range(count) if count else itertools.count():
        key = f"{name}:{number}"
        with transaction.atomic():
            submission.submit(
                kind="handoff",
                subject=shipments[number % len(shipments)],
                body={"writer": name, "number": number},
                key=key,
            )
        os.write(acknowledged, f"{key}\n".encode())


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
