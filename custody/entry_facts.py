"""
Lay out what one entry holds, section by section, in the words of the reader.

It reads the sealed body alone and looks names up beside it. A part of an unknown shape is left to the raw text.
"""

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.urls import reverse
from django.utils.dates import WEEKDAYS_ABBR
from django.utils.formats import number_format
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from biometrics.models import CaptureSource, PersonKind
from custody.directory import Directory
from custody.discrepancy_codes import ABOUT, Code, Severity
from custody.models import (
    Advice,
    ApprovalReason,
    Document,
    DocumentType,
    Exemption,
    Licence,
    Outcome,
    PassageDirection,
    PassageState,
    WithdrawalReason,
)
from custody.narrative import Line
from custody.passage_decisions import FINDINGS
from custody.sentences.authorisations import holder
from custody.sentences.exceptions import EXCEPTIONS, how_much, kilograms
from custody.sentences.goods import unit_name
from custody.sentences.officers import passage_check
from custody.sentences.reasons import REASONS, why
from ledger import attachments
from ledger.errors import AttachmentChanged
from ledger.models import Attachment
from ledger.tlog.errors import TlogError
from ledger.tlog.times import parse_time
from shipments.declared import WARNINGS
from shipments.declared_text import CHANGED_FIELDS, ROLE_NAMES, format_minor
from shipments.models import DeclarationKind, ManifestItem, SealClass, SealState
from shipments.seals import REASONS as SEAL_REASONS

SECOND_FACTORS = {
    "pin": gettext_lazy("PIN"),
    "badge": gettext_lazy("Badge"),
    "passkey": gettext_lazy("Passkey"),
}

DECLARATIONS = ("declaration", "declaration_amended")

_GRADES = {
    "direct": gettext_lazy("Direct: every expected tag was read"),
    "inferred": gettext_lazy(
        "Inferred: what was not read itself lay, by what was packed, in a unit whose tag was read"
    ),
    "inconclusive": gettext_lazy("Inconclusive: some expected tags were not read, which alone proves nothing"),
}


@dataclass(frozen=True)
class Fact:
    """One fact: words (``value``), a time (``at``), or codes; ``url`` leads to what it names."""

    name: str
    value: str = ""
    at: datetime | None = None
    codes: tuple[str, ...] = ()
    url: str = ""


@dataclass(frozen=True)
class Section:
    title: str
    icon: str
    facts: list[Fact]
    chip: str = ""
    tone: str = "plain"
    note: str = ""
    tags: list[dict[str, str]] = field(default_factory=list)
    fold: list[Fact] = field(default_factory=list)


@dataclass(frozen=True)
class AttachmentFact:
    """A document that an entry names by digest; ``state`` is ok, changed or missing."""

    name: str
    sha256: str
    state: str
    size: int = 0


def lay_out(line: Line) -> list[Section]:
    """Return the sections of an entry's body; none where it cannot be read."""
    directory = Directory()
    sections = []
    for part, write in _PARTS:
        # The kinds that have no such part, and those whose shape this version does not know, are left out alike.
        try:
            if part in line.body and (section := write(line, directory)) is not None:
                sections.append(section)
        except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError, TlogError):
            continue
    return sections


def named_attachments(line: Line) -> list[AttachmentFact]:
    """Find what the entry names by digest, each checked against it now."""
    if line.kind in ("reads_anchored", "read_gap"):
        name = _("The reports that it binds") if line.kind == "reads_anchored" else _("All the gaps")
        document = line.body.get("document")
        return [_attachment(name, document)] if isinstance(document, str) else []
    if line.kind == "act_refused" and isinstance(line.body.get("document"), str):
        return [_attachment(_("What was to be declared"), line.body["document"])]
    if line.kind in DECLARATIONS and isinstance(line.body.get("document"), str):
        return [_attachment(_("The whole declaration"), line.body["document"])]
    named = (
        ("reads", "document", _("What the readers reported")),
        ("reads", "reconciliation", _("Each tag against the manifest")),
        ("children", "document", _("All that was packed or unpacked")),
    )
    found = []
    for part, key, name in named:
        held = line.body.get(part)
        if isinstance(held, dict) and isinstance(held.get(key), str):
            found.append(_attachment(name, held[key]))
    return found


def _attachment(name: str, sha256: str) -> AttachmentFact:
    try:
        content = attachments.load(sha256)
    except Attachment.DoesNotExist:
        return AttachmentFact(name, sha256, "missing")
    except AttachmentChanged:
        return AttachmentFact(name, sha256, "changed")
    return AttachmentFact(name, sha256, "ok", len(content))


