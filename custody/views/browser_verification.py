"""
The page on which an auditor's own browser verifies a bundle or the live log (static/js/ledger).

The server sends the program and the sentences. It fills in no key by itself: a key from here would vouch for itself.
"""

from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET

from accounts.access import capability_required
from accounts.roles import Capability
from custody.verdicts import FAULTS
from ledger.errors import VerifierKeyMissing
from ledger.own_policy import own_policy

# What the browser finds beyond what the server's own verification does.
_BUNDLE_FAULTS = {
    "known_root": gettext_lazy("the entries do not add up to the head that you kept: history was written anew"),
    "bundle": gettext_lazy("the file is not a bundle in the one form that the format allows"),
    "tile": gettext_lazy("a tile is not what the entries hash to"),
    "proof": gettext_lazy("its proof does not lead to the checkpoint"),
    "range": gettext_lazy("it is not in the bundle"),
    "epoch_proof": gettext_lazy("what the bundle shows of the index epoch does not hold"),
    "disclosure": gettext_lazy("what is disclosed of it is not what it committed to"),
    "timestamp_unchecked": gettext_lazy(
        "the policy demands timestamps, which browsers cannot read; use custody-verify.pyz"
    ),
}


@require_GET
@capability_required(Capability.VERIFY_LEDGER)
def verify_in_browser(request: HttpRequest) -> HttpResponse:
    try:
        vkeys = own_policy().vkeys
    except VerifierKeyMissing:
        vkeys = ()
    return render(
        request,
        "custody/verify_in_browser.html",
        {
            "words": _words(),
            "own": {"origin": settings.LEDGER_ORIGIN, "vkeys": list(vkeys)},
            "log_address": reverse("log-checkpoint").removesuffix("checkpoint"),
        },
    )


def _words() -> dict[str, Any]:
    """The sentences of the page's module, in the reader's language; what stands in braces it fills in."""
    return {
        "intact": {
            "log": _("Intact: every entry holds. There are {n}."),
            "range": _("Intact: every entry from {first} to {last} is here and holds."),
            "subject": _("Intact: the entries about this subject hold. There are {n}."),
        },
        "uncovered": _("Awaiting a checkpoint: {n}."),
        "complete": _("None was left out before entry {n}: the index epoch there counts as many."),
        "not_complete": _("That none was left out is not shown: the bundle holds no index epoch."),
        "witnessed": _("Witnesses that you pinned signed the same checkpoint: {names}."),
        "unwitnessed": _("Too few of the witnesses that you pinned signed its checkpoint: ask them what they saw."),
        "no_quorum": _("You pinned no witnesses, so that nobody but the log’s own key vouches for it."),
        "sound_before": _("Entries that hold, up to there: {n}."),
        "broken_at": _("Broken at entry {at}: {fault}."),
        "broken": _("Broken: {fault}."),
        "incomplete_at": _("Incomplete at entry {at}: {fault}."),
        "incomplete": _("Incomplete: {fault}."),
        "cut_off": _("Incomplete: entry {at} and those after it are missing."),
        "empty": _("There is no entry and no checkpoint, so that nothing was verified."),
        "policy": _("Nothing was verified: what you pinned cannot be read."),
        "stopped": _("You stopped this verification before it reached a verdict."),
        "timestamps_unchecked": _("{n}, not checked in the browser"),
        "attachments_live": _("not looked at here; a bundle holds them"),
        "seconds": _("{s} s"),
        "seconds_and_rate": _("{s} s, {rate} entries a second"),
        "facts": {
            "subject": _("About"),
            "tree": _("Checkpoint"),
            "witnesses": _("Witnesses"),
            "timestamps": _("Timestamps"),
            "attachments": _("Attachments checked"),
            "disclosed": _("Disclosed of entry {n}"),
            "seconds": _("Took"),
        },
        "troubles": {
            "origin": _("Pin the log’s name and key, or choose a policy file. Without them nothing can be verified."),
            "bundle": _("Choose the bundle’s file, or drop it on the field."),
            "known": _("Enter both of the head that you kept: its size as a number, its root as 64 hex digits."),
            "policy": _("What you pinned cannot be read. Copy the line or the file again."),
            "not_fetched": _("The log did not answer, so that nothing was verified. Log in again, then verify again."),
            "failed": _("The browser could not run the verification. Take a current one, or use custody-verify.pyz."),
        },
        "faults": {check: str(fault) for check, fault in (FAULTS | _BUNDLE_FAULTS).items()},
    }
