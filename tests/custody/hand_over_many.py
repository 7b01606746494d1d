"""
Hand shipments over in a process of its own, for the tests of several writers on one SQLite file.

``make N``: migrate, make the demo world and N shipments for each dock. ``work DOCK…``: hand over each dock's shipments,
one thread for each dock named, with faces, and report as JSON what was acknowledged.
"""

import json
import os
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import django

os.environ["DJANGO_SETTINGS_MODULE"] = "custody.settings"
os.environ["CUSTODY_DEMO"] = "1"
django.setup()

from django.core.management import call_command  # noqa: E402
from django.db import connection  # noqa: E402

from accounts.models import User  # noqa: E402
from biometrics import verification  # noqa: E402
from biometrics.models import Person  # noqa: E402
from biometrics.replay import PhotoResubmitted  # noqa: E402
from demo import world  # noqa: E402
from shipments.models import Consignment, Party, Reader  # noqa: E402

DOCKS = ("jrz-dock-1", "elp-dock-1")
PEOPLE = Path(os.environ["CUSTODY_VAR"]) / "people.json"


def make(shipments: int) -> None:
    call_command("migrate", verbosity=0)
    made = world.make_world(Path(os.environ["CUSTODY_PHOTOS"]))
    PEOPLE.write_text(json.dumps([[str(one.person.pk), one.pin, one.live.hex()] for one in made.custodians]))
    consignor, consignee = Party.objects.all()[:2]
    for row, dock in enumerate(DOCKS):
        for number in range(shipments):
            world.make_shipment(
                10 + row * 1000 + number, f"{dock}-{number}".upper(), "Cartons", 4, 1000, consignor, consignee
            )


def pass_over_shown_before() -> None:
    """Evaluate the replay rule and go on: one picture stands for every live face, and the rule has tests of its own."""
    rule = verification.require_not_resubmitted

    def evaluated(**asked: Any) -> None:
        with suppress(PhotoResubmitted):
            rule(**asked)

    verification.require_not_resubmitted = evaluated


def work(docks: list[str]) -> None:
    pass_over_shown_before()
    acknowledged: list[str] = []
    faults: list[str] = []
    people = [
        world.Custodian(name="", pin=pin, person=Person.objects.get(pk=pk), live=bytes.fromhex(live))
        for pk, pin, live in json.loads(PEOPLE.read_text())
    ]
    operator = User.objects.get(username="operator")

    def hand_over(dock: str) -> None:
        try:
            for number, shipment in enumerate(Consignment.objects.filter(reference__startswith=dock.upper() + "-")):
                reader = Reader.objects.select_related("read_point").get(name=dock)
                handoff = world.hand_over(shipment, to=people[number % len(people)], at=reader, by=operator)
                acknowledged.append(str(handoff.pk))
        except Exception as error:
            faults.append(f"{dock}: {type(error).__name__}: {error}")
        finally:
            connection.close()

    threads = [threading.Thread(target=hand_over, args=(dock,)) for dock in docks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(json.dumps({"acknowledged": acknowledged, "faults": faults}))  # noqa: T201


if __name__ == "__main__":
    if sys.argv[1] == "make":
        make(int(sys.argv[2]))
    else:
        work(sys.argv[2:])
