"""What a verification found: its status, the check that failed, and the sentence that says so to a person."""

from dataclasses import dataclass

INTACT_AND_WITNESSED = "intact_and_witnessed"
INTACT_UNWITNESSED = "intact_unwitnessed"
BROKEN = "broken"
INCOMPLETE = "incomplete"


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """
    What a verification found.

    ``entries`` counts those that are sound, from the first; ``broken_at`` is the first bad or missing entry, None where
    the fault is in no single entry; ``check`` is the stable code of the check that failed, empty where none did.
    ``size`` and ``root`` are the checkpoint's where all is sound, otherwise those of the sound entries; ``uncovered``
    counts sound entries beyond the checkpoint. ``fault`` says ``check`` in words where a caller asked more of the log
    than this module does; for the checks here it is empty, and :data:`CHECKS` has the words. ``witnesses`` are the
    policy's, by its names, whose cosignatures fit; ``timestamps`` counts those that fit, ``timestamps_unchecked`` those
    that nothing here can read (``rfc3161-client`` is not installed).
    """

    status: str
    entries: int
    size: int
    root: str
    broken_at: int | None = None
    check: str = ""
    expected: str = ""
    found: str = ""
    uncovered: int = 0
    fault: str = ""
    witnesses: tuple[str, ...] = ()
    timestamps: int = 0
    timestamps_unchecked: int = 0

    @property
    def intact(self) -> bool:
        return self.status in (INTACT_AND_WITNESSED, INTACT_UNWITNESSED)

    def sentence(self) -> str:
        """The verdict in one sentence."""
        if self.intact:
            witnessed = "witnessed" if self.status == INTACT_AND_WITNESSED else "unwitnessed"
            tail = f"; {self.uncovered} more await their checkpoint" if self.uncovered else ""
            if self.timestamps_unchecked:
                tail += f"; {self.timestamps_unchecked} timestamps were not checked"
            return f"Intact, {witnessed}: all {self.size} entries under the checkpoint are sound{tail}."
        if self.check == "empty":
            return "Incomplete: there is no entry and no checkpoint, so nothing was verified."
        fault = self.fault or CHECKS.get(self.check, self.check)
        if self.status == INCOMPLETE and self.broken_at is not None:
            return f"Incomplete: entry {self.broken_at} and those after it are missing; the log holds {self.entries}."
        if self.status == INCOMPLETE:
            return f"Incomplete: {fault}."
        if self.broken_at is not None:
            return f"Broken at entry {self.broken_at}: {fault}."
        where = {
            "policy": "before the first entry",
            "known_root": "against the known head",
            "timestamp": "at a timestamp",
            "timestamp_root": "against a timestamp",
        }
        return f"Broken {where.get(self.check, 'at the checkpoint')}: {fault}."


# Every check that can break a verdict, by its stable code, as its sentence has it.
CHECKS = {
    "policy": "no pinned key can be read",
    "format": "it is not an entry in the one form that the format allows",
    "kind": "its kind is unknown or out of its place",
    "origin": "it belongs to another log",
    "signature": "its signature is not by a pinned key over these bytes",
    "index": "another entry stands in its place",
    "prev": "it does not continue from the entry before it",
    "subject_seq": "its subject's own chain skips or repeats",
    "subject_prev": "it does not continue from its subject's previous entry",
    "sealed_at": "its time is before that of the entry before it",
    "key_rotated": "it does not prove that the new key agreed to take over",
    "index_epoch": "it commits to other entries of the subjects than there are",
    "checkpoint_missing": "there are entries and no checkpoint over them",
    "checkpoint_format": "it is not a checkpoint in the one form that the format allows",
    "checkpoint_signature": "its signature is not by a pinned key over these bytes",
    "checkpoint_origin": "it belongs to another log",
    "checkpoint_root": "the entries do not add up to its root",
    "cosignature": "a line under it claims to be a pinned witness's and does not fit",
    "known_root": "the entries do not add up to the root that was known before: history was written anew",
    "timestamp": "it is not a pinned authority's over a checkpoint of this log",
    "timestamp_root": "the entries do not add up to the root that was stamped: history was written anew",
    "timestamp_late": "no timestamp says that it was there within the time that the policy allows",
    "timestamp_unchecked": "the policy asks for timestamps, and nothing here can read them: install rfc3161-client",
}
