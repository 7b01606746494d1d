"""Trust policies: the file of c2sp.org/tlog-policy with the lines of our own, and what meets a quorum."""

from itertools import combinations

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from ledger.tlog import note
from ledger.tlog.checkpoint import Checkpoint, sign_checkpoint
from ledger.tlog.cosignature import Cosigner
from ledger.tlog.errors import PolicyMalformed
from ledger.tlog.note import Signature, Signer
from ledger.tlog.policy import Group, PinnedKey, Policy, Witness, parse_policy


def key(number: int) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(number.to_bytes(32, "big"))


LOG = Signer("example.org/log", key(1))
NEXT = Signer("example.org/log", key(2))
OTHER = Signer("example.org/other", key(3))
NAMES = ["X1", "X2", "X3", "Y1", "Y2", "Y3"]
COSIGNERS = {name: Cosigner(f"witness.example/{name}", key(10 + n)) for n, name in enumerate(NAMES)}

# The specification's example, with keys.
SPEC = f"""
log {LOG.vkey}

witness X1 {COSIGNERS["X1"].vkey}
witness X2 {COSIGNERS["X2"].vkey}
witness X3 {COSIGNERS["X3"].vkey}
group X-witnesses 2 X1 X2 X3

witness Y1 {COSIGNERS["Y1"].vkey}
witness Y2 {COSIGNERS["Y2"].vkey}
witness Y3 {COSIGNERS["Y3"].vkey}
group Y-witnesses any Y1 Y2 Y3

group X-and-Y all X-witnesses Y-witnesses
quorum X-and-Y
"""
SIGNED = sign_checkpoint(Checkpoint(LOG.name, 3, bytes(32)), LOG)
TEXT = note.parse(SIGNED).text


def parsed(text: str, **options: Policy) -> Policy:
    return parse_policy(text.encode("utf-8", "surrogateescape"), **options)


@pytest.mark.parametrize("count", range(7))
def test_the_specifications_example_asks_two_of_x_and_one_of_y(count):
    policy = parsed(SPEC)
    assert policy.wants_witnesses
    for names in combinations(NAMES, count):
        wanted = sum(name[0] == "X" for name in names) >= 2 and any(name[0] == "Y" for name in names)
        assert policy.met_by(names) is wanted, names


@pytest.mark.parametrize(
    ("threshold", "met"), [("any", [1, 2, 3]), ("all", [3]), ("1", [1, 2, 3]), ("2", [2, 3]), ("3", [3])]
)
def test_a_threshold_counts_members(threshold, met):
    lines = [line for line in SPEC.splitlines() if line.startswith(("log", "witness X"))]
    policy = parsed("\n".join([*lines, f"group G {threshold} X1 X2 X3", "quorum G"]))
    assert [n for n in range(4) if policy.met_by(NAMES[:n])] == met
    assert not policy.met_by(["Y1", "Y2", "Y3", "strangers"])


def test_no_quorum_is_met_by_nobody_and_asks_for_nobody():
    policy = parsed(f"log {LOG.vkey}\nquorum none\n")
    assert not policy.wants_witnesses
    assert not policy.met_by(NAMES)
    assert policy == Policy.pin(LOG.name, LOG.vkey)


def test_one_witness_may_be_the_quorum():
    policy = parsed(f"log {LOG.vkey}\nwitness W {COSIGNERS['X1'].vkey} https://witness.example/w\nquorum W")
    assert policy.met_by(["W"])
    assert not policy.met_by([])
    assert policy.witnesses[0].url == "https://witness.example/w"


def test_spaces_tabs_comments_and_empty_lines_mean_nothing():
    lines = [
        "  # ünder no order",
        "#",
        "\t",
        f"\tlog\t {LOG.vkey}  https://log.example/ ",
        f" witness\tW\t{COSIGNERS['X1'].vkey}",
        "#quorum Z",
        "quorum W ",
    ]
    assert parsed("\n".join(lines)).met_by(["W"])


