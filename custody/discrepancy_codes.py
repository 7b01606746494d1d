"""
What can be wrong with a shipment, a reader or the log: for each code how grave it is by itself, what it means, what to
do about it, and which evidence it cannot be opened without.

Codes stand in entries: none is ever taken away, and none changes its meaning.
"""

from typing import Any, NamedTuple

from django.db import models
from django.utils.translation import gettext_lazy as _


class Severity(models.TextChoices):
    LOW = "low", _("Low")
    MEDIUM = "medium", _("Medium")
    HIGH = "high", _("High")


class Code(models.TextChoices):
    MISSING_TAG = "missing_tag", _("Tag missing")
    UNEXPECTED_TAG = "unexpected_tag", _("Tag on no manifest")
    DUPLICATE_EPC = "duplicate_epc", _("Number on two chips")
    CLONE_SUSPECTED = "clone_suspected", _("Clone suspected")
    TID_MISMATCH = "tid_mismatch", _("Another chip")
    UNENCODED_TAG = "unencoded_tag", _("Tag not encoded")
    WRONG_CONSIGNMENT = "wrong_consignment", _("Tag of another shipment")
    WEIGHT_MISMATCH = "weight_mismatch", _("Weight differs")
    QUANTITY_MISMATCH = "quantity_mismatch", _("Quantity differs")
    SEAL_MISMATCH = "seal_mismatch", _("Seal number differs")
    SEAL_BROKEN = "seal_broken", _("Seal broken")
    SEAL_MISSING = "seal_missing", _("Seal missing")
    WRONG_ROUTE = "wrong_route", _("Off its route")
    DWELL_OVERRUN = "dwell_overrun", _("Stands too long")
    AFTER_HOURS = "after_hours", _("Moved outside the hours")
    OUT_OF_SEQUENCE = "out_of_sequence", _("Places out of order")
    UNAUTHORISED_CUSTODIAN = "unauthorised_custodian", _("Custodian not authorised")
    FACE_MISMATCH = "face_mismatch", _("Face did not match")
    LIVENESS_FAILED = "liveness_failed", _("No sign of life")
    SAME_PERSON = "same_person_both_sides", _("One person on both sides")
    HS_MISMATCH = "hs_mismatch", _("Commodity code differs")
    ORIGIN_MISMATCH = "origin_mismatch", _("Origin differs")
    UNDECLARED_ITEM = "undeclared_item", _("Item not declared")
    READ_GAP = "read_gap", _("Reads lost")
    CLOCK_SKEW = "clock_skew", _("Reader’s clock wrong")
    READER_UNAUTHENTICATED = "reader_unauthenticated", _("Reader turned away")
    CHAIN_BROKEN = "chain_broken", _("Log does not verify")


class About(NamedTuple):
    """
    One code: its severity where nobody says otherwise, a sentence of what it means and one of what to do.

    :param needs: the names of the fields of :class:`custody.discrepancies.Evidence` of which each must be given
    """

    severity: Severity
    meaning: Any
    to_do: Any
    needs: tuple[str, ...] = ()


