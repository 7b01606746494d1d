"""
kill -9 of the sealer and of writers at random moments: what was acknowledged is sealed once, with no fork and no gap.

``DURABILITY_ACKNOWLEDGED`` asks for more than the short form that runs here.
"""

import json
import os
import random
import time

import pytest

from tests.durability.conftest import Deployment, kill

ACKNOWLEDGED = int(os.environ.get("DURABILITY_ACKNOWLEDGED", "5000"))
WRITERS = 3
KILLS = 12


@pytest.mark.slow
def test_nothing_acknowledged_is_lost(deployment: Deployment):
    chance = random.Random(20261122)
    sealer = deployment.start("sealer")
    writers = [deployment.start_writer() for _ in range(WRITERS)]
    killed = 0
    deadline = time.monotonic() + 600
    while len(deployment.acknowledged()) < ACKNOWLEDGED or killed < KILLS:
        assert time.monotonic() < deadline, deployment.complaints()
        time.sleep(chance.uniform(0.4, 1.6))
        # The sealer as often as all writers together: it has more that can go wrong.
        if chance.random() < 0.5:
            kill(sealer)
            sealer = deployment.start("sealer")
        else:
            kill(writers.pop(chance.randrange(WRITERS)))
            writers.append(deployment.start_writer())
        killed += 1
    for process in (sealer, *writers):
        kill(process)
    found = json.loads(deployment.run("inspect_log"))
    assert found["status"] == "intact_unwitnessed", found["sentence"]
    assert found["pending"] == 0
    assert found["size"] == found["entries"]
    assert found["root"] == found["root_of_tiles"]
    acknowledged = deployment.acknowledged()
    assert len(acknowledged) >= ACKNOWLEDGED
    assert [key for key in acknowledged if found["sealed"].get(key) != 1] == []
    # What was committed and not acknowledged any more is sealed too, once.
    assert set(found["sealed"].values()) == {1}
    assert found["handoffs"] == found["statements"] == len(found["sealed"])
    assert deployment.complaints() == ""