def test_names_are_octets_and_only_space_and_tab_part_them():
    """No-break space, line separator and NEL are part of a name; the Kelvin sign is not K."""
    name, kelvin = "a\u00a0b\u2028c\u0085d", "\u212a"
    policy = parsed(
        f"log {LOG.vkey}\nwitness {name} {COSIGNERS['X1'].vkey}\nwitness K {COSIGNERS['X2'].vkey}\n"
        f"witness {kelvin} {COSIGNERS['X3'].vkey}\ngroup G all {name} {kelvin}\nquorum G\n"
    )
    assert policy.met_by([name, kelvin])
    assert not policy.met_by([name, "K"])
    raw = f"log {LOG.vkey}\nwitness \udcff {COSIGNERS['X1'].vkey}\nquorum \udcff\n"
    assert parsed(raw).quorum == "\udcff"


WITNESS = f"witness W {COSIGNERS['X1'].vkey}\n"
LINE = f"log {LOG.vkey}\n"


@pytest.mark.parametrize(
    "text",
    [
        "",
        LINE,
        "quorum none\n",
        "garbage",
        LINE + "quorum none\nquorum none\n",
        LINE + "quorum\n",
        LINE + "quorum W\n" + WITNESS,
        LINE + "quorum none extra\n",
        LINE + "Quorum none\n",
        LINE + LINE + "quorum none\n",
        "log\nquorum none\n",
        f"log {LOG.vkey} url more\nquorum none\n",
        f"log {LOG.vkey}\nlog {OTHER.vkey}\nquorum none\n",
        f"log {COSIGNERS['X1'].vkey}\nquorum none\n",
        f"log {LOG.vkey[:-1]}\nquorum none\n",
        LINE + f"witness W {LOG.vkey}\nquorum W\n",
        LINE + f"witness W {NEXT.vkey}\nquorum W\n",
        LINE + f"witness none {COSIGNERS['X1'].vkey}\nquorum none\n",
        LINE + WITNESS + WITNESS + "quorum W\n",
        LINE + WITNESS + f"witness V {COSIGNERS['X1'].vkey}\nquorum W\n",
        LINE + WITNESS + f"witness V {Cosigner('another.name', key(10)).vkey}\nquorum W\n",
        LINE + WITNESS + f"witness W {COSIGNERS['X2'].vkey}\nquorum W\n",
        LINE + WITNESS + "group G any\nquorum G\n",
        LINE + WITNESS + "group G 0 W\nquorum G\n",
        LINE + WITNESS + "group G 2 W\nquorum G\n",
        LINE + WITNESS + "group G 01 W\nquorum G\n",
        LINE + WITNESS + "group G -1 W\nquorum G\n",
        LINE + WITNESS + "group G ١ W\nquorum G\n",
        LINE + WITNESS + "group G some W\nquorum G\n",
        LINE + WITNESS + "group G any W W\nquorum G\n",
        LINE + WITNESS + "group G any none\nquorum G\n",
        LINE + WITNESS + "group G any G\nquorum G\n",
        LINE + WITNESS + "group G any V\nquorum G\n",
        LINE + WITNESS + "group W any W\nquorum W\n",
        LINE + WITNESS + "group none any W\nquorum none\n",
        LINE + WITNESS + "group G any W\ngroup H any W\nquorum G\n",
        LINE + "quorum none\r\n",
        LINE + "quorum none\x00\n",
        LINE + "quorum none\x7f\n",
        "\ufeff" + LINE + "quorum none\n",
        LINE + "#: range 00000000 0\nquorum none\n",
        LINE + f"#: range {LOG.verifier.key_id.hex()}\nquorum none\n",
        LINE + f"#: range {LOG.verifier.key_id.hex()} x\nquorum none\n",
        LINE + f"#: range {LOG.verifier.key_id.hex()} 1 2 3\nquorum none\n",
        LINE + "#: timestamp-root AAA\nquorum none\n",
        LINE + "#: timestamp-within 1h\nquorum none\n",
        LINE + "#: timestamp-within 1\n#: timestamp-within 2\nquorum none\n",
        LINE + "#: something-else 1\nquorum none\n",
    ],
)
def test_any_other_file_is_refused(text):
    with pytest.raises(PolicyMalformed):
        parsed(text)