def _declaration(line: Line, directory: Directory) -> Section | None:
    if line.kind not in DECLARATIONS:
        return None
    body, items = line.body, line.body["items"]
    values = " · ".join(format_minor(one["minor"], one["currency"]) for one in items["values"])
    facts = [
        Fact(
            _("Shipment"),
            body["goods"]["reference"],
            url=reverse("shipment_timeline", args=[uuid.UUID(line.entry.subject)]),
        ),
        Fact(
            _("Declaration"),
            _("%(kind)s, version %(version)s")
            % {"kind": DeclarationKind(body["kind"]).label, "version": body["version"]},
            url=reverse("declaration_version", args=[uuid.UUID(body["declaration"]), body["version"]]),
        ),
        Fact(_("Local reference"), codes=(body["lrn"],)),
        Fact(_("Submitted by"), directory.person(body["by"]["person"])),
        Fact(_("Submitted"), at=parse_time(body["when"]["submitted_at"])),
        _author_verified(body),
        *_second_factor(body),
        Fact(
            _("Goods"),
            ngettext("%(count)s item", "%(count)s items", items["count"]) % items
            + " · "
            + _("%(gross)s kg gross, %(packages)s packages")
            % {"gross": number_format(Decimal(items["gross_g"]) / 1000), "packages": items["packages"]},
            codes=tuple(items["hs"][:12]),
        ),
        *([Fact(_("Value"), values)] if values else []),
        *(Fact(str(ROLE_NAMES.get(role, role)), codes=(number,)) for role, number in body["parties"].items()),
        *(Fact(_("To look at"), str(WARNINGS.get(code, code))) for code in body.get("warnings", [])),
    ]
    changes = [_change(change) for change in body.get("changes", [])]
    if (more := body.get("changes_total", 0) - len(changes)) > 0:
        changes.append(Fact(_("Further changes"), str(more)))
    codes = [
        *(
            Fact(name, codes=(body[key],))
            for name, key in (("MRN", "mrn"), (_("Customs office"), "office"))
            if key in body
        ),
        *(Fact("UCR", codes=(body["goods"]["ucr"],)) for key in ("ucr",) if key in body["goods"]),
        *(
            Fact(name, codes=tuple(body[key]))
            for name, key in ((_("Containers"), "containers"), (_("Seals"), "seals"))
            if key in body
        ),
        *(
            Fact(_("Transport documents"), codes=tuple(f"{one['type']} {one['number']}" for one in body[key]))
            for key in ("documents",)
            if key in body
        ),
        Fact(_("Attempt"), codes=(body["attempt"],)),
        Fact(_("Operated by"), directory.account(body["by"]["operator"])),
    ]
    title = _("Declaration") if line.kind == "declaration" else _("Amended declaration")
    return Section(title, line.icon, facts + changes, fold=codes)


def _author_verified(body: dict[str, Any]) -> Fact:
    """Who reads a declaration sees at once whether a face stands behind its author; the record is a section below."""
    if "face" not in body:
        return Fact(_("Face of the author"), _("Not verified"))
    face = body["face"]
    if face.get("about") != body["document"]:
        return Fact(_("Face of the author"), _("Verified, and not for this document"))
    if face["outcome"] != "match" or face["person"] != body["by"]["person"]:
        return Fact(_("Face of the author"), _("Not matched"))
    return Fact(_("Face of the author"), _("Matched, for this document"))


def _second_factor(body: dict[str, Any]) -> list[Fact]:
    if "second_factor" not in body:
        return []
    return [Fact(_("Second factor"), str(SECOND_FACTORS.get(body["second_factor"], body["second_factor"])))]


def _change(change: dict[str, Any]) -> Fact:
    named = str(CHANGED_FIELDS.get(change["field"], change["field"]))
    if "item" in change:
        named = _("Item %(number)s: %(field)s") % {"number": change["item"], "field": named}
    none = _("nothing")
    return Fact(named, f"{change.get('from', none)} → {change.get('to', none)}")


