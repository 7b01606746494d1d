"""
Which of a log's keys may sign which entry: those that the caller pinned, ended and followed by the log's rotations.

A rotation is believed as far as the key that signed it is, and never beyond where a pinned key begins.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ledger.tlog.note import Note, Verifier, verify_note
from ledger.tlog.policy import PinnedKey, Policy


@dataclass
class Span:
    """A key, and the entries that it may sign: ``first`` to ``last``, None where it has no end."""

    verifier: Verifier
    first: int
    last: int | None

    def covers(self, index: int) -> bool:
        return self.first <= index and (self.last is None or index <= self.last)


class KeysInForce:
    """
    The keys of one log, from its beginning on; rotations are told in the order of their entries.

    :raises VerifierKeyMalformed: if a pinned key cannot be read
    """

    def __init__(self, policy: Policy) -> None:
        self._pinned: Sequence[PinnedKey] = policy.keys
        self.spans = [Span(Verifier.from_vkey(key.vkey), key.first, key.last) for key in policy.keys]

    def __iter__(self) -> Iterator[Verifier]:
        """Yield every key that counts anywhere, each once."""
        return iter({span.verifier.vkey: span.verifier for span in self.spans}.values())

    def at(self, index: int) -> list[Verifier]:
        """Return the keys that may sign entry ``index``."""
        return list({span.verifier.vkey: span.verifier for span in self.spans if span.covers(index)}.values())

    def same_until(self, index: int) -> int | None:
        """Return the next entry for which :meth:`at` may say something else than for ``index``; None where none is."""
        edges = [span.first for span in self.spans] + [span.last + 1 for span in self.spans if span.last is not None]
        return min((edge for edge in edges if edge > index), default=None)

    def signer_of(self, index: int, note: Note) -> Verifier:
        """
        Return the key in force at ``index`` that signed the note.

        :raises SignatureNotVerified: if none did
        """
        keys = self.at(index)
        signature = verify_note(note, *keys).verified[0]
        return next(key for key in keys if key.made(signature) and key.verifies(signature, note.text))

    def rotate(self, old: Verifier, new: Verifier, *, at: int) -> None:
        """Let ``new`` take over from ``old`` behind the ``key_rotated`` entry ``at``, which ``old`` signed."""
        first = at + 1
        for span in self.spans:
            # Also where it is pinned for longer: whoever signed this said that it ends here.
            if span.verifier.vkey == old.vkey and span.covers(first):
                span.last = at
        pinned = [key for key in self._pinned if key.vkey == new.vkey]
        for key in pinned:
            # A key that the caller pinned too counts only where the caller says.
            counts = any(span.verifier.vkey == new.vkey and span.covers(first) for span in self.spans)
            if key.covers(first) and not counts:
                self.spans.append(Span(new, first, key.last))
        if not pinned:
            # One that is not pinned ends where a pinned key begins: else a key that was retired long ago, and stolen,
            # could hand the log over to anybody.
            begins = min((key.first for key in self._pinned if key.first >= first), default=None)
            if begins != first:
                self.spans.append(Span(new, first, None if begins is None else begins - 1))

    def told(self) -> list[list[Any]]:
        """Return the spans as plain values, for a state that is resumed."""
        return [[span.verifier.vkey, span.first, span.last] for span in self.spans]

    def resume(self, told: Sequence[Sequence[Any]]) -> None:
        """Take up what :meth:`told` said of the same policy's keys."""
        self.spans = [Span(Verifier.from_vkey(vkey), first, last) for vkey, first, last in told]
