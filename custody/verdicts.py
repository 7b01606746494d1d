"""Put a stored verdict into a sentence, in the reader's language: what holds, or where the log first fails and how."""

from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from ledger.models import VerificationRun

FAULTS = {
    "policy": gettext_lazy("the pinned key cannot be read"),
    "checkpoint_missing": gettext_lazy("there are entries and no checkpoint over them"),
    "checkpoint_signature": gettext_lazy("its signature is not by the pinned key"),
    "checkpoint_format": gettext_lazy("it is not a checkpoint in the one form that the format allows"),
    "checkpoint_origin": gettext_lazy("it is of another log"),
    "attachment_missing": gettext_lazy("an attachment that it names is gone"),
    "attachment_changed": gettext_lazy("an attachment that it names is not what it was"),
    "kind": gettext_lazy("its kind is not one that may stand there"),
    "checkpoint_root": gettext_lazy("the entries do not add up to its root"),
    "format": gettext_lazy("it is not an entry in the one form that the format allows"),
    "origin": gettext_lazy("it belongs to another log"),
    "signature": gettext_lazy("its signature is not by the pinned key over these bytes"),
    "index": gettext_lazy("another entry stands in its place"),
    "prev": gettext_lazy("it does not continue from the entry before it"),
    "subject_seq": gettext_lazy("its subject’s own chain skips or repeats"),
    "subject_prev": gettext_lazy("it does not continue from its subject’s previous entry"),
    "sealed_at": gettext_lazy("its time is before that of the entry before it"),
    "key_rotated": gettext_lazy("the new key that it names did not agree to take over there"),
    "index_epoch": gettext_lazy("the entries before it do not add up to what it says of each subject"),
    "cosignature": gettext_lazy("a pinned witness’s cosignature does not fit it"),
    "timestamp": gettext_lazy("a timestamp over an earlier checkpoint does not fit it, or is by no pinned authority"),
    "timestamp_root": gettext_lazy("the entries do not add up to a checkpoint that was timestamped earlier"),
    "timestamp_late": gettext_lazy("no authority timestamped it near the time that it claims"),
}

# Faults of what the server itself remembers of the log, beside the database.
_STORE_FAULTS = {
    "known_root": gettext_lazy(
        "Broken: the entries do not add up to the root that was last signed. History was written anew."
    ),
    "last_signed_missing": gettext_lazy("Incomplete: the last-signed store is gone."),
    "last_signed_format": gettext_lazy("Incomplete: the last-signed store cannot be read."),
    "last_signed_origin": gettext_lazy("Incomplete: the last-signed store is of another log."),
}


@dataclass(frozen=True)
class ToldVerdict:
    """``state`` is ok, broken or waiting; ``broken_at`` the first bad entry, None where no single one is at fault."""

    state: str
    word: str
    sentence: str
    detail: str = ""
    broken_at: int | None = None
    check: str = ""
    expected: str = ""
    found: str = ""


def tell_verdict(run: VerificationRun) -> ToldVerdict:
    """Describe what a verification found."""
    verdict = run.verdict
    if verdict is None:
        return _tell_unfinished(run)
    entries, at, uncovered = verdict["entries"], verdict["broken_at"], verdict["uncovered"]
    if verdict["status"] in ("intact_and_witnessed", "intact_unwitnessed"):
        witnessed = verdict["status"] == "intact_and_witnessed"
        word = _("Intact and witnessed") if witnessed else _("Intact, unwitnessed")
        sentence = ngettext("%(word)s: the one entry holds.", "%(word)s: all %(n)s entries hold.", entries) % {
            "word": word,
            "n": entries,
        }
        if uncovered:
            sentence += " " + ngettext(
                "%(n)s of them awaits its checkpoint.", "%(n)s of them await their checkpoint.", uncovered
            ) % {"n": uncovered}
        if run.depth == VerificationRun.Depth.FAST:
            sentence += " " + _("This was the quick check: hashes, chain and tree, no single signature.")
        return ToldVerdict("ok", word, sentence, _witnessed(verdict))
    facts = {"check": verdict["check"], "expected": verdict["expected"], "found": verdict["found"], "broken_at": at}
    fault = FAULTS.get(verdict["check"], verdict["check"])
    if verdict["check"] == "empty":
        return ToldVerdict("waiting", _("Empty"), _("The log has no entry yet, so that nothing was verified."))
    if verdict["check"] in _STORE_FAULTS:
        return _tell_store_fault(verdict["status"], verdict["check"], facts)
    if verdict["status"] == "incomplete":
        sentence = _("Incomplete: entry %(at)s and those after it are missing.") % {"at": at}
        detail = _("The log holds %(entries)s entries; more were signed.") % {"entries": entries}
        return ToldVerdict("broken", _("Incomplete"), sentence, detail, **facts)
    if verdict["check"] == "policy":
        return ToldVerdict("broken", _("Not verified"), _("Nothing was verified: the key cannot be read."), **facts)
    if at is None:
        sentence = _("Broken at the checkpoint: %(fault)s.") % {"fault": fault}
        return ToldVerdict("broken", _("Broken"), sentence, **facts)
    sentence = _("Broken at entry %(at)s: %(fault)s.") % {"at": at, "fault": fault}
    detail = ngettext("The entry before it holds.", "The %(n)s entries before it hold.", at) % {"n": at} if at else ""
    return ToldVerdict("broken", _("Broken"), sentence, detail, **facts)


def _tell_store_fault(status: str, check: str, facts: dict[str, Any]) -> ToldVerdict:
    sentence = str(_STORE_FAULTS[check])
    if status == "broken":
        return ToldVerdict("broken", _("Broken"), sentence, **facts)
    detail = _(
        "The entries that are here hold. Without the store nobody here knows whether later ones were cut off, or "
        "history was written anew: bring it back and verify again."
    )
    return ToldVerdict("broken", _("Incomplete"), sentence, detail, **facts)


def _tell_unfinished(run: VerificationRun) -> ToldVerdict:
    if run.state == VerificationRun.State.CANCELLED:
        return ToldVerdict("waiting", _("Stopped"), _("This verification was stopped before it reached a verdict."))
    return ToldVerdict(
        "waiting",
        _("Not finished"),
        _("This verification did not finish."),
        _("It failed before it reached a verdict; the server’s log says why. Verify again."),
    )


def _witnessed(verdict: dict[str, Any]) -> str:
    if verdict["status"] == "intact_and_witnessed":
        return _("Witnesses outside this system signed the same checkpoint: %(names)s.") % {
            "names": ", ".join(verdict["witnesses"])
        }
    return _(
        "Each entry is signed and chained, and the tree over them is the one that the checkpoint signs. No witness "
        "outside this system has countersigned it."
    )
