"""
The verifier in the browser says what the one in Python says: over the golden log, everything that was done to it, a
corpus of random tamperings, and odd spellings; and its page, in front of the real server.
"""

import json
import random
import re
import struct
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from playwright.sync_api import Page, Playwright, expect

from ledger.tlog import base64_strict, canonical, note, proof, times
from ledger.tlog.bundle import verify_bundle
from ledger.tlog.checkpoint import Checkpoint
from ledger.tlog.cosignature import Cosigner
from ledger.tlog.errors import TlogError
from ledger.tlog.policy import Policy, parse_policy
from ledger.tlog.tiles import bundles_of, encode_bundle
from ledger.tlog.verify import verify_entries
from tests.browser.conftest import ROOT, Person, Server
from tests.corpus.bundles import make_bundle
from tests.corpus.cases import export_cases
from tests.corpus.worlds import Wants, make_world
from tests.vectors import generate

pytestmark = [pytest.mark.browser, pytest.mark.slow]

GOLDEN = json.loads((generate.FOLDER / "golden/expected.json").read_bytes())
PINNED = Policy.pin(GOLDEN["origin"], GOLDEN["vkey"])
NOTES = [path.read_bytes() for path in sorted((generate.FOLDER / "golden/entries").glob("*.note"))]
CHECKPOINT = (generate.FOLDER / "golden/checkpoint.note").read_bytes()
TOLD = ("status", "check", "broken_at", "entries", "size", "root", "uncovered", "witnesses")


def b64(data: bytes) -> str:
    return b64encode(data).decode()


class Files(SimpleHTTPRequestHandler):
    """Serves the modules, the page that loads them, and the golden log as a log is served."""

    def translate_path(self, path: str) -> str:
        if path.startswith("/js/"):
            return str(ROOT / "static" / path[1:])
        return str(ROOT / "tests/browser/verifier_page" / path[1:])

    def do_GET(self) -> None:
        served = {"/log/checkpoint": CHECKPOINT} | {
            f"/log/{tile.path()}": encode_bundle(NOTES) for tile in bundles_of(len(NOTES))
        }
        if self.path not in served:
            super().do_GET()
            return
        self.send_response(200)
        self.end_headers()
        self.wfile.write(served[self.path])

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture(scope="module")
def bench(playwright: Playwright, chromium: str) -> Iterator[Page]:
    """A page in Chromium that has the verifier's modules and nothing else."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Files, directory=str(ROOT)))
    Thread(target=server.serve_forever, daemon=True).start()
    browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
    try:
        page = browser.new_page()
        page.set_default_timeout(60_000)
        page.goto(f"http://127.0.0.1:{server.server_port}/index.html")
        page.wait_for_function("window.ready")
        yield page
    finally:
        browser.close()
        server.shutdown()
        server.server_close()


def ask(bench: Page, cases: list[dict[str, Any]]) -> list[dict[str, Any]]:
    verdicts = bench.evaluate("cases => window.verify(cases)", cases)
    assert len(verdicts) == len(cases)
    return verdicts


def tampered() -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Yield each file's name, its case, and the verdict that it must get."""
    for path in sorted((generate.FOLDER / "tampered").glob("*.json")):
        kept = json.loads(path.read_bytes())
        if "log" not in kept:
            continue
        notes = [NOTES[entry] if isinstance(entry, int) else b64decode(entry) for entry in kept["log"]]
        checkpoint = b64(CHECKPOINT) if kept["checkpoint"] == "golden" else kept["checkpoint"]
        case = {
            "kind": "log", "policy": PINNED.encode(), "notes": [b64(note) for note in notes],
            "checkpoint": checkpoint, "known": kept.get("known"),
        }  # fmt: skip
        yield path.stem, case, kept["verdict"]


