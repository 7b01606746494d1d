"""The log as others read it: by the standards alone, over HTTP, believing nothing but the pinned key."""

import gzip
import re
import urllib.request
from collections.abc import Callable
from email.message import Message

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.db import connection
from django.utils import timezone

from accounts.models import User
from accounts.roles import Role
from accounts.tokens import issue_token
from ledger import append_only
from ledger.keys import load_vkey
from ledger.models import Checkpoint, Cosignature, Entry
from ledger.models import Tile as TileRow
from ledger.sealing import seal_pending
from ledger.tlog import base64_strict
from ledger.tlog.checkpoint import parse_checkpoint
from ledger.tlog.cosignature import Cosigner
from ledger.tlog.merkle import leaf_hash, verify_consistency, verify_inclusion
from ledger.tlog.note import Verifier, open_note, parse
from ledger.tlog.policy import Policy
from ledger.tlog.proof import parse_proof
from ledger.tlog.tiles import Tile, TileTree, bundles_of, decode_bundle, split_hashes, tiles_of
from ledger.tlog.verify import verify_entries

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def sizes(settings, monkeypatch, submit_one) -> list[int]:
    """A log of a full bundle and a partial one, whose checkpoints stand at these sizes."""
    settings.BROKER_URL = "amqp://broker.invalid//"
    monkeypatch.setattr("ledger.sealing.current_app.send_task", lambda name: None)
    for _ in range(259):
        submit_one()
    for limit in (2, 97, 150, 10):
        seal_pending(limit=limit)
    assert Entry.objects.count() == 260
    return list(Checkpoint.objects.order_by("size").values_list("size", flat=True))


@pytest.fixture
def small(submit_one) -> int:
    """A log of three entries, sealed one by one behind the genesis."""
    submit_one()
    submit_one()
    return Checkpoint.objects.first().size


@pytest.fixture
def mirror(db) -> User:
    return User.objects.create_user("mirror", role=Role.WITNESS)


def bearer(user: User) -> dict[str, str]:
    return {"Authorization": f"Bearer {issue_token(user=user, purpose='reads the log')}"}


def ask(url: str, method: str = "GET", **headers: str) -> tuple[Message, bytes]:
    request = urllib.request.Request(url, method=method, headers=headers)  # noqa: S310
    with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310
        return answer.headers, answer.read()


def read_by(prefix: str, **headers: str) -> Callable[[str], bytes]:
    """Build a reader that knows HTTP and a prefix, and nothing of this product."""

    def read(path: str) -> bytes:
        about, content = ask(f"{prefix}/{path}", **{"Accept-Encoding": "gzip, identity"}, **headers)
        return gzip.decompress(content) if about["Content-Encoding"] == "gzip" else content

    return read


def test_a_reader_mirrors_the_log_and_verifies_all_of_it(live_server, sizes, mirror):
    read = read_by(f"{live_server.url}/log", **bearer(mirror))
    vkey = load_vkey()
    head = parse_checkpoint(open_note(read("checkpoint"), Verifier.from_vkey(vkey)).text)
    assert head.size == 260
    tree = TileTree(head.size, lambda tile: read(tile.path()))
    assert tree.root() == head.root
    for tile in tiles_of(head.size):
        assert len(split_hashes(read(tile.path()))) == tile.width
    notes = [note for bundle in bundles_of(head.size) for note in decode_bundle(read(bundle.path()))]
    assert [leaf_hash(note) for note in notes] == [tree.leaf(index) for index in range(head.size)]
    verdict = verify_entries(notes, checkpoint=read("checkpoint"), policy=Policy.pin(head.origin, vkey))
    assert (verdict.status, verdict.entries) == ("intact_unwitnessed", 260)


def test_every_published_size_has_its_tiles_and_no_other_size_has(client, sizes, mirror):
    as_mirror = bearer(mirror)
    for size in sizes:
        for tile in (*tiles_of(size), *bundles_of(size)):
            found = client.get(f"/log/{tile.path()}", headers=as_mirror)
            assert found.status_code == 200, tile.path()
            if tile.level is not None:
                assert len(found.content) == tile.width * 32
    others = {Tile(0, 0, 5), Tile(0, 1, 3), Tile(1, 0, 2), Tile(1, 0), Tile(0, 1), Tile(2, 0, 1), Tile(63, 0, 1)}
    others |= {Tile(None, 0, 5), Tile(None, 1), Tile(0, 10**18), Tile(0, 10**18, 7), Tile(62, 10**18, 7)}
    for tile in others:
        found = client.get(f"/log/{tile.path()}", headers=as_mirror)
        assert (found.status_code, found["Cache-Control"]) == (404, "no-store"), tile.path()


