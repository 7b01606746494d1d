"""
What a verifier pins: the log's keys, the witnesses and their quorum, and whose timestamps count.

The file is that of c2sp.org/tlog-policy. What this product pins besides stands in lines that begin with ``#:``, which
are comments to every other tool:

``#: range <key id> <first> [<last>]``
    the log's key with that id (8 hex digits) signs entries ``first`` to ``last``, the last one included, and no others
``#: timestamp-root <base64 of a DER certificate>``
    RFC 3161 timestamps under this root count
``#: timestamp-within <seconds>``
    every entry must be under a timestamp that is at most so much later than the entry claims to be

A policy comes from the caller, never from what is verified: the one in a bundle is a template.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from ledger.tlog import base64_strict
from ledger.tlog.cosignature import CosignatureVerifier
from ledger.tlog.errors import PolicyMalformed, TlogError, excerpt
from ledger.tlog.note import Note, Verifier

NONE = "none"
_NUMBER = re.compile(r"0|[1-9][0-9]{0,15}")
_CONTROL = re.compile(rb"[^\x09\x0a\x20-\x7e\x80-\xff]")


@dataclass(frozen=True)
class PinnedKey:
    """A log's verifier key line, and the entries that it may sign: ``first`` to ``last``, None where it has no end."""

    vkey: str
    first: int = 0
    last: int | None = None

    def covers(self, index: int) -> bool:
        return self.first <= index and (self.last is None or index <= self.last)


@dataclass(frozen=True)
class Witness:
    """A witness: what the policy calls it, its verifier key line, and where it is asked, if it is."""

    name: str
    vkey: str
    url: str = ""


@dataclass(frozen=True)
class Group:
    """A group witnesses what at least ``threshold`` of its members (witnesses or earlier groups) do."""

    name: str
    threshold: int
    members: tuple[str, ...]


@dataclass(frozen=True)
class Policy:
    """
    What the caller pins.

    ``quorum`` names a witness or group, or ``none``. ``timestamp_roots`` are DER certificates; ``timestamp_within`` is
    in seconds, None where nothing is demanded.
    """

    origin: str
    keys: tuple[PinnedKey, ...]
    witnesses: tuple[Witness, ...] = ()
    groups: tuple[Group, ...] = ()
    quorum: str = NONE
    timestamp_roots: tuple[bytes, ...] = ()
    timestamp_within: int | None = None

    @classmethod
    def pin(cls, origin: str, *vkeys: str) -> "Policy":
        """Pin a log's keys alone: each may sign any entry, no witness is asked for."""
        return cls(origin, tuple(PinnedKey(vkey) for vkey in vkeys))

    @property
    def vkeys(self) -> tuple[str, ...]:
        return tuple(key.vkey for key in self.keys)

    @property
    def wants_witnesses(self) -> bool:
        return self.quorum != NONE

    def met_by(self, names: Iterable[str]) -> bool:
        """Tell whether cosignatures of the witnesses of these names reach the quorum; never where it is none."""
        reached = set(names)
        for group in self.groups:  # members stand before their group
            if sum(member in reached for member in group.members) >= group.threshold:
                reached.add(group.name)
        return self.quorum in reached

    def cosigners_of(self, checkpoint: Note) -> tuple[str, ...]:
        """
        Name the policy's witnesses whose cosignature under the checkpoint fits.

        A signature that claims to be a pinned witness's and does not fit counts as absent.

        :raises VerifierKeyMalformed: if a witness's key line cannot be read
        """
        names = []
        for witness in self.witnesses:
            verifier = CosignatureVerifier.from_vkey(witness.vkey)
            claimed = [signature for signature in checkpoint.signatures if verifier.made(signature)]
            if any(verifier.verifies(signature, checkpoint.text) for signature in claimed):
                names.append(witness.name)
        return tuple(names)

    def encode(self) -> str:
        """Return the policy file's text."""
        lines = [f"log {key.vkey}" for key in self.keys]
        for key in self.keys:
            if key.first or key.last is not None:
                last = "" if key.last is None else f" {key.last}"
                lines.append(f"#: range {key.vkey.split('+')[1]} {key.first}{last}")
        lines += [f"witness {w.name} {w.vkey}{' ' + w.url if w.url else ''}" for w in self.witnesses]
        lines += [f"group {g.name} {g.threshold} {' '.join(g.members)}" for g in self.groups]
        lines.append(f"quorum {self.quorum}")
        lines += [f"#: timestamp-root {base64_strict.encode(root)}" for root in self.timestamp_roots]
        if self.timestamp_within is not None:
            lines.append(f"#: timestamp-within {self.timestamp_within}")
        return "".join(f"{line}\n" for line in lines)