ABOUT: dict[Code, About] = {
    Code.MISSING_TAG: About(
        Severity.HIGH,
        _("A tag of the manifest was not read in two sessions of one handoff."),
        _("Look for the goods, then for the tag. Ask who held custody in the window."),
        ("items",),
    ),
    Code.UNEXPECTED_TAG: About(
        Severity.MEDIUM,
        _("A tag was read that stands on no manifest."),
        _("Find the piece that carries it, and compare it with the declaration."),
        ("items",),
    ),
    Code.DUPLICATE_EPC: About(
        Severity.HIGH,
        _("One number was read from two different chips: one of the tags is a copy."),
        _("Find both tags, and keep them apart as evidence."),
        ("items",),
    ),
    Code.CLONE_SUSPECTED: About(
        Severity.HIGH,
        _("One number was read at two sites within less time than the way between them takes."),
        _("Inspect the goods at both sites, and read the chips’ own numbers (TID)."),
        ("items", "figures"),
    ),
    Code.TID_MISMATCH: About(
        Severity.HIGH,
        _("The number was read from another chip than the one that was bound to the goods."),
        _("Inspect the goods that carry the tag: it may have been moved or copied."),
        ("items",),
    ),
    Code.UNENCODED_TAG: About(
        Severity.LOW,
        _("A tag was read that carries no number of its own."),
        _("Encode it, or take it off; find out what it is on."),
        ("items",),
    ),
    Code.WRONG_CONSIGNMENT: About(
        Severity.MEDIUM,
        _("A tag of another shipment was read among these goods."),
        _("Sort the goods, and check both shipments’ manifests."),
        ("items",),
    ),
    Code.WEIGHT_MISMATCH: About(
        Severity.MEDIUM,
        _("The measured weight differs from the declared one by more than the tolerance."),
        _("Weigh again on another scale, then open the goods."),
        ("figures",),
    ),
    Code.QUANTITY_MISMATCH: About(
        Severity.MEDIUM,
        _("The declaration and the manifest do not count the same."),
        _("Ask the declarant for the packing list; amend what is wrong, or count the goods."),
        ("figures",),
    ),
    Code.SEAL_MISMATCH: About(
        Severity.HIGH,
        _("The seal that was found has another number than the one that was put on."),
        _("Read the number again. If it differs, open the unit with a second officer."),
        ("seals",),
    ),
    Code.SEAL_BROKEN: About(
        Severity.HIGH,
        _("A seal was broken, or found tampered with."),
        _("Compare the reason on record with who was there; check what is in the unit."),
        ("seals",),
    ),
    Code.SEAL_MISSING: About(
        Severity.HIGH,
        _("A seal that is in force was not on its unit."),
        _("Look for it, then check what is in the unit."),
        ("seals",),
    ),
    Code.WRONG_ROUTE: About(
        Severity.MEDIUM,
        _("The shipment was at a site that is none of its planned places."),
        _("Ask the custodian why; correct the plan if it is the plan that is wrong."),
        ("site",),
    ),
    Code.DWELL_OVERRUN: About(
        Severity.LOW,
        _("The shipment has been with one custodian for longer than the limit."),
        _("Find out where it stands and what it waits for."),
        ("figures",),
    ),
    Code.AFTER_HOURS: About(
        Severity.MEDIUM,
        _("The shipment was read or handed over at a site outside its opening hours."),
        _("Ask the site who worked then; look at its zones and cameras."),
        ("site",),
    ),
    Code.OUT_OF_SEQUENCE: About(
        Severity.MEDIUM,
        _("The shipment was handed over at its planned places in another order than planned."),
        _("Ask what happened at the place that was left out or returned to."),
        ("site",),
    ),
    Code.UNAUTHORISED_CUSTODIAN: About(
        Severity.HIGH,
        _("Somebody tried to take custody who may not hold this shipment."),
        _("Find out who sent them, and whether they were to be authorised."),
        ("persons",),
    ),
    Code.FACE_MISMATCH: About(
        Severity.HIGH,
        _("A handoff was refused because the face did not match the person who was to take custody."),
        _("Look at the pictures of the attempts; find out who stood there."),
        ("persons",),
    ),
    Code.LIVENESS_FAILED: About(
        Severity.HIGH,
        _("In a handoff, the answer to the challenge did not come from a living face."),
        _("Look at the recorded answer: a picture or a screen may have been held up."),
        ("persons",),
    ),
    Code.SAME_PERSON: About(
        Severity.MEDIUM,
        _("Somebody was to take custody from themselves."),
        _("Ask the operator whether it was a slip; look for other attempts of the same kind."),
        ("persons",),
    ),
    Code.HS_MISMATCH: About(
        Severity.MEDIUM,
        _("Goods are under another commodity code than the declaration says."),
        _("Have the goods classified, and the declaration amended."),
    ),
    Code.ORIGIN_MISMATCH: About(
        Severity.MEDIUM,
        _("Goods on the manifest come from another country than the declaration says of their commodity code."),
        _("Ask for proof of origin."),
        ("items",),
    ),
    Code.UNDECLARED_ITEM: About(
        Severity.HIGH,
        _("The manifest holds goods under a commodity code that no declaration of the shipment has."),
        _("Ask the declarant; inspect the goods before they move on."),
        ("items",),
    ),
    Code.READ_GAP: About(
        Severity.LOW,
        _("A reader admitted that it lost reads: what was not read then may have been there."),
        _("Read again what passed in that time; look at the reader’s network and load."),
        ("reader",),
    ),
    Code.CLOCK_SKEW: About(
        Severity.LOW,
        _("A reader’s clock is wrong: the times of its reads prove little."),
        _("Set its clock by the network, then see that the alert ends."),
        ("reader",),
    ),
    Code.READER_UNAUTHENTICATED: About(
        Severity.MEDIUM,
        _("Somebody who could not log in as a reader kept sending reports."),
        _("Find out what sends them: a reader with an old password, or a stranger."),
        ("figures",),
    ),
    Code.CHAIN_BROKEN: About(
        Severity.HIGH,
        _("A verification found that the log is not what was sealed."),
        _("Keep the database as it is, call the auditors, and compare with the witnesses’ copies."),
    ),
}
