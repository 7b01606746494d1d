"""
The whole path in a real browser with a real face before its camera: a handoff accepted, another face refused, and the
auditor who sees both, verifies, and finds what was tampered with.
"""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Server

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def start_handoff(page, server: Server, *, shipment: str, receiver: str) -> None:
    """As the clerk: scan the shipment, name the receiver, start reading."""
    page.goto(f"{server.url}/handoffs/new/")
    page.get_by_label("Read point").select_option(label=_dock(page))
    box = page.get_by_label("Scan the shipment")
    box.fill(shipment)
    box.press("Enter")  # a wedge scanner ends its burst with Enter
    page.get_by_label(receiver).check(force=True)
    page.get_by_role("button", name="Start reading tags").click()
    expect(page.get_by_role("button", name="Match tags")).to_be_visible()


def wait_for_camera(page) -> None:
    video = page.locator("video")
    for _ in range(100):
        if video.evaluate("video => video.videoWidth") > 0:
            return
        page.wait_for_timeout(100)
    raise AssertionError("the camera shows no picture")


def _dock(page) -> str:
    labels = page.get_by_label("Read point").locator("option").all_inner_texts()
    return next(label for label in labels if "Juárez" in label and "Dock 1" in label)


def test_a_handoff_a_refusal_and_the_auditor(server: Server, at_browser: Callable, photos) -> None:
    # The operator hands LRD-1042 to Marco, whose face is before the camera.
    with at_browser(face=photos / "obama2.jpg") as beto:
        page = beto.page
        beto.log_in("operator")
        beto.shoot("handoffs")
        start_handoff(page, server, shipment="LRD-1042", receiver="Marco Ruiz")
        expect(page.get_by_text("0 of 9", exact=True)).to_be_visible()

        reads = server.manage("simulate_reader", "--url", server.url, "--shipment", "LRD-1042", "--rate", "200")
        assert reads.returncode == 0, reads.stderr
        expect(page.get_by_text("9 of 9", exact=True)).to_be_visible()
        beto.shoot("tags")
        page.get_by_role("button", name="Match tags").click()

        take = page.get_by_role("button", name="Take the photo")
        expect(take).to_be_enabled()
        wait_for_camera(page)
        beto.shoot("face")
        take.click()
        expect(page.get_by_text("Matched", exact=True)).to_be_visible()
        assert "distance" not in page.content().lower()

        page.get_by_label(re.compile("PIN")).fill(server.pins["Marco Ruiz"])
        page.get_by_role("button", name="Accept custody").click()
        expect(page.get_by_text(re.compile(r"Recorded as entry \d+"))).to_be_visible()
        beto.shoot("receipt")
        accepted = int(re.search(r"Recorded as entry (\d+)", page.inner_text("body")).group(1))

    # The same person on both sides, and then a face that is not the receiver's.
    with at_browser(face=photos / "obama2.jpg") as beto:
        page = beto.page
        beto.log_in("operator")
        page.goto(f"{server.url}/handoffs/new/")
        page.get_by_label("Read point").select_option(label=_dock(page))
        page.get_by_label("Scan the shipment").fill("LRD-9999")
        page.get_by_label("Scan the shipment").press("Enter")
        expect(page.get_by_text(re.compile("No shipment has the code"))).to_be_visible()
        beto.shoot("unknown-shipment")

        start_handoff(page, server, shipment="LRD-1042", receiver="Víctor Salas")
        server.manage("simulate_reader", "--url", server.url, "--shipment", "LRD-1042", "--rate", "200")
        expect(page.get_by_text("9 of 9", exact=True)).to_be_visible()
        page.get_by_role("button", name="Match tags").click()
        wait_for_camera(page)
        page.get_by_role("button", name="Take the photo").click()
        expect(page.get_by_text("The face does not match Víctor Salas. Attempts left: 2.").first).to_be_visible()
        beto.shoot("refused")

    with at_browser() as olga:
        olga.log_in("officer")
        expect(olga.page.get_by_text(re.compile("LRD-1042")).first).to_be_visible()
        expect(olga.page.get_by_text(re.compile("Víctor Salas")).first).to_be_visible()
        olga.shoot("officer-refusals")

    # The auditor sees both and verifies.
    with at_browser() as ana:
        page = ana.page
        ana.log_in("auditor")
        ledger = page.get_by_role("main")
        expect(ledger.get_by_text(re.compile("Marco Ruiz took over custody of LRD-1042")).first).to_be_visible()
        expect(ledger.get_by_text(re.compile("to Víctor Salas was refused")).first).to_be_visible()
        ana.shoot("ledger")
        page.goto(f"{server.url}/ledger/{accepted}/")
        expect(page.get_by_text(re.compile("Marco Ruiz took over custody")).first).to_be_visible()
        ana.shoot("entry")
        page.goto(f"{server.url}/ledger/verification/")
        page.get_by_role("button", name="Verify now").click()
        expect(page.get_by_text(re.compile("Intact")).first).to_be_visible()
        ana.shoot("intact")

        # Somebody with the database changes one byte: the auditor's page names that entry.
        assert server.manage("tamper", "--entry", str(accepted)).returncode == 0
        page.get_by_role("button", name="Verify now").click()
        expect(page.get_by_text(re.compile(rf"entry {accepted}\b", re.IGNORECASE)).first).to_be_visible()
        expect(page.get_by_text(re.compile("Expected", re.IGNORECASE)).first).to_be_visible()
        ana.shoot("broken")


def test_somebody_without_the_role_does_not_get_in(server: Server, at_browser: Callable) -> None:
    with at_browser() as carla:
        carla.log_in("administrator")
        for address in ("/handoffs/new/", "/ledger/", "/ledger/verification/", "/refusals/"):
            answer = carla.page.goto(server.url + address)
            assert answer is not None
            assert answer.status == 403, address