def in_python(case: dict[str, Any], folder: Path, *, deep: bool = True) -> dict[str, Any]:
    """The verdict of ledger.tlog on the same case."""
    policy = parse_policy(case["policy"].encode())
    if case["kind"] == "bundle":
        path = folder / "bundle.zip"
        path.write_bytes(b64decode(case["bundle"]))
        verdict = verify_bundle(path, policy=policy, deep=deep)
        told = (*TOLD, "scope", "subject", "first", "stop", "complete_up_to", "attachments")
    else:
        known = case["known"] and Checkpoint(policy.origin, case["known"]["size"], bytes.fromhex(case["known"]["root"]))
        verdict = verify_entries(
            [b64decode(note) for note in case["notes"]],
            checkpoint=None if case["checkpoint"] is None else b64decode(case["checkpoint"]),
            policy=policy, known=known, deep=deep,
        )  # fmt: skip
        told = TOLD
    return {name: _plain(getattr(verdict, name)) for name in told}


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def test_the_golden_log_is_intact(bench):
    case = {"kind": "log", "policy": PINNED.encode(), "notes": [b64(note) for note in NOTES],
            "checkpoint": b64(CHECKPOINT), "known": None}  # fmt: skip
    deep, fast = ask(bench, [case, case | {"deep": False}])
    for verdict in (deep, fast):
        assert (verdict["status"], verdict["entries"]) == ("intact_unwitnessed", 12)
        assert verdict["root"] == GOLDEN["root"]


def test_every_tampering_gets_its_recorded_verdict(bench):
    names, cases, expected = zip(*tampered(), strict=True)
    found = ask(bench, list(cases))
    told = {
        name: {key: verdict[key] for key in wanted}
        for name, verdict, wanted in zip(names, found, expected, strict=True)
    }
    assert told == dict(zip(names, expected, strict=True))
    assert all(verdict["expected"] and verdict["found"] for verdict in found if verdict["check"])


@pytest.fixture(scope="module")
def corpus() -> list[dict[str, Any]]:
    return export_cases(seed=20, per_class=3, clean=30)


def test_the_corpus_gets_its_verdicts(bench, corpus):
    for case, verdict in zip(corpus, ask(bench, corpus), strict=True):
        wanted = case["expected"]
        assert verdict["check"] in wanted["checks"], (case["name"], case["seed"], verdict)
        assert (verdict["status"], verdict["broken_at"]) == (wanted["status"], wanted["broken_at"]), case["name"]


@pytest.mark.parametrize("deep", [True, False], ids=["deep", "fast"])
def test_both_verifiers_say_the_same(bench, corpus, tmp_path, deep):
    found = ask(bench, [case | {"deep": deep} for case in corpus])
    for case, verdict in zip(corpus, found, strict=True):
        expected = in_python(case, tmp_path, deep=deep)
        assert {name: verdict[name] for name in expected} == expected, (case["name"], case["seed"])


def honest(seed: int, scope: str) -> dict[str, Any]:
    """A sound bundle of a random log that has witnesses, rotations and epochs by chance."""
    rng = random.Random(seed)
    world = make_world(rng, Wants(min_size=6, max_size=40, witnesses=seed % 2 == 0))
    return {"kind": "bundle", "policy": world.policy.encode(), "bundle": b64(make_bundle(rng, world, scope).pack())}


@pytest.mark.parametrize("scope", ["log", "range", "subject"])
def test_an_honest_bundle_is_intact(bench, tmp_path, scope):
    cases = [honest(seed, scope) for seed in range(12)]
    found = ask(bench, cases)
    for case, verdict in zip(cases, found, strict=True):
        expected = in_python(case, tmp_path)
        assert {name: verdict[name] for name in expected} == expected
    assert {verdict["status"] for verdict in found} == {"intact_and_witnessed", "intact_unwitnessed"}
    assert {verdict["scope"] for verdict in found} == {scope}