def test_the_line_that_does_not_fit_is_named():
    with pytest.raises(PolicyMalformed, match=r"line 3: name: expected .*earlier line.*'V'"):
        parsed(LINE + WITNESS + "quorum V")


def test_our_own_lines_are_comments_to_every_other_tool():
    policy = Policy(
        LOG.name,
        (PinnedKey(LOG.vkey, 0, 40), PinnedKey(NEXT.vkey, 41)),
        (Witness("W", COSIGNERS["X1"].vkey, "https://w.example/"),),
        (Group("G", 1, ("W",)),),
        "G",
        (b"\x30\x03\x02\x01\x01",),
        3600,
    )
    text = policy.encode()
    assert parsed(text) == policy
    foreign = [line for line in text.splitlines() if not line.startswith("#")]
    assert {line.split()[0] for line in foreign} == {"log", "witness", "group", "quorum"}
    assert parsed("\n".join(foreign)).met_by(["W"])


@given(st.data())
def test_any_policy_reads_back(data):
    first = data.draw(st.integers(0, 10**6))
    last = data.draw(st.none() | st.integers(first, 10**9))
    names = data.draw(st.lists(st.sampled_from(NAMES), unique=True))
    threshold = data.draw(st.integers(1, len(names))) if names else 0
    policy = Policy(
        LOG.name,
        (PinnedKey(LOG.vkey, first, last),),
        tuple(Witness(name, COSIGNERS[name].vkey) for name in names),
        (Group("G", threshold, tuple(names)),) if names else (),
        "G" if names else "none",
        tuple(data.draw(st.lists(st.binary(min_size=1, max_size=30), max_size=2))),
        data.draw(st.none() | st.integers(0, 10**6)),
    )
    assert parsed(policy.encode()) == policy


@given(st.binary(max_size=80) | st.binary(max_size=40).map(lambda tail: SPEC.encode() + tail))
def test_any_bytes_are_a_policy_or_refused(data):
    try:
        policy = parse_policy(data)
    except PolicyMalformed:
        return
    assert policy.origin == LOG.name


def test_the_logs_keys_may_be_known_from_elsewhere():
    known = Policy(LOG.name, (PinnedKey(LOG.vkey, 0, 9), PinnedKey(NEXT.vkey, 10)))
    policy = parsed(WITNESS + "quorum W", log=known)
    assert (policy.origin, policy.keys, policy.quorum) == (LOG.name, known.keys, "W")
    assert parsed(f"log {OTHER.vkey}\nquorum none", log=known).origin == OTHER.name


@pytest.mark.parametrize(
    ("pinned", "covered"),
    [((0, None), [0, 5, 6, 10**15]), ((5, None), [5, 6, 10**15]), ((0, 5), [0, 5]), ((5, 5), [5])],
)
def test_a_key_covers_its_range_with_both_ends(pinned, covered):
    key = PinnedKey(LOG.vkey, *pinned)
    assert [index for index in (0, 5, 6, 10**15) if key.covers(index)] == covered


def test_only_cosignatures_that_fit_name_a_witness():
    policy = parsed(SPEC)
    good = COSIGNERS["X1"].cosign(TEXT, timestamp=5)
    elsewhere = COSIGNERS["X2"].cosign(TEXT + "extension\n", timestamp=5)
    foreign = Cosigner("witness.example/stranger", key(99)).cosign(TEXT, timestamp=5)
    renamed = Signature(COSIGNERS["Y1"].name, COSIGNERS["Y1"].verifier.key_id, good.signature)
    data = SIGNED + "".join(line.line() for line in (good, elsewhere, foreign, renamed)).encode()
    assert policy.cosigners_of(note.parse(data)) == ("X1",)
    assert policy.cosigners_of(note.parse(SIGNED)) == ()
