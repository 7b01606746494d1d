"""
The whole path in a real browser with a real face before its camera: a handoff accepted, everything that stops one, and
the auditor who sees both, verifies, and finds what was tampered with.

One server for all of it. ``accepted`` and ``refused`` are what happened at the dock before the others look.
"""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from tests.biometrics.pictures import encode, side_by_side
from tests.browser.conftest import Server

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def scan_shipment(page: Page, server: Server, code: str) -> None:
    page.goto(f"{server.url}/handoffs/new/")
    page.get_by_label("Read point").select_option(label=_dock(page))
    box = page.get_by_label("Scan the shipment")
    box.fill(code)
    box.press("Enter")  # a wedge scanner ends its burst with Enter


def choose_receiver(page: Page, name: str) -> None:
    page.get_by_label(name).check(force=True)
    page.get_by_role("button", name="Start reading tags").click()


def start_handoff(page: Page, server: Server, *, shipment: str, receiver: str) -> None:
    """As the clerk: scan the shipment, name the receiver, start reading."""
    scan_shipment(page, server, shipment)
    choose_receiver(page, receiver)
    expect(page.get_by_role("button", name="Match tags")).to_be_visible()


def reader_sees(server: Server, shipment: str, *, miss: int = 0) -> None:
    """A reader at the dock posts the shipment's tags over HTTP, but for ``miss`` of them."""
    reads = server.manage(
        "simulate_reader", "--url", server.url, "--shipment", shipment, "--rate", "200", "--miss", str(miss)
    )
    assert reads.returncode == 0, reads.stderr


def match_all_tags(page: Page, server: Server, *, holder: str = "") -> None:
    """Bring all nine tags of LRD-1042 past the reader, let ``holder`` hand over, and go on to the face."""
    reader_sees(server, "LRD-1042")
    expect(page.get_by_text("9 of 9", exact=True)).to_be_visible()
    page.get_by_role("button", name="Match tags").click()
    if holder:
        expect(page.get_by_role("heading", name=f"{holder} hands over")).to_be_visible()
        page.get_by_label(f"PIN of {holder}").fill(server.pins[holder])
        page.get_by_role("button", name="Hand over").click()
    expect(page.get_by_role("heading", name=re.compile("Confirm the face of"))).to_be_visible()


def take_photo(page: Page) -> None:
    take = page.get_by_role("button", name="Take the photo")
    expect(take).to_be_enabled()
    wait_for_camera(page)
    take.click()


def upload_photo(page: Page, file: Path) -> None:
    page.locator("input[type=file]").set_input_files(file)


def cancel_handoff(page: Page) -> None:
    """Leave the shipment and the read point to the next test."""
    page.get_by_text("Cancel this handoff").click()
    page.get_by_role("button", name="Cancel the handoff").click()
    expect(page.get_by_text("Cancelled", exact=True).first).to_be_visible()


def wait_for_camera(page: Page) -> None:
    video = page.locator("video")
    for _ in range(100):
        if video.evaluate("video => video.videoWidth") > 0:
            return
        page.wait_for_timeout(100)
    raise AssertionError("the camera shows no picture")


def _dock(page: Page) -> str:
    labels = page.get_by_label("Read point").locator("option").all_inner_texts()
    return next(label for label in labels if "Juárez" in label and "Dock 1" in label)


@pytest.fixture(scope="module")
def accepted(server: Server, at_browser: Callable, photos: Path) -> int:
    """The operator hands LRD-1042 to Marco, whose face is before the camera; the number of the entry on the receipt."""
    with at_browser(face=photos / "obama2.jpg") as beto:
        page = beto.page
        beto.log_in("operator")
        beto.shoot("handoffs")
        start_handoff(page, server, shipment="LRD-1042", receiver="Marco Ruiz")
        expect(page.get_by_text("0 of 9", exact=True)).to_be_visible()
        reader_sees(server, "LRD-1042")
        expect(page.get_by_text("9 of 9", exact=True)).to_be_visible()
        beto.shoot("tags")
        page.get_by_role("button", name="Match tags").click()

        wait_for_camera(page)
        beto.shoot("face")
        take_photo(page)
        expect(page.get_by_text("Matched", exact=True)).to_be_visible()
        assert "distance" not in page.content().lower()

        page.get_by_label(re.compile("PIN")).fill(server.pins["Marco Ruiz"])
        page.get_by_role("button", name="Accept custody").click()
        expect(page.get_by_text(re.compile(r"Recorded as entry \d+"))).to_be_visible()
        beto.shoot("receipt")
        return int(re.search(r"Recorded as entry (\d+)", page.inner_text("body")).group(1))


@pytest.fixture(scope="module")
def refused(accepted: int, server: Server, at_browser: Callable, photos: Path) -> None:
    """Marco's face stands before the camera where Víctor is to take LRD-1042 over."""
    with at_browser(face=photos / "obama2.jpg") as beto:
        beto.log_in("operator")
        start_handoff(beto.page, server, shipment="LRD-1042", receiver="Víctor Salas")
        match_all_tags(beto.page, server, holder="Marco Ruiz")
        take_photo(beto.page)
        expect(beto.page.get_by_text("The face does not match Víctor Salas. Attempts left: 2.").first).to_be_visible()
        beto.shoot("refused")
        cancel_handoff(beto.page)