def test_what_is_sealed_and_not_yet_published_is_not_served(client, settings, tmp_path, small, mirror):
    witness = Cosigner("north.example/witness", Ed25519PrivateKey.generate())
    settings.LEDGER_POLICY_FILE = tmp_path / "policy"
    settings.LEDGER_POLICY_FILE.write_text(f"witness north {witness.vkey}\nquorum north\n")
    first = Checkpoint.objects.order_by("size").first()
    Cosignature.objects.create(
        checkpoint=first,
        witness="north",
        key_id=witness.verifier.key_id.hex(),
        line=witness.cosign(parse(bytes(first.note)).text, timestamp=1_700_000_000).line(),
        witnessed_at=timezone.now(),
    )
    assert open_note(client.get("/log/checkpoint").content, witness.verifier).text.split("\n")[1] == "2"
    assert client.get("/log/tile/0/000.p/2").status_code == 200
    assert client.get("/log/tile/0/000.p/3").status_code == 404
    assert client.get("/log/tile/entries/000.p/3", headers=bearer(mirror)).status_code == 404
    assert client.get("/log/proof/1").status_code == 200
    assert client.get("/log/proof/2").status_code == 404
    assert client.get("/log/proof/1?size=3").status_code == 404
    assert client.get("/log/consistency?from=2&to=3").status_code == 404


def test_a_checkpoint_is_kept_for_seconds_and_asked_for_by_its_tag(client, small, submit_one):
    found = client.get("/log/checkpoint")
    assert found["Content-Type"] == "text/plain; charset=utf-8"
    assert int(re.search(r"max-age=([0-9]+)", found["Cache-Control"])[1]) <= 10
    again = client.get("/log/checkpoint", headers={"If-None-Match": found["ETag"]})
    assert (again.status_code, again.content, again["ETag"]) == (304, b"", found["ETag"])
    assert again["Access-Control-Allow-Origin"] == "*"
    submit_one()
    newer = client.get("/log/checkpoint", headers={"If-None-Match": found["ETag"]})
    assert newer.status_code == 200 and newer["ETag"] != found["ETag"]


def test_tiles_are_public_and_kept_for_ever(client, small):
    found = client.get("/log/tile/0/000.p/3")
    assert found["Content-Type"] == "application/octet-stream"
    assert found["Cache-Control"] == "public, max-age=31536000, immutable"
    assert found["Access-Control-Allow-Origin"] == "*"
    assert "Cookie" not in found["Vary"] and not found.cookies


PUBLIC = ["checkpoint", "tile/0/000.p/3", "proof/1", "proof/1?size=2", "consistency?from=2", "tile/0/001", "nothing"]


def test_public_addresses_set_no_cookie_and_open_no_session(client, small):
    for path in PUBLIC:
        found = client.get(f"/log/{path}")
        assert found["Access-Control-Allow-Origin"] == "*", path
        assert not found.cookies and "Cookie" not in found["Vary"], path


