"""
Submit and seal in a process of its own, for the tests of many writers on one database.

``make``: migrate, and begin the log. ``write NAME COUNT``: submit so many statements, each in its own transaction.
``write-and-seal NAME COUNT``: the same, sealing after each as the embedded profile does. ``seal ENTRIES``: seal until
the log has so many. ``report``: what the log is now, as JSON.
"""

import json
import os
import sys
import time
import uuid

import django

os.environ["DJANGO_SETTINGS_MODULE"] = "custody.settings"
django.setup()

from django.core.management import call_command  # noqa: E402
from django.db import transaction  # noqa: E402

from ledger import submission  # noqa: E402
from ledger.models import Checkpoint, Entry, Statement  # noqa: E402
from ledger.own_policy import own_policy  # noqa: E402
from ledger.sealing import seal_all  # noqa: E402
from ledger.verification import verify_log  # noqa: E402


def write(name: str, count: int) -> None:
    subjects = [uuid.uuid4().urn for _ in range(3)]
    for number in range(count):
        with transaction.atomic():
            submission.submit(
                kind="handoff", subject=subjects[number % 3], body={"by": name, "n": number}, key=f"{name}:{number}"
            )


def seal(entries: int) -> None:
    deadline = time.monotonic() + 60
    while Entry.objects.count() < entries and time.monotonic() < deadline:
        seal_all()
        time.sleep(0.01)


def report() -> None:
    verdict = verify_log(policy=own_policy())
    sys.stdout.write(
        json.dumps(
            {
                "verdict": verdict.sentence(),
                "intact": verdict.intact,
                "indexes": list(Entry.objects.order_by("index").values_list("index", flat=True)),
                "sealed": sorted(Statement.objects.exclude(entry=None).values_list("key", flat=True)),
                "pending": Statement.objects.filter(entry=None).count(),
                "covered": Checkpoint.objects.first().size,
            }
        )
    )


match sys.argv[1:]:
    case ["make"]:
        call_command("migrate", verbosity=0)
        write("maker", 1)
    case ["write", name, count]:
        submission.hint_sealing = lambda: None
        write(name, int(count))
    case ["write-and-seal", name, count]:
        write(name, int(count))
    case ["seal", entries]:
        seal(int(entries))
    case ["report"]:
        report()
