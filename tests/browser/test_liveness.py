"""
Head turns before a camera that is a canvas: it shows frames WARPED from a real photo (tests/biometrics/turning.py), the
one for whatever the page asks just then. What the page shows, sends and says is real; that a head turned is not.
"""

import base64
import dataclasses
import json
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.biometrics.turning import angles, turn
from tests.browser import conftest
from tests.browser.conftest import ROOT, Server
from tests.browser.test_first_handoff import cancel_handoff, match_all_tags, start_handoff

pytestmark = [pytest.mark.browser, pytest.mark.slow]

# Draws the frame for what the page asks, a third of a second later as a person would, and never twice alike.
CAMERA = """
(() => {
  const shown = %(frames)s;
  const images = Object.fromEntries(Object.entries(shown).map(([pose, src]) => {
    const image = new Image();
    image.src = src;
    return [pose, image];
  }));
  const canvas = document.createElement("canvas");
  canvas.width = 640;
  canvas.height = 576;
  let count = 0, pose = "front";
  setInterval(() => {
    const asked = document.querySelector("[data-liveness]")?.dataset.ask || "front";
    setTimeout(() => { pose = asked; }, 350);
    count += 1;
    const context = canvas.getContext("2d");
    context.drawImage(images[pose], (count %% 7) - 3, (count %% 5) - 2);
    // A camera's noise: no two frames of it are the same to the pixel, and a frame shown before would be known again.
    context.fillStyle = `rgb(${[0, 0, 0].map(() => Math.floor(Math.random() * 256)).join(" ")})`;
    context.fillRect(8, 8, 16, 16);
  }, 40);
  navigator.mediaDevices.getUserMedia = async () => canvas.captureStream(25);
})();
"""


@pytest.fixture(scope="module")
def server(server: Server) -> Iterator[Server]:
    """The demo world, served as a site that asks for liveness: its own server, which takes one photo, is left aside."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = conftest._environment(server.var) | {"BIOMETRICS_LIVENESS": "required"}
    with (server.var / "liveness.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "manage.py", "serve", "--port", str(port)],
            cwd=ROOT, env=environment, stdout=log, stderr=log,
        )  # fmt: skip
        try:
            conftest._wait_for(f"http://127.0.0.1:{port}", process, server.var / "liveness.log")
            yield dataclasses.replace(server, url=f"http://127.0.0.1:{port}")
        finally:
            process.terminate()
            process.wait(timeout=20)


@pytest.fixture(scope="module")
def marco(photos: Path) -> dict[str, str]:
    """Marco's three poses as data addresses; a photo that is neither enrolled nor in the demo's record."""
    photo = (photos / "obama2.jpg").read_bytes()
    return {
        pose: "data:image/jpeg;base64," + base64.b64encode(turn(photo, degrees=degrees)).decode()
        for pose, degrees in angles(photo).items()
    }


def show(page: Page, frames: dict[str, str]) -> None:
    page.add_init_script(CAMERA % {"frames": json.dumps(frames)})


def film_turns(page: Page) -> None:
    begin = page.get_by_role("button", name="Start the head turns")
    expect(begin).to_be_visible()
    begin.click()


def test_the_head_turns_as_asked_and_the_face_is_matched(
    server: Server, at_browser: Callable, marco: dict[str, str]
) -> None:
    with at_browser() as beto:
        page = beto.page
        show(page, marco)
        beto.log_in("operator")
        start_handoff(page, server, shipment="LRD-1042", receiver="Marco Ruiz")
        match_all_tags(page, server)
        expect(page.get_by_text("challenge-response evidence")).to_be_hidden()
        page.get_by_text("Why the head turns").click()
        expect(page.get_by_text(re.compile("do not stop a photo that software animates"))).to_be_visible()
        assert "30107" not in page.content()
        film_turns(page)
        asked = page.locator("[data-liveness-prompt]")
        expect(asked).to_have_attribute("aria-live", "polite")
        expect(asked).to_have_text(re.compile("^Turn your head to your (left|right)"), timeout=10_000)
        side = page.locator("[data-liveness]").get_attribute("data-ask")
        arrow = page.locator(f".liveness-arrow.is-{side}")
        expect(arrow).to_be_visible()
        box, stage = arrow.locator(".icon").bounding_box(), page.locator(".camera-stage").bounding_box()
        on_the_left = box["x"] + box["width"] / 2 < stage["x"] + stage["width"] / 2
        # Mirrored, as the preview is: the person's left is on the left of the screen.
        assert on_the_left == (side == "left")
        beto.shoot("liveness-asking")
        expect(page.get_by_text("Matched", exact=True)).to_be_visible(timeout=30_000)
        beto.shoot("liveness-matched")
        assert "distance" not in page.content().lower()
        cancel_handoff(page)


def test_a_picture_that_stays_as_it_is_is_refused_with_what_to_do(
    server: Server, at_browser: Callable, marco: dict[str, str]
) -> None:
    with at_browser() as beto:
        page = beto.page
        show(page, dict.fromkeys(marco, marco["front"]))
        beto.log_in("operator")
        start_handoff(page, server, shipment="LRD-1042", receiver="Marco Ruiz")
        match_all_tags(page, server)
        film_turns(page)
        expect(page.get_by_text(re.compile("A turn that was asked for was not seen"))).to_be_visible(timeout=30_000)
        expect(page.get_by_text("Matched", exact=True)).to_have_count(0)
        beto.shoot("liveness-refused")
        # The camera stands ready for another try, with another challenge.
        expect(page.get_by_role("button", name="Start the head turns")).to_be_visible()
        cancel_handoff(page)


def test_the_page_says_while_the_camera_is_live_what_the_picture_lacks(
    server: Server, at_browser: Callable, marco: dict[str, str]
) -> None:
    with at_browser() as beto:
        page = beto.page
        show(page, dict.fromkeys(marco, marco["left"]))
        beto.log_in("operator")
        start_handoff(page, server, shipment="LRD-1042", receiver="Marco Ruiz")
        with page.expect_response(re.compile("/people/hint$"), timeout=60_000) as answered:
            match_all_tags(page, server)
        assert answered.value.json()["code"] == "face_turned"
        expect(page.get_by_text("Look straight into the camera.")).to_be_visible()
        beto.shoot("liveness-hint")
        cancel_handoff(page)