class TestEntries:
    PATH = "/log/tile/entries/000.p/3"

    def test_nobody_is_asked_for_a_token(self, client, small):
        found = client.get(self.PATH)
        assert (found.status_code, found["WWW-Authenticate"]) == (401, 'Bearer realm="log entries"')
        assert found["Cache-Control"] == "no-store"
        assert not found.has_header("Access-Control-Allow-Origin")

    def test_a_token_that_is_none_is_refused_also_beside_a_session(self, client, small, ana):
        client.force_login(ana)
        found = client.get(self.PATH, headers={"Authorization": "Bearer of-nothing"})
        assert (found.status_code, found["WWW-Authenticate"]) == (
            401,
            'Bearer realm="log entries", error="invalid_token"',
        )

    def test_an_account_without_the_right_is_refused(self, client, small, beto, carla):
        for user in (beto, carla):
            found = client.get(self.PATH, headers=bearer(user))
            assert (found.status_code, found["Cache-Control"]) == (403, "no-store")

    def test_auditors_officers_and_witnesses_read_them(self, client, small, ana, olga, mirror):
        notes = [bytes(note) for note in Entry.objects.order_by("index").values_list("note", flat=True)]
        for user in (ana, olga, mirror):
            found = client.get(self.PATH, headers=bearer(user))
            assert decode_bundle(found.content) == notes
            assert found["Cache-Control"] == "private, max-age=31536000, immutable"
            assert {"Authorization", "Cookie", "Accept-Encoding"} <= set(found["Vary"].split(", "))
            assert not found.has_header("Access-Control-Allow-Origin")
        client.force_login(ana)
        assert decode_bundle(client.get(self.PATH).content) == notes

    def test_a_witness_sees_nothing_else(self, client, small, mirror):
        assert client.get("/api/v1/ledger/entries/1", headers=bearer(mirror)).status_code == 403
        client.force_login(mirror)
        assert client.get("/ledger/").status_code == 403
        assert client.get("/", follow=True).request["PATH_INFO"] == "/log/checkpoint"

    def test_an_operator_may_open_them_to_everybody(self, client, small, settings):
        settings.LEDGER_OPEN_ENTRIES = True
        found = client.get(self.PATH)
        assert len(decode_bundle(found.content)) == 3
        assert found["Cache-Control"] == "public, max-age=31536000, immutable"
        assert found["Access-Control-Allow-Origin"] == "*"
        assert "Cookie" not in found["Vary"]

    def test_they_are_compressed_for_who_takes_it(self, client, small, settings):
        settings.LEDGER_OPEN_ENTRIES = True
        for accept, packed in [
            ("gzip", True),
            ("br, GZIP;q=0.5", True),
            ("*", True),
            ("identity", False),
            ("gzip;q=0", False),
            ("*, gzip;q=0.000", False),
            ("", False),
        ]:
            found = client.get(self.PATH, headers={"Accept-Encoding": accept})
            assert found.has_header("Content-Encoding") == packed, accept
            content = gzip.decompress(found.content) if packed else found.content
            assert len(decode_bundle(content)) == 3
            assert int(found["Content-Length"]) == len(found.content)


