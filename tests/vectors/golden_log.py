"""
The golden log: twelve entries about two shipments and two people, the same bytes each time.

The keys are public here and sign nothing else.
"""

import uuid
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ledger.tlog import note
from ledger.tlog.checkpoint import Checkpoint, sign_checkpoint
from ledger.tlog.commitment import commit
from ledger.tlog.entry import ZERO_HASH, Entry
from ledger.tlog.merkle import leaf_hash, root
from ledger.tlog.note import Signer
from ledger.tlog.times import format_time

ORIGIN = "example.org/custody/juarez"
BEGINNING = datetime(2026, 11, 22, 14, 5, 9, 123_000, tzinfo=UTC)


def key(name: str) -> Ed25519PrivateKey:
    """Make the private key that belongs to a public phrase."""
    return Ed25519PrivateKey.from_private_bytes(sha256(f"custody test vectors: {name}".encode()).digest())


LOG = Signer(ORIGIN, key("the log"))
STRANGER = Signer(ORIGIN, key("a stranger under the log's name"))


def urn(name: str) -> str:
    return uuid.uuid5(uuid.NAMESPACE_URL, f"https://example.org/custody/vectors/{name}").urn


def digest(name: str) -> str:
    return sha256(name.encode()).hexdigest()


def commitment(name: str) -> str:
    """Commit to a value as the product would, with a salt that is known here."""
    return commit(salt=sha256(f"salt of {name}".encode()).digest(), value=name.encode())


@dataclass(frozen=True)
class Statement:
    """What is to be sealed: an entry without its place."""

    kind: str
    subject: str
    body: dict[str, Any]
    after: timedelta = timedelta(seconds=61, milliseconds=7)


@dataclass
class Log:
    """A log as its sealer holds it; ``statements`` and ``notes`` run side by side."""

    notes: list[bytes] = field(default_factory=list)
    heads: dict[str, tuple[int, str]] = field(default_factory=dict)
    now: datetime = BEGINNING

    def seal(self, statement: Statement, *, signer: Signer = LOG, **changed: Any) -> bytes:
        """Sign the next entry; ``changed`` replaces fields of it, for sealers that cheat."""
        seq, subject_prev = self.heads.get(statement.subject, (0, ZERO_HASH))
        entry = Entry(
            origin=signer.name,
            index=len(self.notes),
            kind=statement.kind,
            subject=statement.subject,
            subject_seq=seq,
            subject_prev=subject_prev,
            prev=leaf_hash(self.notes[-1]).hex() if self.notes else ZERO_HASH,
            sealed_at=format_time(self.now),
            body=statement.body,
        )
        sealed = sign_freely(replace(entry, **changed), signer)
        self.notes.append(sealed)
        self.heads[statement.subject] = (seq + 1, leaf_hash(sealed).hex())
        self.now += statement.after
        return sealed


def sign_freely(entry: Entry, signer: Signer) -> bytes:
    """Sign what the product would refuse to sign, too."""
    return note.sign(entry.text(), signer)


BOOTS, COFFEE = urn("shipment boots"), urn("shipment coffee")
ANA, BRUNO = urn("person Ana"), urn("person Bruno")


MODELS = {
    "detector": {"name": "dlib HOG", "version": "20.0.1"},
    "landmarks": {"name": "shape_predictor_5_face_landmarks.dat", "sha256": digest("landmarks")},
    "descriptor": {
        "name": "dlib_face_recognition_resnet_model_v1.dat",
        "sha256": digest("descriptor"),
        "engine": "dlib",
    },
}
RUNTIME = {"dlib": "20.0.1", "numpy": "2.4.6", "pillow": "13.0.0"}


def face(outcome: str, distance_e4: int, person: str, name: str) -> dict[str, Any]:
    return {
        "verification": urn(f"verification {name}"),
        "person": person,
        "outcome": outcome,
        "distance_e4": distance_e4,
        "threshold_e4": 4712,
        "metric": "l2_mean",
        "k": 3,
        "m": 1,
        "target_fmr": "1e-4",
        "dataset": "LFW",
        "calibration": digest("calibration"),
        "models": MODELS,
        "runtime": RUNTIME,
        "quality": {
            "eye_distance_px": 112,
            "score_e3": 1843,
            "yaw_e3": -41,
            "luminance_e3": 498,
            "overexposed_e4": 12,
            "underexposed_e4": 0,
            "sharpness": 684,
        },
        "faces_in_frame": 1,
        "liveness": {"method": "none", "outcome": "not_performed"},
        "probe": commitment(f"probe {name}"),
        "template": commitment(f"template {person}"),
        "consent": urn(f"consent of {person}"),
        "captured_at": format_time(BEGINNING + timedelta(minutes=5)),
        "device": "webcam",
        "attempt": 1,
    }


def enrolment(person: str, role: str) -> Statement:
    return Statement(
        "enrolment",
        person,
        {
            "person": person,
            "role": role,
            "version": 1,
            "k": 3,
            "metric": "l2_mean",
            "template": commitment(f"template {person}"),
            "photos": [commitment(f"photo {number} of {person}") for number in (1, 2, 3)],
            "consent": {
                "id": urn(f"consent of {person}"),
                "purpose": "custody",
                "retention": "P1Y",
                "language": "es",
                "text_version": "3",
                "text": digest("consent text, version 3, es"),
            },
            "models": MODELS,
            "runtime": RUNTIME,
            "calibration": digest("calibration"),
            "enrolled_by": urn("user Olga"),
        },
    )