def test_flipped_bytes_anywhere_in_a_bundle(bench, corpus, tmp_path):
    """Where a bit of the file is flipped, at any place, both verifiers judge alike."""
    rng = random.Random(7)
    whole = [case for case in corpus if case["kind"] == "bundle" and case["expected"]["checks"] != ["bundle"]]
    cases = []
    for case in rng.sample(whole, min(len(whole), 60)):
        data = bytearray(b64decode(case["bundle"]))
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        cases.append(case | {"bundle": b64(bytes(data))})
    for case, verdict in zip(cases, ask(bench, cases), strict=True):
        expected = in_python(case, tmp_path)
        assert (verdict["status"], verdict["check"]) == (expected["status"], expected["check"]), case["name"]


def test_a_flipped_bit_of_the_directory_gets_the_same_verdict(bench, tmp_path):
    """Every bit of the end record is accounted for; before it, what a ZIP says of its making is not."""
    case = honest(3, "range")
    data = b64decode(case["bundle"])
    places = [8 * at + bit for at in range(len(data) - 22, len(data)) for bit in range(8)]
    places += random.Random(5).sample(range(8 * data.index(b"PK\1\2"), 8 * (len(data) - 22)), 300)
    cases = []
    for place in places:
        bent = bytearray(data)
        bent[place // 8] ^= 1 << place % 8
        cases.append(case | {"bundle": b64(bytes(bent))})
    for place, bent, verdict in zip(places, cases, ask(bench, cases), strict=True):
        expected = in_python(bent, tmp_path)
        assert {name: verdict[name] for name in expected} == expected, place
        if place >= 8 * (len(data) - 22):
            assert (verdict["status"], verdict["check"]) == ("broken", "bundle"), place


def test_large_zips_are_read_alike(bench, tmp_path):
    """The records that large files have; here the plain ones would have done."""
    case = honest(3, "range")
    data = b64decode(case["bundle"])
    count, size, offset = struct.unpack_from("<H2I", data, len(data) - 12)
    wide = struct.pack("<4sQ2H2I4Q", b"PK\6\6", 44, 45, 45, 0, 0, count, count, size, offset)
    locator = struct.pack("<4sIQI", b"PK\6\7", 0, len(data) - 22, 1)
    full = struct.pack("<4s4H2IH", b"PK\5\6", *[0xFFFF] * 4, *[0xFFFFFFFF] * 2, 0)
    body = data[:-22]
    files = [body + wide + locator + data[-22:], body + wide + locator + full, body + full, body + locator + full]
    files += [
        body + wide + locator + full[:-2] + b"\1\0x",
        body + wide + b"x" + locator + full,
        data + b"\0",
        data + data,
    ]
    for number in range(8, len(wide) + 20):
        bent = bytearray(wide + locator)
        bent[number] ^= 1
        files.append(body + bytes(bent) + full)
    cases = [case | {"bundle": b64(file)} for file in files]
    found = ask(bench, cases)
    for one, verdict in zip(cases, found, strict=True):
        expected = in_python(one, tmp_path)
        assert {name: verdict[name] for name in expected} == expected
    assert [verdict["status"] for verdict in found[:8]] == ["intact_unwitnessed"] * 2 + ["broken"] * 6
    # Of the ZIP64 records nothing may differ but which program wrote them, and which can read them.
    assert sum(verdict["status"] != "broken" for verdict in found[8:]) == 4


def test_the_live_log_is_fetched_and_verified(bench):
    base = bench.url.replace("index.html", "log/")
    root = {"size": 12, "root": "ab" * 32}
    live, forged = ask(
        bench, [{"kind": "live", "base": base, "policy": PINNED.encode(), "known": known} for known in (None, root)]
    )
    assert (live["status"], live["size"], live["root"]) == ("intact_unwitnessed", 12, GOLDEN["root"])
    assert (forged["status"], forged["check"]) == ("broken", "known_root")


ODD_JSON = [
    "{}", "[]", "0", "-0", "1.0", "1e3", "9007199254740991", "9007199254740992", "-9007199254740991", "01", "+1",
    '{"a":1,"a":1}', '{"b":1,"a":2}', '{"10":1,"9":2}', '{"9":1,"10":2}', '{"é":1}', '{"a":"é"}', '"\\u00e9"',
    '"\\ud800"', '"\\ud83d\\ude00"', '"😀"', '"\\n"', '"\\u000a"', '"\\u001f"', '"\\u001F"', '"\\/"', '"/"', '"\x7f"',
    '"\u2028"', '"\\u2028"', " 1", "1 ", "1\n", '{"a": 1}', "NaN", "Infinity", "null", "tru", "", '"', "\ufeff1",
    '{"__proto__":1}', '{"__proto__":{"a":1.5}}', '{"constructor":[]}', '"e\u0301"',
    '"\\b\\f\\t\\r"', '"\\u0008"', "[1,]",
    "[" * 32 + "]" * 32, "[" * 33 + "]" * 33, "[" * 100_000, "1" * 5000, "-", "--1", "1 2", '{"a":{"b":[{"c":null}]}}',
]  # fmt: skip


def test_the_same_spellings_of_json_are_admitted(bench):
    rng = random.Random(3)
    texts = [text.encode() for text in ODD_JSON] + [b'"\xff"', b'"\xed\xa0\x80"', b'"\xc0\x80"', b'"\xf4\x90\x80\x80"']
    for _ in range(600):
        value = _random_value(rng, 4)
        texts.append(canonical.encode(value))
        spelt = json.dumps(value, ensure_ascii=rng.random() < 0.5, indent=rng.choice([None, None, 1])).encode()
        texts.append(spelt)
        broken = bytearray(texts[-2])
        broken[rng.randrange(len(broken))] = rng.choice(b'0123456789"\\{}[],:eE.-+u \n\x00\x80\xc3')
        texts.append(bytes(broken))
    _compare(bench, "canonical", texts, canonical.decode)


def _random_value(rng: random.Random, depth: int) -> Any:
    if depth and rng.random() < 0.6:
        size = rng.randrange(4)
        if rng.random() < 0.5:
            return [_random_value(rng, depth - 1) for _ in range(size)]
        keys = ["a", "B", "_", "10", "9", "-1", "a\n", '"', "", "~", "zz"]
        return {rng.choice(keys): _random_value(rng, depth - 1) for _ in range(size)}
    odd = ["", "é", "\u2028", "😀", "\x7f", "\x01", "\\", "a/b", 'a"b', 0, -1, 2**53 - 1, True, False, None]
    return rng.choice(odd)


def test_the_same_base64_names_and_times_are_admitted(bench):
    encoded = [
        "",
        "AA==",
        "AB==",
        "AAA=",
        "AAB=",
        "AAAA",
        "AA",
        "AA=",
        "A===",
        "====",
        "AA==\n",
        "A A=",
        "-_==",
        "AA==AA==",
    ]
    _compare(bench, "base64", [text.encode() for text in encoded], lambda data: base64_strict.decode(data.decode()))
    names = [f"a{chr(code)}b" for code in (*range(0x21), 0x2B, 0x7F, *range(0x80, 0xA1), 0xAD, 0x1680, 0x180E, 0x3000)]
    names += [f"a{chr(code)}b" for code in (*range(0x2000, 0x2010), 0x2028, 0x2029, 0x202F, 0x205F, 0x2060, 0xFEFF)]
    _compare(bench, "name", [name.encode() for name in ("", *names)], lambda data: note.check_key_name(data.decode()))
    moments = [
        "2026-11-22T14:05:09.123Z", "2024-02-29T00:00:00.000Z", "2023-02-29T00:00:00.000Z", "1900-02-29T00:00:00.000Z",
        "2000-02-29T00:00:00.000Z", "0000-01-01T00:00:00.000Z", "9999-12-31T23:59:59.999Z", "2026-04-31T00:00:00.000Z",
        "2026-11-22T24:00:00.000Z", "2026-11-22T23:59:60.000Z", "2026-11-22T14:05:09.12Z", "2026-11-22T14:05:09.123Z\n",
        "2026-11-22t14:05:09.123z", "٢026-11-22T14:05:09.123Z", "2026-13-01T00:00:00.000Z", "2026-00-01T00:00:00.000Z",
    ]  # fmt: skip
    _compare(bench, "time", [text.encode() for text in moments], lambda data: times.parse_time(data.decode()))


def test_the_same_policies_and_proofs_are_admitted(bench, corpus):
    rng = random.Random(11)
    policies = sorted({case["policy"] for case in corpus})
    lines = sorted({line for policy in policies for line in policy.splitlines()})
    texts = [policy.encode() for policy in policies]
    odd = [
        "#",
        "# x",
        "#:",
        "#: range",
        "quorum",
        "quorum none",
        "log",
        "witness a",
        "group g 1",
        "group g any none",
        "x",
    ]
    for _ in range(400):
        chosen = rng.choice(policies).splitlines()
        chosen.insert(rng.randrange(len(chosen) + 1), rng.choice([*lines, *odd]))
        text = "\n".join(chosen).encode()
        if rng.random() < 0.5:
            at = rng.randrange(len(text))
            text = text[:at] + rng.choice([b" ", b"\t", b"\r", b"x", b"", b"+", b"\xc2\xa0"]) + text[at + 1 :]
        texts.append(text)
    _compare(bench, "policy", texts, parse_policy)
    golden = proof.TlogProof(3, (b"a" * 32, b"b" * 32), CHECKPOINT).encode()
    proofs = [
        golden,
        b"",
        b"\n\n",
        proof.TlogProof(0, (), b"", b"x").encode(),
        proof.TlogProof(1, (b"a",), b"").encode(),
    ]
    for _ in range(200):
        data = bytearray(golden[:180])
        data[rng.randrange(len(data))] = rng.choice(b"\n =A0x\x80")
        proofs.append(bytes(data))
    _compare(bench, "proof", proofs, proof.parse_proof)


def _compare(bench: Page, parser: str, texts: list[bytes], parse: Callable[[bytes], object]) -> None:
    expected = []
    for text in texts:
        admitted = False
        with suppress(TlogError):
            parse(text)
            admitted = True
        expected.append(admitted)
    found = bench.evaluate("([parser, texts]) => window.admits(parser, texts)", [parser, [b64(text) for text in texts]])
    differing = [pair for pair in zip(texts, expected, found, strict=True) if pair[1] is not pair[2]]
    assert differing == []
    assert {True, False} == set(expected)


# The page, in front of the real server


@pytest.fixture(scope="module")
def changed(corpus) -> dict[str, Any]:
    """A bundle in which an entry was changed, with what to pin and which entry must be named."""
    return next(
        case
        for case in corpus
        if case["kind"] == "bundle" and case["expected"]["status"] == "broken" and case["expected"]["broken_at"]
    )


@pytest.fixture
def auditor(at_browser) -> Iterator[Person]:
    with at_browser() as person:
        person.log_in("auditor")
        person.page.goto(f"{person.server.url}/ledger/verification/in-browser/")
        yield person


def test_nothing_is_pinned_until_the_auditor_pins(auditor):
    page = auditor.page
    expect(page.get_by_label("Name of the log")).to_have_value("")
    expect(page.get_by_label("Its keys")).to_have_value("")
    page.get_by_role("button", name="Verify here").click()
    expect(page.get_by_role("alert")).to_contain_text("Pin the log’s name and key")
    expect(page.get_by_label("Name of the log")).to_be_focused()
    page.get_by_role("button", name="Fill in this server’s own key").click()
    expect(page.get_by_text("One that lies hands out a key that fits its lies")).to_be_visible()
    assert page.get_by_label("Its keys").input_value().startswith("demo.invalid/custody+")
    auditor.shoot("verify-in-browser-form")


def test_the_live_log_verifies_by_keyboard_alone(auditor):
    page = auditor.page
    page.get_by_role("button", name="Fill in this server’s own key").press("Enter")
    page.get_by_label("A bundle").focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_label("The live log")).to_be_checked()
    page.get_by_role("button", name="Verify here").press("Enter")
    verdict = page.locator(".verdict")
    expect(verdict).to_contain_text("Intact: every entry holds.")
    expect(verdict).to_contain_text("You pinned no witnesses")
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    auditor.shoot("verify-in-browser-live")