def test_who_accepted_holds_custody(accepted: int, server: Server, at_browser: Callable) -> None:
    with at_browser() as beto:
        beto.log_in("operator")
        scan_shipment(beto.page, server, "LRD-1042")
        expect(beto.page.get_by_text("Marco Ruiz holds custody now.")).to_be_visible()


def test_the_same_person_does_not_stand_on_both_sides(accepted: int, server: Server, at_browser: Callable) -> None:
    with at_browser() as beto:
        beto.log_in("operator")
        scan_shipment(beto.page, server, "LRD-1042")
        choose_receiver(beto.page, "Marco Ruiz")
        sentence = "Marco Ruiz already holds custody of LRD-1042. Somebody else must take it."
        expect(beto.page.get_by_text(sentence)).to_be_visible()
        beto.shoot("same-person")
        # The choice is still there: somebody else takes it.
        choose_receiver(beto.page, "Elena Cortés")
        cancel_handoff(beto.page)


def test_an_unknown_shipment_is_said_so(server: Server, at_browser: Callable) -> None:
    with at_browser() as beto:
        beto.log_in("operator")
        scan_shipment(beto.page, server, "LRD-9999")
        expect(beto.page.get_by_text(re.compile("No shipment has the code"))).to_be_visible()
        beto.shoot("unknown-shipment")


def test_a_tag_of_another_shipment_stops_the_matching(accepted: int, server: Server, at_browser: Callable) -> None:
    with at_browser() as beto:
        page = beto.page
        beto.log_in("operator")
        start_handoff(page, server, shipment="LRD-1042", receiver="Elena Cortés")
        reader_sees(server, "LRD-1042")
        reader_sees(server, "LRD-1043", miss=5)
        expect(page.get_by_text("Belongs to shipment LRD-1043. Take it away.")).to_have_count(1)
        beto.shoot("tag-of-another-shipment")
        page.get_by_role("button", name="Match tags").click()
        refusal = re.compile(r"belongs to shipment LRD-1043\. Take it away from LRD-1042, then read again\.")
        expect(page.get_by_text(refusal).first).to_be_visible()
        beto.shoot("wrong-consignment")

        # Taken away, and read again: the stray of before is forgotten.
        expect(page.get_by_text("0 of 9", exact=True)).to_be_visible()
        match_all_tags(page, server, holder="Marco Ruiz")
        cancel_handoff(page)


def test_a_photo_without_a_face_or_with_two_is_no_attempt(
    accepted: int, server: Server, at_browser: Callable, photos: Path, tmp_path: Path
) -> None:
    two, none = tmp_path / "two.jpg", tmp_path / "none.png"
    two.write_bytes(side_by_side(photos / "obama.jpg", photos / "biden.jpg"))
    none.write_bytes(encode(Image.new("RGB", (800, 600), "grey"), "PNG"))
    with at_browser() as beto:
        page = beto.page
        beto.log_in("operator")
        start_handoff(page, server, shipment="LRD-1042", receiver="Víctor Salas")
        match_all_tags(page, server, holder="Marco Ruiz")

        upload_photo(page, two)
        sentence = "2 faces are in the photo. Only the person concerned may be in it."
        expect(page.get_by_text(sentence).first).to_be_visible()
        beto.shoot("two-faces")
        upload_photo(page, none)
        expect(page.get_by_text("No face was found. Face the camera").first).to_be_visible()
        beto.shoot("no-face")

        # Nothing was compared so far: the first wrong face leaves two of three attempts.
        upload_photo(page, photos / "obama2.jpg")
        expect(page.get_by_text("The face does not match Víctor Salas. Attempts left: 2.").first).to_be_visible()
        cancel_handoff(page)


def test_the_officer_sees_what_was_refused(refused: None, server: Server, at_browser: Callable) -> None:
    with at_browser() as olga:
        olga.log_in("officer")
        expect(olga.page.get_by_text(re.compile("LRD-1042")).first).to_be_visible()
        expect(olga.page.get_by_text(re.compile("Víctor Salas")).first).to_be_visible()
        olga.shoot("officer-refusals")


def test_the_auditor_sees_both_verifies_and_finds_the_changed_byte(
    accepted: int, refused: None, server: Server, at_browser: Callable
) -> None:
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
        server.manage("tamper", "--entry", str(accepted))


def test_somebody_without_the_role_does_not_get_in(server: Server, at_browser: Callable) -> None:
    with at_browser() as carla:
        carla.log_in("administrator")
        for address in ("/handoffs/new/", "/ledger/", "/ledger/verification/", "/refusals/"):
            answer = carla.page.goto(server.url + address)
            assert answer is not None
            assert answer.status == 403, address


def test_on_a_telephone_the_retention_report_shows_every_figure(server: Server, at_browser: Callable) -> None:
    with at_browser(width=390, height=844) as olga:
        olga.log_in("officer")
        olga.page.goto(f"{server.url}/retention/")
        cells = olga.page.locator(".table-wrap td")
        assert cells.count() > 40
        cut_off = """cells => cells
          .filter((cell) => cell.getBoundingClientRect().right > innerWidth || cell.scrollWidth > cell.clientWidth)
          .map((cell) => cell.innerText)"""
        assert cells.evaluate_all(cut_off) == []
        olga.shoot("retention-telephone")