def parse_policy(data: bytes, *, log: Policy | None = None) -> Policy:
    """
    Read a policy file (c2sp.org/tlog-policy, and the ``#:`` lines above).

    :param log: the log's origin and keys where they are known from elsewhere; the file may then name none
    :raises PolicyMalformed: if a line, a key or a name does not fit, or it names no log, or logs of several origins
    """
    if match := _CONTROL.search(data):
        raise PolicyMalformed(
            "policy", expected="tab, newline and printable bytes", found=f"byte {match.group().hex()}"
        )
    reading = _Reading(log)
    # Octets with the high bit set are opaque to the standard; names that stand in notes are UTF-8.
    for number, line in enumerate(data.decode("utf-8", "surrogateescape").split("\n"), 1):
        # Not split(): it would break at U+00A0 and other marks that are part of a name here.
        words = [word for word in line.replace("\t", " ").split(" ") if word]
        if not words or (words[0].startswith("#") and not words[0].startswith("#:")):
            continue
        try:
            reading.take(words)
        except TlogError as error:
            raise PolicyMalformed(f"line {number}: {error.what}", expected=error.expected, found=error.found) from None
    return reading.policy()


class _Reading:
    """The policy so far; each line refers to lines before it alone."""

    def __init__(self, log: Policy | None) -> None:
        self.log = log
        self.origin = ""
        self.keys: dict[str, PinnedKey] = {}  # by key id
        self.witnesses: dict[str, Witness] = {}
        self.groups: dict[str, Group] = {}
        self.quorum = ""
        self.roots: list[bytes] = []
        self.within: int | None = None
        self.public_keys: set[bytes] = set()
        self.members: set[str] = set()

    def take(self, words: list[str]) -> None:
        match words:
            case ["log", vkey] | ["log", vkey, _]:
                self._log(vkey)
            case ["witness", name, vkey, *url] if len(url) <= 1:
                self._witness(Witness(name, vkey, *url))
            case ["group", name, threshold, *members] if members:
                self._group(name, threshold, tuple(members))
            case ["quorum", name] if not self.quorum:
                if name != NONE:
                    self._known(name)
                self.quorum = name
            case ["#:", "range", key_id, first, *last] if len(last) <= 1 and key_id in self.keys:
                bounds = [_number(word) for word in (first, *last)]
                self.keys[key_id] = replace(self.keys[key_id], first=bounds[0], last=bounds[1] if last else None)
            case ["#:", "timestamp-root", encoded]:
                self.roots.append(base64_strict.decode(encoded))
            case ["#:", "timestamp-within", seconds] if self.within is None:
                self.within = _number(seconds)
            case _:
                raise PolicyMalformed("line", expected="one that a policy has", found=excerpt(" ".join(words)))

    def policy(self) -> Policy:
        origin, keys = self.origin, tuple(self.keys.values())
        if not keys and self.log:
            origin, keys = self.log.origin, self.log.keys
        if not keys:
            raise PolicyMalformed("policy", expected="at least one log line", found="none")
        if not self.quorum:
            raise PolicyMalformed("policy", expected="one quorum line", found="none")
        return Policy(
            origin,
            keys,
            tuple(self.witnesses.values()),
            tuple(self.groups.values()),
            self.quorum,
            tuple(self.roots),
            self.within,
        )

    def _log(self, vkey: str) -> None:
        verifier = Verifier.from_vkey(vkey)
        if self.origin not in ("", verifier.name):
            raise PolicyMalformed(
                "log", expected=f"another key of {excerpt(self.origin)}", found=excerpt(verifier.name)
            )
        self._once(verifier.public_key.public_bytes_raw())
        self.origin = verifier.name
        self.keys[verifier.key_id.hex()] = PinnedKey(vkey)

    def _witness(self, witness: Witness) -> None:
        self._new(witness.name)
        self._once(CosignatureVerifier.from_vkey(witness.vkey).public_key.public_bytes_raw())
        self.witnesses[witness.name] = witness

    def _group(self, name: str, threshold: str, members: tuple[str, ...]) -> None:
        self._new(name)
        for member in members:
            self._known(member)
            if member in self.members:
                raise PolicyMalformed("group", expected="each name in one group once", found=excerpt(member))
            self.members.add(member)
        wanted = {"any": 1, "all": len(members)}.get(threshold) or _number(threshold)
        if not 1 <= wanted <= len(members):
            raise PolicyMalformed("group", expected=f"1 to {len(members)}", found=excerpt(threshold))
        self.groups[name] = Group(name, wanted, members)

    def _new(self, name: str) -> None:
        if name == NONE or name in self.witnesses or name in self.groups:
            raise PolicyMalformed("name", expected="a name that is not taken", found=excerpt(name))

    def _known(self, name: str) -> None:
        if name not in self.witnesses and name not in self.groups:
            raise PolicyMalformed("name", expected="a witness or group of an earlier line", found=excerpt(name))

    def _once(self, public_key: bytes) -> None:
        if public_key in self.public_keys:
            raise PolicyMalformed("key", expected="each public key once", found=public_key.hex())
        self.public_keys.add(public_key)


def _number(text: str) -> int:
    if not _NUMBER.fullmatch(text):
        raise PolicyMalformed("number", expected="a decimal number without leading zeros", found=excerpt(text))
    return int(text)