def _act(line: Line, directory: Directory) -> Section:
    body, refused = line.body, line.kind == "handoff_refused"
    goods = body["goods"]
    facts = [
        Fact(
            _("Shipment"),
            goods["reference"],
            url=reverse("shipment_timeline", args=[uuid.UUID(line.entry.subject)]),
        )
    ]
    if refused:
        codes_of = (body["code"], body["reason"]) if "reason" in body else (body["code"],)
        facts.insert(0, Fact(_("Reason"), capfirst(str(why(body))), codes=codes_of))
    if "from" in body:
        facts.append(Fact(_("Released by"), capfirst(directory.releaser(body)) + _role(body["from"])))
    to = _("To be received by") if refused else _("Accepted by")
    facts.append(Fact(to, directory.person(body["to"]["person"]) + _role(body["to"])))
    facts += [
        Fact(_("By the authorisation"), codes=(urn,), url=reverse("authorisation", args=[uuid.UUID(urn)]))
        for urn in body.get("authorisation", ())
    ]
    facts.append(Fact(_("Place"), directory.place(body["where"]["read_point"])))
    names = {
        "opened_at": _("Opened"),
        "reconciled_at": _("Tags matched"),
        "accepted_at": _("Accepted"),
        "refused_at": _("Refused"),
    }
    facts += [Fact(names[key], at=parse_time(at)) for key, at in _in_order(body["when"], names)]
    facts += _second_factor(body)
    if "operator" in body:
        facts.append(Fact(_("Operated by"), directory.account(body["operator"])))
    codes = [
        Fact(name, codes=tuple(goods[key]))
        for name, key in (("SSCC", "sscc"), ("GRAI", "grai"), (_("Container"), "bic"))
        if goods.get(key)
    ]
    codes += [Fact(name, codes=(goods[key],)) for name, key in (("UCR", "ucr"), ("MRN", "mrn")) if key in goods]
    codes += [
        Fact(_("Read point"), codes=(body["where"]["read_point"],)),
        Fact(_("Site"), codes=(body["where"]["site"],)),
        *(
            Fact(name, codes=(body[key],))
            for name, key in ((_("Handoff"), "handoff"), (_("Attempt"), "attempt"))
            if key in body
        ),
        Fact(_("Receiver"), codes=(body["to"]["person"],)),
    ]
    tags = _tags(line, "elsewhere", body.get("items", []))
    return Section(_("Refused handoff") if refused else _("Handoff"), line.icon, facts, tags=tags, fold=codes)


def _in_order(when: dict[str, str], names: dict[str, str]) -> Iterator[tuple[str, str]]:
    return ((key, when[key]) for key in names if key in when)


def _role(party: dict[str, Any]) -> str:
    labels = dict(PersonKind.choices)
    return f" · {labels[party['role']]}" if party.get("role") in labels else ""


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
        *_flat(_("Model"), face["models"]),
        *_flat(_("Runtime"), face["runtime"]),
        *_flat(_("Quality"), face["quality"]),
        *_flat(_("Liveness"), face["liveness"]),
        *([Fact(_("Commitment to the camera’s name"), codes=(face["camera"],))] if "camera" in face else []),
        *_flat(_("First capture"), face.get("first_capture", {})),
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


