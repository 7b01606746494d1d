"""
Make the golden log and its tampered copies: ``python -m tests.vectors.generate``.

Everything is fixed, keys and times too, so the files never change unless the format does; a change of these files is a
change of the format.
"""

import json
from base64 import b64encode
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

from ledger.tlog.entry import parse_entry
from ledger.tlog.merkle import Frontier, leaf_hash
from tests.vectors import trees
from tests.vectors.golden_log import BRUNO, GOLDEN, GOLDEN_CHECKPOINT, LOG, ORIGIN, commitment
from tests.vectors.tamperings import TAMPERINGS

FOLDER = Path(__file__).resolve().parent


def golden_files() -> dict[str, bytes]:
    frontier, entries = Frontier(), []
    for data in GOLDEN:
        frontier.append(leaf_hash(data))
        read = parse_entry(data)
        entries.append(
            {
                "index": read.index,
                "kind": read.kind,
                "subject": read.subject,
                "subject_seq": read.subject_seq,
                "leaf_hash": leaf_hash(data).hex(),
                "root_up_to_here": frontier.root().hex(),
            }
        )
    template = f"template {BRUNO}"
    expected = {
        "origin": ORIGIN,
        "vkey": LOG.vkey,
        "size": len(GOLDEN),
        "root": frontier.root().hex(),
        "entries": entries,
        "commitments": [
            {
                "about": "the template that entry 2 commits to",
                "salt": sha256(f"salt of {template}".encode()).hexdigest(),
                "value": template.encode().hex(),
                "commitment": commitment(template),
            }
        ],
    }
    files = {f"golden/entries/{index:05}.note": data for index, data in enumerate(GOLDEN)}
    files["golden/log.vkey"] = f"{LOG.vkey}\n".encode()
    files["golden/checkpoint.note"] = GOLDEN_CHECKPOINT
    files["golden/expected.json"] = as_json(expected)
    return files


def tampered_files() -> dict[str, bytes]:
    golden = {data: index for index, data in enumerate(GOLDEN)}
    files = {}
    for make in TAMPERINGS:
        case = make()
        if case.checkpoint == GOLDEN_CHECKPOINT:
            checkpoint: str | None = "golden"
        else:
            checkpoint = b64encode(case.checkpoint).decode() if case.checkpoint is not None else None
        known = {"known": {"size": case.known.size, "root": case.known.root.hex()}} if case.known else {}
        files[f"tampered/{make.__name__}.json"] = as_json(
            {
                "about": case.about,
                "log": [golden.get(data, b64encode(data).decode()) for data in case.notes],
                "checkpoint": checkpoint,
                **known,
                "verdict": {
                    "status": case.status,
                    "check": case.check,
                    "broken_at": case.broken_at,
                    "uncovered": case.uncovered,
                },
            }
        )
    return files


def as_json(value: Any) -> bytes:
    return json.dumps(value, indent=1, ensure_ascii=False).encode() + b"\n"


def files() -> dict[str, bytes]:
    """Return every vector file by its path below this folder."""
    return golden_files() | trees.files() | tampered_files()


def on_disk() -> Iterator[Path]:
    for folder in ("golden", "tampered"):
        yield from (path for path in (FOLDER / folder).rglob("*") if path.is_file())


def main() -> None:
    made = files()
    for path in on_disk():
        if path.relative_to(FOLDER).as_posix() not in made:
            path.unlink()
    for name, data in made.items():
        path = FOLDER / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


if __name__ == "__main__":
    main()
