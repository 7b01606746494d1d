"""A representative amends a declaration in a real browser: a reload loses nothing, and their own face submits it."""

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import expect

from demo.reframing import reframe
from tests.browser.conftest import Server

pytestmark = pytest.mark.browser


def test_what_was_typed_survives_a_reload_and_a_refused_face(
    at_browser: Callable, server: Server, photos: Path, tmp_path: Path
) -> None:
    own = tmp_path / "victor.jpg"
    only = (photos / "biden.jpg").read_bytes()
    own.write_bytes(reframe(only, degrees=6, squeeze=1.2, sharpen=300, lean=0.1))
    with at_browser(width=1280) as person:
        person.log_in("representative")
        page = person.page
        page.goto(server.url + "/declarations/")
        page.get_by_role("link", name="JRZ-LRD-1044").click()
        page.get_by_role("link", name="Amend").click()
        items = page.get_by_label("Goods items")
        items.fill(items.input_value().replace("8537100000", "8708990000"))
        page.reload()
        expect(page.get_by_text("was put back")).to_be_visible()
        assert "8708990000" in page.get_by_label("Goods items").input_value()

        page.get_by_role("button", name="Go on to the face").click()
        expect(page.get_by_role("heading", name="Confirm the face of Víctor Salas")).to_be_visible()
        page.locator("input[type=file][name=photo]").set_input_files(photos / "obama2.jpg")
        expect(page.get_by_text("does not match Víctor Salas")).to_be_visible(timeout=60_000)
        page.reload()
        expect(page.get_by_text("8708990000").first).to_be_visible()
        page.locator("input[type=file][name=photo]").set_input_files(own)
        expect(page.get_by_text("One step is left")).to_be_visible(timeout=60_000)
        person.shoot("declaration-draft")
        page.get_by_label("Enter the PIN").fill(server.pins["Víctor Salas"])
        page.get_by_role("button", name="Submit the new version").click()
        expect(page.get_by_text("Version 3 of JRZ-LRD-1044 is submitted.")).to_be_visible()
        expect(page.get_by_role("heading", name="Refused attempts")).to_be_visible()
        # Sent is sent: the form begins from what is on file now.
        page.get_by_role("link", name="Amend").click()
        expect(page.get_by_text("was put back")).to_be_hidden()
        person.shoot("declaration-amended")