def _flat(name: str, value: object) -> Iterator[Fact]:
    """Spread nested measurements into lines of their own, named by their keys."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _flat(f"{name}: {key}", inner)
    elif isinstance(value, list):
        yield Fact(name, codes=tuple(str(item) for item in value))
    else:
        yield Fact(name, codes=(str(value),))


def _capture_source(code: str) -> str:
    return str(CaptureSource(code).label) if code in CaptureSource.values else code


def decimal_e4(value_e4: int) -> str:
    return str(number_format(Decimal(value_e4) / 10_000, 4))


def _reads(line: Line, directory: Directory) -> Section | None:
    reads = line.body["reads"]
    if "seen" not in reads:
        return None  # a refusal names the session in which a stray was read, and counts nothing
    counted = _("%(seen)s of %(expected)s expected tags read") % reads
    inferred = reads.get("inferred", 0)
    facts = [
        Fact(_("Tags"), counted),
        Fact(_("Grade"), str(_GRADES.get(reads["grade"], reads["grade"]))),
        Fact(_("Read sessions"), str(reads.get("sessions", 1))),
    ]
    if inferred:
        sentence = ngettext(
            "%(count)s was not read, and is inferred: the tag of a unit in which it was packed was read",
            "%(count)s were not read, and are inferred: the tag of a unit in which they were packed was read",
            inferred,
        )
        facts.insert(1, Fact(_("Inferred"), sentence % {"count": inferred}, codes=tuple(reads.get("inferred_by", ()))))
    if reads.get("tid_mismatch"):
        sentence = _("%(count)s answered from another chip than the one that the number was bound to")
        facts.append(
            Fact(
                _("Another chip"),
                sentence % {"count": reads["tid_mismatch_total"]},
                codes=tuple(reads["tid_mismatch"]),
            )
        )
    if reads.get("weak"):
        sentence = _("%(count)s read too seldom or too faintly to count, by the rule of the read point")
        facts.append(Fact(_("Weak reads"), sentence % {"count": reads["weak"]}))
    if reads.get("gaps"):
        sentence = ngettext(
            "In %(count)s session a reader lost reads: a tag that was not read proves nothing there",
            "In %(count)s sessions a reader lost reads: a tag that was not read proves nothing there",
            reads["gaps"],
        )
        facts.append(Fact(_("Lost reads"), sentence % {"count": reads["gaps"]}))
    fold = [
        Fact(_("Read session"), codes=(reads["session"],)),
        Fact(_("Root over the readers’ reports"), codes=(reads["reports_root"],)),
    ]
    tags = _tags(line, "unexpected", reads["unexpected"]) + _tags(line, "not_seen", reads["not_seen"])
    if reads["seen"] + inferred < reads["expected"] or reads["unexpected"] or reads.get("tid_mismatch"):
        chip, tone = _("With exceptions"), "warn"
    else:
        chip, tone = (_("In part inferred"), "waiting") if inferred else (_("All read"), "ok")
    return Section(_("Tags"), "nfc", facts, chip=chip, tone=tone, tags=tags, fold=fold)


def _tags(line: Line, state: str, epcs: list[str]) -> list[dict[str, str]]:
    if not epcs:
        return []
    items = ManifestItem.objects.filter(epc_hex__in=epcs).select_related("consignment").order_by("-released_at")
    known = {item.epc_hex: item for item in items}
    tags = []
    for epc in epcs:
        item = known.get(epc)
        own = item is not None and item.consignment_id.urn == line.entry.subject
        tags.append(
            {
                "state": "elsewhere" if item and not own and state == "unexpected" else state,
                "name": (item.description or item.epc_uri) if item else _("Unknown tag"),
                "code": epc,
                "note": ""
                if own or item is None
                else _("On shipment %(other)s") % {"other": item.consignment.reference},
            }
        )
    return tags


def _exceptions(line: Line, directory: Directory) -> Section:
    facts = [
        Fact(
            str(EXCEPTIONS.get(exception["code"], exception["code"])),
            _("%(items)s, accepted by %(who)s")
            % {
                "items": how_much(exception["code"], exception["items"]),
                "who": _accepted_by(exception["accepted_by"], line, directory),
            },
        )
        for exception in line.body["exceptions"]
    ]
    return Section(_("Exceptions"), "alert-triangle", facts)


def _accepted_by(urn: str, line: Line, directory: Directory) -> str:
    # Where no officer was needed, and in entries from before one was, the account stands there.
    approved = line.body.get("exceptions_approved")
    if approved is not None and approved["officer"] == urn:
        return directory.person(urn)
    return directory.account(urn)


def _exceptions_approved(line: Line, directory: Directory) -> Section:
    return _approval(_("An officer accepted the exceptions"), line.body["exceptions_approved"], directory)


def _dual_control(line: Line, directory: Directory) -> Section:
    approval = line.body["dual_control"]
    section = _approval(_("An officer stood in for the face"), approval, directory)
    refused = approval["faces_refused"]
    if refused:
        sentence = ngettext("%(count)s capture did not match", "%(count)s captures did not match", refused)
        section.facts.append(Fact(_("Before that"), sentence % {"count": refused}))
    return section


def _release(line: Line, directory: Directory) -> Section | None:
    """How who held custody gave it up; nothing at first intake, and in entries from before it was asked."""
    given = line.body["from"]
    if "dual_control" in given:
        return _approval(_("An officer stood in for who handed over"), given["dual_control"], directory)
    if "released_at" not in given:
        return None
    factor = str(SECOND_FACTORS.get(given["second_factor"], given["second_factor"]))
    facts = [
        Fact(_("Handed over by"), directory.person(given["person"])),
        Fact(_("Confirmed by"), factor),
        Fact(_("When"), at=parse_time(given["released_at"])),
    ]
    return Section(_("Handed over"), "arrows-exchange", facts)


def _approval(title: str, approval: dict[str, Any], directory: Directory) -> Section:
    reasons, documents = dict(ApprovalReason.choices), dict(Document.choices)
    facts = [
        Fact(_("Officer"), directory.person(approval["officer"])),
        Fact(_("Reason"), str(reasons.get(approval["reason"], approval["reason"]))),
        Fact(_("Confirmed by"), str(SECOND_FACTORS.get(approval["second_factor"], approval["second_factor"]))),
        Fact(_("When"), at=parse_time(approval["given_at"])),
        Fact(_("Account"), directory.account(approval["operator"])),
    ]
    if "document_checked" in approval:
        checked = approval["document_checked"]
        facts.insert(2, Fact(_("Document checked"), str(documents.get(checked, checked))))
    fold = [Fact(_("Commitment to the note"), codes=(approval["note"],))] if "note" in approval else []
    return Section(title, "user-check", facts, fold=fold, chip=_("Dual control"), tone="warn")


def _weight(line: Line, directory: Directory) -> Section:
    weight = line.body["weight"]
    facts = [Fact(_("Measured"), kilograms(weight["measured_g"]))]
    if "declared_g" not in weight:
        return Section(_("Weight"), "package", facts)
    facts += [
        Fact(_("Declared"), kilograms(weight["declared_g"])),
        Fact(_("Tolerance"), kilograms(weight["tolerance_g"])),
    ]
    fits = abs(weight["measured_g"] - weight["declared_g"]) <= weight["tolerance_g"]
    chip, tone = (_("Within the tolerance"), "ok") if fits else (_("Beyond the tolerance"), "warn")
    return Section(_("Weight"), "package", facts, chip=chip, tone=tone)


def _passage(line: Line, directory: Directory) -> Section:
    body, document = line.body, line.body["document"]
    traveller = body["traveller"]
    facts = [
        Fact(_("Outcome"), str(PassageState(body["outcome"]).label)),
        Fact(_("Traveller"), directory.person(traveller["person"]) if traveller["on_file"] else _("Not on file")),
        Fact(_("Direction"), str(PassageDirection(body["direction"]).label)),
        Fact(_("Place"), directory.place(body["where"]["read_point"])),
        Fact(_("Document"), str(DocumentType(document["type"]).label), codes=(document["issuing_state"],)),
        Fact(_("How it was checked"), passage_check(body)),
        Fact(_("Begun"), at=parse_time(body["when"]["opened_at"])),
        Fact(_("Closed"), at=parse_time(body["when"]["closed_at"])),
    ]
    if document["expired"]:
        facts.insert(5, Fact(_("Good until"), _("It had expired.")))
    if "carrier" in body:
        facts.insert(2, Fact(_("Drives for"), directory.party(body["carrier"])))
    if "goods" in body:
        url = reverse("shipment_timeline", args=[uuid.UUID(line.entry.subject)])
        facts.insert(2, Fact(_("Shipment"), body["goods"]["reference"], url=url))
    if "machine" in body:
        facts.append(Fact(_("Advice of the machine"), str(Advice(body["machine"]["advice"]).label)))
        facts += [
            Fact(
                _("Because of"),
                str(FINDINGS.get(one["code"], one["code"])),
                codes=(one["reason_code"],) if "reason_code" in one else (),
            )
            for one in body["machine"]["findings"]
        ]
    if "person" in body["by"]:
        facts.append(Fact(_("Decided by"), directory.person(body["by"]["person"])))
    facts.append(Fact(_("Operated by"), directory.account(body["by"]["operator"])))
    if "second_factor" in body:
        name = _("Second factor of the officer")
        facts.append(Fact(name, str(SECOND_FACTORS.get(body["second_factor"], body["second_factor"]))))
    note = ""
    if "exempt" in body:
        facts.append(Fact(_("Exempt"), str(Exemption(body["exempt"]["reason"]).label)))
        facts.append(Fact(_("To be destroyed by"), at=parse_time(body["exempt"]["destroyed_by"])))
        note = _("Once photos, number and key are destroyed, nobody can be shown any more who this was.")
    fold = [
        Fact(_("Passage"), codes=(body["passage"],)),
        Fact(_("Traveller"), codes=(traveller["person"],)),
        Fact(_("Commitment to the document’s number"), codes=(document["number"],)),
        *(Fact(name, codes=(body[key],)) for name, key in ((_("Commitment to the note"), "note"),) if key in body),
        *(Fact(name, codes=tuple(body[key])) for name, key in ((_("Leads"), "leads"),) if key in body),
        *(
            Fact(_("Attempt %(attempt)s") % one, codes=(one["code"], *([one["probe"]] if "probe" in one else [])))
            for one in body.get("failed_captures", [])
        ),
    ]
    return Section(_("Passage of a border"), line.icon, facts, note=note, fold=fold)


def _enrolment(line: Line, directory: Directory) -> Section:
    body, consent = line.body, line.body["consent"]
    facts = [
        Fact(_("Person"), directory.person(body["person"]) + _role(body)),
        Fact(
            _("Template"),
            ngettext("Version %(version)s, from %(k)s photo", "Version %(version)s, from %(k)s photos", body["k"])
            % body,
        ),
        Fact(
            _("Consent"),
            _("Text %(text_version)s, shown in language %(language)s") % consent,
            codes=(consent["purpose"], consent["retention"]),
        ),
        Fact(_("Enrolled by"), directory.account(body["enrolled_by"])),
    ]
    fold = [
        Fact(_("Commitment to the template"), codes=(body["template"],)),
        Fact(_("Commitments to the photos"), codes=tuple(body["photos"])),
        Fact(_("SHA-256 of the consent’s text"), codes=(consent["text"],)),
        Fact(_("Calibration file"), codes=(body["calibration"],)),
        *_flat(_("Model"), body["models"]),
        *_flat(_("Runtime"), body["runtime"]),
    ]
    return Section(_("Enrolment"), "fingerprint", facts, fold=fold)


def _packing(line: Line, directory: Directory) -> Section:
    children = line.body["children"]
    names = {"packed": _("Put into it"), "unpacked": _("Taken out")}
    facts = [
        Fact(_("Unit"), unit_name(line.body["unit"])),
        Fact(names[line.body["act"]], str(children["total"])),
        *_done(line, directory),
    ]
    fold = [
        Fact(name, codes=tuple(codes))
        for name, codes in ((_("Units"), children["units"]), (_("Tags"), children["epcs"]))
        if codes
    ]
    return Section(_("Packing"), "packages", facts, fold=fold)


def _seal(line: Line, directory: Directory) -> Section:
    body, seal = line.body, line.body["seal"]
    facts = [
        Fact(_("Seal"), seal["number"]),
        Fact(_("Class, ISO 17712"), str(dict(SealClass.choices).get(seal["class"], seal["class"]))),
        Fact(_("On the unit"), unit_name(body["unit"])),
        *_done(line, directory),
    ]
    if "issuer" in seal:
        facts.insert(2, Fact(_("Issued by"), seal["issuer"]))
    if "found_number" in body:
        facts.insert(1, Fact(_("Number found"), body["found_number"]))
    if "replaces" in body:
        facts.insert(1, Fact(_("In the place of"), body["replaces"]["number"]))
    if "reason" in body:
        facts.append(Fact(_("Reason"), str(SEAL_REASONS.get(body["reason"], body["reason"]))))
    fold = [Fact(_("Commitment to the note"), codes=(body["note"],))] if "note" in body else []
    good = body["state"] == SealState.INTACT
    tone = "ok" if good else "plain" if body["state"] == SealState.BROKEN else "bad"
    chip = str(dict(SealState.choices).get(body["state"], body["state"]))
    return Section(_("Seal"), "lock", facts, chip=chip, tone=tone, fold=fold)


def _done(line: Line, directory: Directory) -> list[Fact]:
    """Whose act it was, where and when, of an entry about one unit or seal."""
    body = line.body
    facts = [
        Fact(
            _("Shipment"),
            body["goods"]["reference"],
            url=reverse("shipment_timeline", args=[uuid.UUID(line.entry.subject)]),
        ),
        Fact(_("Done by"), directory.person(body["by"]["person"])),
        Fact(_("Operated by"), directory.account(body["by"]["operator"])),
        Fact(_("Done"), at=parse_time(body["when"]["acted_at"])),
    ]
    if "where" in body:
        facts.append(Fact(_("Place"), directory.place(body["where"]["read_point"])))
    return facts


def _seals_in_force(line: Line, directory: Directory) -> Section:
    states, facts = dict(SealState.choices), []
    for seal in line.body["seals"]:
        url = reverse("entry", args=[seal["affixed_entry"]]) if "affixed_entry" in seal else ""
        state = str(states.get(seal["state"], seal["state"]))
        facts.append(Fact(seal["number"], _("class %(class)s: %(state)s") % (seal | {"state": state}), url=url))
    intact = all(seal["state"] == SealState.INTACT for seal in line.body["seals"])
    chip, tone = (_("All intact"), "ok") if intact else (_("With exceptions"), "warn")
    return Section(_("Seals in force"), "lock", facts, chip=chip, tone=tone)


def _genesis(line: Line, directory: Directory) -> Section:
    facts = [
        Fact(_("Format"), codes=(line.body["format"],)),
        Fact(_("Key that the log began with"), codes=(line.body["vkey"],)),
    ]
    return Section(_("Beginning of the log"), "link", facts)


def _reads_anchored(line: Line, directory: Directory) -> Section:
    body = line.body
    facts = [
        Fact(_("Site"), directory.site(body["site"])),
        Fact(_("Reports"), str(number_format(body["reports"], force_grouping=True))),
        Fact(_("First received"), at=parse_time(body["first_received_at"])),
        Fact(_("Last received"), at=parse_time(body["last_received_at"])),
        Fact(_("Readers"), _names([directory.reader(urn) for urn in body["readers"]], body["readers_total"])),
    ]
    if "gaps" in body:
        facts.append(Fact(_("Gaps that readers admitted in them"), str(body["gaps"])))
    fold = [
        Fact(_("Root over the readers’ reports"), codes=(body["root"],)),
        Fact(_("Anchor"), codes=(body["anchor"],)),
        Fact(_("GLN"), codes=(body["site"],)),
        Fact(_("Readers"), codes=tuple(body["readers"])),
    ]
    return Section(_("Reads bound"), line.icon, facts, fold=fold)


def _names(names: list[str], total: int) -> str:
    told = ", ".join(names)
    more = total - len(names)
    return told if more <= 0 else _("%(names)s and %(n)s more") % {"names": told, "n": more}


def _read_gap(line: Line, directory: Directory) -> Section:
    body = line.body
    facts = [
        Fact(_("Reader"), directory.reader(body["reader"])),
        Fact(_("Place"), directory.place(body["read_point"])),
        Fact(_("Events lost"), str(number_format(int(body["purged_total"]), force_grouping=True))),
        Fact(_("Gaps"), str(body["gaps_total"])),
    ]
    fold = [Fact(f"{gap['first']} – {gap['last']}", _("%(n)s lost") % {"n": gap["purged"]}) for gap in body["gaps"]]
    note = _("A tag that was not read in a gap is no sign that it was absent.")
    return Section(_("Gap in the reads"), line.icon, facts, note=note, fold=fold)


def _authorisation(line: Line, directory: Directory) -> Section | None:
    """Whom it is granted to, or taken from, and on what terms; what is not limited is said to be."""
    body = line.body
    if line.kind not in ("authorisation_granted", "authorisation_withdrawn"):
        return None
    facts = [
        Fact(
            _("For"),
            holder(body["to"], directory),
            url=reverse("authorisation", args=[uuid.UUID(body["authorisation"])]),
        )
    ]
    if "terms" in body:
        facts += _terms(body["terms"], directory)
    if "reason" in body:
        facts.append(Fact(_("Reason"), str(WithdrawalReason(body["reason"]).label)))
    facts += _granted_by(body, directory)
    codes = [Fact(_("Authorisation"), codes=(body["authorisation"],))]
    codes += [Fact(_("Attempt"), codes=(body[key],)) for key in ("attempt",) if key in body]
    number = body.get("terms", {}).get("licence", {}).get("number")
    codes += [Fact(_("Commitment to the number of the licence"), codes=(number,))] if number else []
    return Section(line.kind_name, line.icon, facts, fold=codes)


def _employment(line: Line, directory: Directory) -> Section:
    body = line.body
    terms = body.get("terms", {})
    facts = [
        Fact(_("Person"), directory.person(body["to"]["person"])),
        Fact(_("Employer"), directory.party(terms["employer"] if terms else body["employer"])),
        *([Fact(_("Valid"), _valid(terms["valid"]))] if "valid" in terms else []),
        *_granted_by(body, directory),
    ]
    return Section(line.kind_name, line.icon, facts, fold=[Fact(_("Employment"), codes=(body["employment"],))])


def _terms(terms: dict[str, Any], directory: Directory) -> list[Fact]:
    hours, route = terms["hours"], terms.get("route", {})
    ends = {end: directory.party(urn) for end, urn in route.items()}
    span = _("from %(from)s to %(until)s") % hours if "from" in hours else _("the whole day")
    days = ", ".join(str(WEEKDAYS_ABBR[day]) for day in hours["days"]) if "days" in hours else _("every day")
    facts = [
        Fact(_("Commodities"), "" if "hs" in terms else _("any"), codes=tuple(terms.get("hs", ()))),
        Fact(_("Sites"), ", ".join(map(directory.site, terms["sites"])) if "sites" in terms else _("any")),
        Fact(_("Goods from"), ends.get("consignor", _("anybody"))),
        Fact(_("Goods to"), ends.get("consignee", _("anybody"))),
        Fact(_("Hours"), f"{days}, {span}, {hours['time_zone']}"),
        Fact(_("Valid"), _valid(terms["valid"])),
    ]
    if "licence" in terms:
        until = _("%(licence)s, valid until %(until)s") % {
            "licence": Licence(terms["licence"]["kind"]).label,
            "until": terms["licence"]["until"],
        }
        facts.append(Fact(_("Rests on"), until))
    return facts


def _valid(span: dict[str, str]) -> str:
    if "from" not in span:
        return _("until %(until)s") % span
    return (_("%(from)s to %(until)s") if "until" in span else _("from %(from)s on")) % span


def _granted_by(body: dict[str, Any], directory: Directory) -> list[Fact]:
    facts = [Fact(_("Done by"), directory.account(body["by"]["operator"]))]
    if "person" in body["by"]:
        facts.append(Fact(_("Who is"), directory.person(body["by"]["person"])))
    return facts + [Fact(_("When"), at=parse_time(at)) for at in body["when"].values()]


def _discrepancy(line: Line, directory: Directory) -> Section | None:
    if line.kind != "discrepancy":
        return None
    body, evidence, window = line.body, line.body["evidence"], line.body["window"]
    about = ABOUT[Code(body["code"])]
    facts = [
        Fact(_("What it is"), str(Code(body["code"]).label), codes=(body["code"],)),
        Fact(_("Severity"), str(Severity(body["severity"]).label)),
    ]
    if "since" in window:
        facts.append(Fact(_("As it should be until"), at=parse_time(window["since"])))
    facts.append(Fact(_("Found"), at=parse_time(window["until"])))
    persons = [("custodians", _("Held custody then")), ("persons", _("Concerned besides"))]
    for name, label in persons:
        if named := (window | evidence).get(name):
            facts.append(Fact(label, ", ".join(directory.person(person) for person in named)))
    if "read_point" in evidence:
        facts.append(Fact(_("Place"), directory.place(evidence["read_point"])))
    elif "site" in evidence:
        facts.append(Fact(_("Site"), directory.site(evidence["site"])))
    if "reader" in evidence:
        facts.append(Fact(_("Reader"), directory.reader(evidence["reader"])))
    facts += [Fact(name, str(value)) for name, value in evidence.get("figures", {}).items()]
    fold = [
        Fact(label, codes=tuple(evidence[name]))
        for name, label in (
            ("items", _("Tags")),
            ("seals", _("Seals")),
            ("entries", _("Entries")),
            ("sessions", _("Read sessions")),
        )
        if name in evidence
    ]
    fold.append(Fact(_("Discrepancy"), codes=(body["discrepancy"],)))
    return Section(_("Discrepancy"), line.icon, facts, note=f"{about.meaning} {about.to_do}", fold=fold)


def _resolved(line: Line, directory: Directory) -> Section | None:
    body = line.body
    if line.kind != "resolution":
        return None
    facts = [
        Fact(_("What it was"), str(Code(body["code"]).label), codes=(body["code"],)),
        Fact(_("Outcome"), str(Outcome(body["outcome"]).label)),
        Fact(_("Resolved by"), directory.person(body["by"]["person"])),
        Fact(_("Resolved"), at=parse_time(body["when"]["resolved_at"])),
    ]
    for name, label in (("opened_entry", _("Opened by")), ("entry", _("Settled by"))):
        if name in body:
            facts.append(
                Fact(label, _("Entry %(n)s") % {"n": body[name]}, url=reverse("entry", args=[int(body[name])]))
            )
    fold = [Fact(_("Notes"), codes=(body["note"], *body.get("notes", ())))]
    return Section(_("Resolution"), line.icon, facts, fold=fold)


def _route(line: Line, directory: Directory) -> Section | None:
    if line.kind != "route_planned":
        return None
    sites = line.body["sites"]
    facts = [Fact(str(number), directory.site(gln)) for number, gln in enumerate(sites, start=1)]
    facts.append(Fact(_("Planned by"), directory.account(line.body["by"]["operator"])))
    return Section(_("Planned places"), line.icon, facts, fold=[Fact(_("GLN"), codes=tuple(sites))])


def _site_watched(line: Line, directory: Directory) -> Section:
    facts = [Fact(_("Site"), directory.site(line.body["site"]))]
    facts += [Fact(name, str(value)) for name, value in line.body["watch"].items()]
    facts.append(Fact(_("Set by"), directory.account(line.body["by"]["operator"])))
    return Section(_("Rules of a site"), line.icon, facts)


def _attendance(line: Line, directory: Directory) -> Section:
    body, inspection = line.body, line.body["inspection"]
    url = reverse("entry", args=[inspection["entry"]]) if "entry" in inspection else ""
    facts = [
        Fact(
            _("Inspection"),
            _("Entry %(index)s") % {"index": inspection["entry"]} if url else _("Not sealed at that time"),
            url=url,
        ),
        Fact(_("Officer"), directory.person(inspection["officer"])),
        *_done(line, directory),
    ]
    fold = [
        Fact(_("Intervention"), codes=(inspection["intervention"],)),
        Fact(_("Attendance"), codes=(body["attendance"],)),
    ]
    return Section(_("Attendance"), "user-check", facts, fold=fold)


def _refused_declaration(line: Line, directory: Directory) -> Section:
    body = line.body
    facts = [
        Fact(_("Reason"), capfirst(str(REASONS.get(body["code"], body["code"]))), codes=(body["code"],)),
        Fact(_("Attempt"), str(body["attempt_number"])),
        Fact(_("Local reference"), codes=(body["lrn"],)),
        *_done(line, directory),
    ]
    fold = [Fact(_("Draft"), codes=(body["draft"],))]
    return Section(_("Refused declaration"), "ban", facts, fold=fold)


# By the part of the body that each one reads.
_PARTS: tuple[tuple[str, Callable[[Line, Directory], Section | None]], ...] = (
    ("items", _declaration),
    ("authorisation", _authorisation),
    ("employment", _employment),
    ("goods", _act),
    ("from", _release),
    ("passage", _passage),
    ("inspection", _attendance),
    ("draft", _refused_declaration),
    ("face", _face),
    ("dual_control", _dual_control),
    ("liveness", _liveness),
    ("reads", _reads),
    ("exceptions", _exceptions),
    ("exceptions_approved", _exceptions_approved),
    ("weight", _weight),
    ("children", _packing),
    ("seal", _seal),
    ("seals", _seals_in_force),
    ("photos", _enrolment),
    ("vkey", _genesis),
    ("readers_total", _reads_anchored),
    ("purged_total", _read_gap),
    ("evidence", _discrepancy),
    ("outcome", _resolved),
    ("sites", _route),
    ("watch", _site_watched),
)