def verify_dropped(page: Page, folder: Path, case: dict[str, Any], policy: str = "") -> None:
    """Choose a policy file, drop the bundle, and verify."""
    (folder / "policy").write_text(policy or case["policy"])
    page.get_by_label("Or a policy file").set_input_files(folder / "policy")
    drop(page, "bundle.zip", b64decode(case["bundle"]))
    page.get_by_role("button", name="Verify here").click()


def test_a_dropped_bundle_that_was_changed_is_broken_at_its_entry(auditor, changed, tmp_path):
    verify_dropped(auditor.page, tmp_path, changed)
    verdict = auditor.page.get_by_role("alert")
    expect(verdict).to_contain_text(re.compile(rf"Broken at entry {changed['expected']['broken_at']}: "))
    expect(verdict.get_by_text("Expected", exact=True)).to_be_visible()
    auditor.shoot("verify-in-browser-broken")


def drop(page: Page, name: str, data: bytes) -> None:
    """Drop a file on the field, as from a file manager."""
    moved = page.evaluate_handle(
        """([name, data]) => {
          const moved = new DataTransfer();
          moved.items.add(new File([Uint8Array.from(atob(data), (c) => c.charCodeAt(0))], name));
          return moved;
        }""",
        [name, b64(data)],
    )
    page.locator("[data-part=bundle]").dispatch_event("drop", {"dataTransfer": moved})


