"""The face that was compared, or the officer who stood in for it."""

from decimal import Decimal
from typing import Any

from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from biometrics.models import CaptureSource
from custody.directory import Directory
from custody.facts.confirmations import approval_section
from custody.facts.fact import Fact, Parts, Section
from custody.facts.measurements import decimal_e4, spread
from custody.narrative import Line
from ledger.tlog.times import parse_time


def _face(line: Line, directory: Directory) -> Section:
    face = line.body["face"]
    matched = face["outcome"] == "match"
    distance, threshold = decimal_e4(face["distance_e4"]), decimal_e4(face["threshold_e4"])
    sentence = (
        _("Distance %(distance)s is within the threshold of %(threshold)s.")
        if matched
        else _("Distance %(distance)s is beyond the threshold of %(threshold)s.")
    ) % {"distance": distance, "threshold": threshold}
    facts = [
        Fact(_("Person"), directory.person(face["person"])),
        Fact(_("Result"), sentence),
        Fact(_("Claimed error rate"), _claimed_rate(face)),
        Fact(_("Photos compared"), _with_document(face) if "portrait" in face else _photos_compared(face)),
        Fact(_("Liveness"), _liveness_shown(face["liveness"])),
        Fact(_("Taken, by the camera’s clock"), at=parse_time(face["captured_at"])),
        Fact(_("Attempt"), str(face["attempt"])),
    ]
    if face["device"]:
        facts.append(Fact(_("How the photo came"), _capture_source(face["device"])))
    if "first_capture" in face:
        facts.insert(2, Fact(_("First capture"), _first_capture(face["first_capture"])))
    note = (
        _(
            "Labeled Faces in the Wild (LFW) holds few children, few people over 80 and few women, and hardly any of "
            "several ethnic groups. Its authors say that results on it do not show that a system is fit for use: the "
            "rate is a claim, to be measured again on the people and cameras of this place."
        )
        if face["dataset"].startswith("LFW")
        else ""
    )
    fold = [
        Fact(_("Verification"), codes=(face["verification"],)),
        Fact(_("Commitment to the live photo"), codes=(face["probe"],)),
        *(
            Fact(name, codes=(face[key],))
            for name, key in (
                (_("Commitment to the document’s portrait"), "portrait"),
                (_("Commitment to the template"), "template"),
                (_("Consent"), "consent"),
            )
            if key in face
        ),
        Fact(_("Calibration file"), codes=(face["calibration"],)),
        Fact(_("Metric"), codes=(face["metric"],)),
        *spread(_("Model"), face["models"]),
        *spread(_("Runtime"), face["runtime"]),
        *spread(_("Quality"), face["quality"]),
        *spread(_("Liveness"), face["liveness"]),
        *([Fact(_("Commitment to the camera’s name"), codes=(face["camera"],))] if "camera" in face else []),
        *spread(_("First capture"), face.get("first_capture", {})),
    ]
    chip, tone = (_("Matched"), "ok") if matched else (_("Not matched"), "bad")
    return Section(_("Face verification"), "face-id", facts, chip=chip, tone=tone, note=note, fold=fold)


def _claimed_rate(face: dict[str, Any]) -> str:
    # Who was asked for a second capture could have matched twice: the two chances add up.
    chances = 2 if "first_capture" in face else 1
    strangers = number_format(round(1 / Decimal(face["target_fmr"]) / chances), force_grouping=True)
    rate = _("No more than 1 in %(strangers)s strangers would match, as measured on %(dataset)s.")
    return rate % {"strangers": strangers, "dataset": face["dataset"]}


def _first_capture(first: dict[str, Any]) -> str:
    sentence = _("Distance %(distance)s alone, beyond %(threshold)s but near: both captures were decided on together.")
    return sentence % {"distance": decimal_e4(first["distance_e4"]), "threshold": decimal_e4(first["threshold_e4"])}


def _photos_compared(face: dict[str, Any]) -> str:
    return ngettext(
        "%(m)s live photo with a template of %(k)s photo",
        "%(m)s live photo with a template of %(k)s photos",
        face["k"],
    ) % {"m": face["m"], "k": face["k"]}


def _with_document(face: dict[str, Any]) -> str:
    return ngettext(
        "%(k)s live photo with the portrait in the document; nobody was enrolled",
        "%(k)s live photos with the portrait in the document; nobody was enrolled",
        face["k"],
    ) % {"k": face["k"]}


def _capture_source(code: str) -> str:
    return str(CaptureSource(code).label) if code in CaptureSource.values else code


def _dual_control(line: Line, directory: Directory) -> Section:
    approval = line.body["dual_control"]
    section = approval_section(_("An officer stood in for the face"), approval, directory)
    refused = approval["faces_refused"]
    if refused:
        sentence = ngettext("%(count)s capture did not match", "%(count)s captures did not match", refused)
        section.facts.append(Fact(_("Before that"), sentence % {"count": refused}))
    return section


def _liveness(line: Line, directory: Directory) -> Section:
    """The part of a refusal whose capture did not count; nothing was compared."""
    liveness = line.body["liveness"]
    facts = [
        Fact(_("Result"), _liveness_shown(liveness)),
        Fact(_("Reason"), codes=(liveness["reason"],)),
    ]
    names = {"challenge": _("Challenge"), "transcript": _("Commitment to the transcript")}
    fold = [Fact(name, codes=(liveness[key],)) for key, name in names.items() if key in liveness]
    return Section(_("Liveness"), "face-id", facts, chip=_("Not shown"), tone="bad", fold=fold)


def _liveness_shown(liveness: dict[str, Any]) -> str:
    """Say what was shown of a living person: challenge-response evidence, which is not a test of conformance."""
    if liveness["outcome"] == "not_performed":
        return _("Not checked")
    if liveness["method"] != "challenge_response":
        return str(liveness["outcome"])
    names = {"left": _("left"), "right": _("right"), "front": _("front")}
    facts = {
        "turns": ", ".join(names.get(turn, str(turn)) for turn in liveness.get("turns", ())),
        "frames": liveness.get("frames", ""),
        "seconds": number_format(Decimal(liveness.get("duration_ms", 0)) / 1000, 1),
    }
    if liveness["outcome"] == "passed":
        return (
            _(
                "Challenge-response evidence: the head turned as asked (%(turns)s), in %(frames)s frames over "
                "%(seconds)s seconds. It stops a printed or replayed picture; it does not stop a mask, a generated "
                "face or a camera that was tampered with."
            )
            % facts
        )
    return _("The head did not turn as asked.")


PARTS: Parts = {"face": _face, "dual_control": _dual_control, "liveness": _liveness}