def handoff(number: int, shipment: str, receiver: str, *, not_seen: tuple[str, ...] = ()) -> Statement:
    goods = {
        BOOTS: {"reference": "LRD-1042", "sscc": ["306141411234567892"], "units": 1, "ucr": "6MX812345678LRD1042"},
        COFFEE: {"reference": "LRD-1043", "sscc": ["306141411234567908"], "units": 1, "mrn": "26MX00000000001043"},
    }[shipment]
    opened = BEGINNING + timedelta(minutes=number)
    sessions = 2 if not_seen else 1
    body: dict[str, Any] = {
        "handoff": urn(f"handoff {number}"),
        "attempt": urn(f"attempt {number}"),
        "goods": goods,
        "from": {"role": "consignor", "party": "0614141000005"},
        "to": {"person": receiver, "role": "driver"},
        "where": {"site": "0614141000012", "read_point": "urn:epc:id:sgln:0614141.00001.dock-4"},
        "when": {
            "opened_at": format_time(opened),
            "reconciled_at": format_time(opened + timedelta(seconds=48)),
            "accepted_at": format_time(opened + timedelta(seconds=95)),
        },
        "reads": {
            "session": urn(f"session {number}"),
            "sessions": sessions,
            "document": digest(f"reads {number}"),
            "reports_root": digest(f"reports {number}"),
            "reconciliation": digest(f"reconciliation {number}"),
            "expected": 24,
            "seen": 24 - len(not_seen),
            "inferred": 0,
            "not_seen": list(not_seen),
            "unexpected": [],
            "grade": "inconclusive" if not_seen else "direct",
        },
        "face": face("match", 3127, receiver, f"{number}"),
        "second_factor": "badge",
        "operator": urn("user Beto"),
    }
    if shipment == BOOTS:
        # Not submitted yet by anything, but fields that a later version may add; and text that needs care.
        body["seals"] = [{"number": "MX-558201", "class": "H", "state": "intact", "affixed_entry": 4}]
        body["weight"] = {"measured_g": 412_350, "declared_g": 412_000, "tolerance_g": 2_000, "over_declared": True}
    if not_seen:
        accepted = {"code": "missing_tag", "items": len(not_seen), "accepted_by": urn("user Beto")}
        body["exceptions"] = [accepted | {"remark": "Andén 4 — “sin daños”\n\tturno\u00a02 ✓ \U0001f4e6"}]
    return Statement("handoff", shipment, body)


def statements() -> list[Statement]:
    missing = "3074257BF7194E4000001A85"
    return [
        Statement("genesis", urn("the log"), {"format": "custody-ledger/v1", "vkey": LOG.vkey}),
        enrolment(ANA, "warehouse"),
        enrolment(BRUNO, "driver"),
        Statement(
            "declaration",
            BOOTS,
            {"version": 1, "hs": "640399", "origin_country": "MX", "items": 24, "declared_g": 412_000},
        ),
        Statement("seal_applied", BOOTS, {"number": "MX-558201", "class": "H", "by": ANA}),
        handoff(5, BOOTS, BRUNO),
        Statement("declaration", COFFEE, {"version": 1, "hs": "090121", "origin_country": "MX", "items": 24}),
        # Sealed in one batch with the entry before it: the same time, to the millisecond.
        Statement(
            "handoff_refused",
            COFFEE,
            {
                "refusal": urn("refusal 7"),
                "code": "face_mismatch",
                "goods": {"reference": "LRD-1043", "sscc": ["306141411234567908"], "units": 1},
                "to": {"person": BRUNO, "role": "driver"},
                "where": {"site": "0614141000012", "read_point": "urn:epc:id:sgln:0614141.00001.dock-4"},
                "when": {"refused_at": format_time(BEGINNING + timedelta(minutes=7))},
                "operator": urn("user Beto"),
                "handoff": urn("handoff 7"),
                "attempt": urn("attempt 7"),
                "from": {"role": "consignor", "party": "0614141000005"},
                "face": face("no_match", 7344, BRUNO, "7"),
            },
            after=timedelta(0),
        ),
        handoff(8, COFFEE, ANA, not_seen=(missing,)),
        Statement("discrepancy", COFFEE, {"code": "missing_tag", "items": [missing], "grade": "inconclusive"}),
        Statement("inspection", BOOTS, {"officer": urn("person Olga"), "reason": "random", "seals": ["MX-558201"]}),
        Statement("erasure", ANA, {"person": ANA, "requested_at": format_time(BEGINNING), "destroyed": ["template"]}),
    ]


def golden_log() -> Log:
    log = Log()
    for statement in statements():
        log.seal(statement)
    return log


def checkpoint_over(notes: list[bytes], size: int | None = None, *, origin: str = ORIGIN) -> Checkpoint:
    covered = notes[:size]
    return Checkpoint(origin, len(covered), root(map(leaf_hash, covered)))


GOLDEN = golden_log().notes
GOLDEN_CHECKPOINT = sign_checkpoint(checkpoint_over(GOLDEN), LOG)