def test_witnesses_that_were_pinned_and_did_not_sign_are_an_alarm(auditor, tmp_path):
    page, case = auditor.page, honest(4, "subject")
    verify_dropped(page, tmp_path, case)
    expect(page.locator(".verdict.is-ok")).to_contain_text("Witnesses that you pinned signed the same checkpoint")
    auditor.shoot("verify-in-browser-subject")
    stranger = Cosigner("elsewhere.example/w", Ed25519PrivateKey.generate())
    log = "".join(line + "\n" for line in case["policy"].splitlines() if line.startswith(("log ", "#: range ")))
    verify_dropped(page, tmp_path, case, f"{log}witness w {stranger.vkey}\nquorum w\n")
    expect(page.locator(".verdict.is-warn")).to_contain_text("Too few of the witnesses that you pinned")
    auditor.shoot("verify-in-browser-unwitnessed")


def test_a_bundle_of_the_servers_own_verifies(auditor, tmp_path):
    made = auditor.server.manage("export_bundle", str(tmp_path / "log.zip"), "--log")
    assert made.returncode == 0, made.stderr
    page = auditor.page
    page.get_by_role("button", name="Fill in this server’s own key").click()
    drop(page, "log.zip", (tmp_path / "log.zip").read_bytes())
    page.get_by_role("button", name="Verify here").click()
    expect(page.locator(".verdict")).to_contain_text("Intact: every entry holds.")
    expect(page.locator(".verdict")).to_contain_text("Attachments checked")
    auditor.shoot("verify-in-browser-intact")


def test_a_verification_can_be_stopped(auditor):
    page = auditor.page
    page.route("**/log/tile/entries/**", lambda route: None)  # an answer that never comes
    page.get_by_role("button", name="Fill in this server’s own key").click()
    page.get_by_label("The live log").check()
    page.get_by_role("button", name="Verify here").click()
    page.get_by_role("button", name="Stop it").click()
    expect(page.get_by_role("alert").last).to_contain_text("You stopped this verification")
    expect(page.get_by_role("button", name="Verify here")).to_be_enabled()


def test_who_may_not_verify_is_turned_away(at_browser: Callable[..., Any], server: Server):
    with at_browser() as person:
        person.log_in("operator")
        answer = person.page.goto(f"{server.url}/ledger/verification/in-browser/")
        assert answer is not None
        assert answer.status == 403
