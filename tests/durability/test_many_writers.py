"""Eight writers and one sealer at once: no fork, no gap, and no lock error that anybody would see."""

import json
import os

import pytest

from tests.durability.conftest import Deployment

WRITERS = 8
APPENDS = int(os.environ.get("DURABILITY_APPENDS", "20000"))


@pytest.mark.slow
def test_eight_writers_at_once(deployment: Deployment):
    deployment.start("sealer")
    writers = [deployment.start_writer(count=APPENDS // WRITERS) for _ in range(WRITERS)]
    codes = [writer.wait(timeout=600) for writer in writers]
    assert codes == [0] * WRITERS, deployment.complaints()
    found = json.loads(deployment.run("inspect_log"))
    assert found["status"] == "intact_unwitnessed", found["sentence"]
    assert found["handoffs"] == found["statements"] == APPENDS
    assert set(found["sealed"]) == set(deployment.acknowledged())
    assert set(found["sealed"].values()) == {1}
    assert (found["pending"], found["size"]) == (0, found["entries"])
    assert found["root"] == found["root_of_tiles"]
    assert deployment.complaints() == ""