class TestProofs:
    def test_each_entry_is_proven_against_each_published_checkpoint(self, client, sizes):
        leaves = [bytes(leaf) for leaf in Entry.objects.order_by("index").values_list("leaf_hash", flat=True)]
        verifier = Verifier.from_vkey(load_vkey())
        for size in sizes:
            for index in {0, 1, size // 2, size - 1}:
                found = client.get(f"/log/proof/{index}?size={size}")
                assert found["Content-Type"] == "text/plain; charset=utf-8"
                proof = parse_proof(found.content)
                head = parse_checkpoint(open_note(proof.checkpoint, verifier).text)
                assert (proof.index, head.size) == (index, size)
                verify_inclusion(leaf=leaves[index], index=index, size=size, proof=proof.path, root=head.root)
        newest = parse_proof(client.get("/log/proof/259").content)
        assert newest.checkpoint == client.get("/log/checkpoint").content

    def test_a_proof_is_asked_for_by_its_tag(self, client, small):
        tag = client.get("/log/proof/1")["ETag"]
        assert client.get("/log/proof/1", headers={"If-None-Match": tag}).status_code == 304

    def test_sizes_are_proven_to_continue_each_other(self, client, sizes):
        roots = {row.size: bytes(row.root) for row in Checkpoint.objects.all()}
        for old in sizes:
            for new in (size for size in sizes if size >= old):
                lines = client.get(f"/log/consistency?from={old}&to={new}").content.decode().splitlines()
                path = [base64_strict.decode(line) for line in lines]
                verify_consistency(old_size=old, old_root=roots[old], size=new, root=roots[new], proof=path)
        to_newest = client.get(f"/log/consistency?from={sizes[0]}")
        assert to_newest.content == client.get(f"/log/consistency?from={sizes[0]}&to={sizes[-1]}").content
        assert "immutable" not in to_newest["Cache-Control"]
        assert client.get("/log/consistency?from=0").content == b""


NOT_THERE = [
    ("", 404),
    ("checkpoint/", 404),
    ("checkpoint.txt", 404),
    ("tile", 404),
    ("tile/", 404),
    ("tile/0/0", 404),
    ("tile/0/00", 404),
    ("tile/00/000", 404),
    ("tile/64/000", 404),
    ("tile/-1/000", 404),
    ("tile/0/x000/000", 404),
    ("tile/0/001/000", 404),
    ("tile/0/000.p/0", 404),
    ("tile/0/000.p/03", 404),
    ("tile/0/000.p/256", 404),
    ("tile/0/000.p/3/", 404),
    ("tile/0/000.p/3%0A", 404),
    ("tile/0/..%2f000", 404),
    ("tile/%D9%A0/000", 404),
    ("tile/0/%D9%A0%D9%A0%D9%A0", 404),
    ("tile/entries/" + "x999/" * 400 + "999", 404),
    ("tile/0/" + "x999/" * 6 + "999.p/255", 404),
    ("tile/63/" + "x999/" * 6 + "999", 404),
    ("proof/", 404),
    ("proof/01", 404),
    ("proof/-1", 404),
    ("proof/%D9%A1", 404),
    ("proof/1%0A", 404),
    ("proof/3", 404),
    ("proof/" + "9" * 19, 404),
    ("proof/" + "9" * 5000, 404),
    ("proof/1?size=" + "9" * 5000, 400),
    ("proof/1?size=" + "9" * 19, 404),
    ("proof/1?size=%D9%A3", 400),
    ("proof/1?size=", 400),
    ("proof/1?size=2&size=3", 400),
    ("proof/1?size=1", 404),
    ("proof/2?size=2", 404),
    ("consistency", 400),
    ("consistency?from=3&to=2", 400),
    ("consistency?from=1&to=4", 404),
    ("consistency?from=" + "9" * 19, 400),
    ("consistency?from=-1&to=2", 400),
    ("consistency?from=1.0&to=2", 400),
]


def test_what_is_not_there_is_said_in_one_short_line(client, small):
    for path, status in NOT_THERE:
        found = client.get(f"/log/{path}")
        assert (found.status_code, found["Cache-Control"]) == (status, "no-store"), path
        assert found["Content-Type"] == "text/plain; charset=utf-8"
        assert found.content.endswith(b"\n") and found.content.count(b"\n") == 1 and len(found.content) < 300
        assert not found.cookies


def test_a_log_that_has_not_begun_has_nothing(client):
    for path in ("checkpoint", "tile/0/000", "proof/0", "consistency?from=0"):
        assert client.get(f"/log/{path}").status_code == 404


def test_only_reading_is_answered(client, small):
    for method in (client.post, client.put, client.delete, client.options):
        found = method("/log/checkpoint")
        assert (found.status_code, found["Allow"]) == (405, "GET, HEAD")


def test_a_head_request_is_answered_like_a_get(live_server, small):
    for path in ("checkpoint", "tile/0/000.p/3", "proof/1", "consistency?from=2&to=3"):
        about, content = ask(f"{live_server.url}/log/{path}")
        head, nothing = ask(f"{live_server.url}/log/{path}", "HEAD")
        assert content and nothing == b""
        assert int(head["Content-Length"]) == len(content)
        for name in ("Content-Type", "Cache-Control", "ETag", "Access-Control-Allow-Origin"):
            assert head[name] == about[name]


def test_a_store_without_what_its_checkpoint_covers_is_told_and_not_served(client, sizes, caplog):
    append_only.disarm(connection)
    try:
        TileRow.objects.filter(level=0).delete()
    finally:
        append_only.arm(connection)
    for path in ("tile/0/000", "proof/1", "consistency?from=2&to=260"):
        found = client.get(f"/log/{path}")
        assert (found.status_code, found["Cache-Control"]) == (500, "no-store")
        assert found.content.count(b"\n") == 1
    assert "This log has no tile/0/000" in caplog.text


def test_a_missing_verifier_key_is_no_page_of_ours(client, settings, small, tmp_path):
    settings.LEDGER_KEY_FILE = tmp_path / "elsewhere" / "ledger.pem"
    found = client.get("/log/checkpoint")
    assert found.status_code == 500 and str(tmp_path).encode() not in found.content


def test_a_proof_tells_nothing_of_its_entry(client, small):
    assert b"LRD-1042" in bytes(Entry.objects.get(index=1).note)
    assert b"LRD-1042" not in client.get("/log/proof/1").content
