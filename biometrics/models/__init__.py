"""
The people, and the evidence about them. Nothing that tells who somebody is, or looks like, stands here in the clear.

Every value of an :class:`Evidence` is sealed under its person's own key (:mod:`biometrics.vault`).
"""

from biometrics.models.consent import Consent, ConsentPurpose, Retention
from biometrics.models.documents import DocumentMatch, PresentedDocument
from biometrics.models.evidence import Evidence, EvidenceHold, EvidenceKind, EvidenceLook
from biometrics.models.factors import Badge, Pin
from biometrics.models.people import NEVER_REGISTERED, Person, PersonKey, PersonKind
from biometrics.models.templates import DuplicateReview, Template, TemplatePhoto
from biometrics.models.verifications import CaptureSource, LivenessChallenge, Verification
from biometrics.models.watchlist import AuthorisedGroup, WatchlistEntry, WatchlistLead, WatchlistPhoto

__all__ = [
    "NEVER_REGISTERED",
    "AuthorisedGroup",
    "Badge",
    "CaptureSource",
    "Consent",
    "ConsentPurpose",
    "DocumentMatch",
    "DuplicateReview",
    "Evidence",
    "EvidenceHold",
    "EvidenceKind",
    "EvidenceLook",
    "LivenessChallenge",
    "Person",
    "PersonKey",
    "PersonKind",
    "Pin",
    "PresentedDocument",
    "Retention",
    "Template",
    "TemplatePhoto",
    "Verification",
    "WatchlistEntry",
    "WatchlistLead",
    "WatchlistPhoto",
]
