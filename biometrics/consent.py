"""
Consent: the texts that are shown, each a file with a version and a language, and what a person agreed to.

A text that was ever shown is never edited: a change is a new version beside it, and each consent keeps the digest.
"""

import hashlib
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from django.db import transaction
from django.utils import timezone

from accounts.models import User
from biometrics.errors import (
    ConsentMissing,
    ConsentOutdated,
    ConsentTermsUnknown,
    ConsentTextUnknown,
    NoConsentToWithdraw,
)
from biometrics.models import Consent, ConsentPurpose, Person, Retention
from ledger.submission import submit
from ledger.tlog.times import format_time

CURRENT_VERSION = "2"
# The first text spoke neither of the document's photo nor of the searches that an enrolment makes.
ENROLMENT_FROM_VERSION = 2
_TEXTS = Path(__file__).resolve().parent / "consent_texts"
_TEXT_NAME = re.compile(r"(?P<purpose>[a-z_]+)\.v(?P<version>[0-9]+)\.(?P<language>[a-z]{2})\.txt")


@dataclass(frozen=True)
class ConsentText:
    purpose: str
    version: str
    language: str
    text: str
    sha256: str


@dataclass(frozen=True)
class ConsentGiven:
    """What the person agreed to, as the clerk recorded it: the terms, and the text that was on the screen."""

    language: str
    text_version: str = CURRENT_VERSION
    purpose: str = ConsentPurpose.CUSTODY
    retention: str = Retention.WHILE_ENGAGED


@cache
def _texts() -> dict[tuple[str, str, str], ConsentText]:
    texts = {}
    for path in sorted(_TEXTS.iterdir()):
        name = _TEXT_NAME.fullmatch(path.name)
        if name:
            content = path.read_bytes()
            key = (name["purpose"], name["version"], name["language"])
            texts[key] = ConsentText(*key, text=content.decode("utf-8"), sha256=hashlib.sha256(content).hexdigest())
    return texts


def current_texts(*, purpose: str = ConsentPurpose.CUSTODY) -> list[ConsentText]:
    """Return the current text in each language that it is written in, whatever languages the pages speak."""
    return [
        text
        for (of_purpose, version, _language), text in sorted(_texts().items())
        if (of_purpose, version) == (str(purpose), CURRENT_VERSION)
    ]


def read_consent_text(
    *, language: str, version: str = CURRENT_VERSION, purpose: str = ConsentPurpose.CUSTODY
) -> ConsentText:
    """
    Return the consent text to show.

    :raises ConsentTextUnknown:
    """
    text = _texts().get((str(purpose), version, language[:2].lower()))
    if text is None:
        raise ConsentTextUnknown(version=version, language=language)
    return text


def record_consent(*, person: Person, consent: ConsentGiven | None, recorded_by: User) -> Consent:
    """
    Record a person's consent; one that stands for the same purpose ends with it.

    :raises ConsentMissing: if there is nothing to record
    :raises ConsentTermsUnknown, ConsentTextUnknown:
    """
    if consent is None:
        raise ConsentMissing
    if consent.purpose not in ConsentPurpose.values or consent.retention not in Retention.values:
        raise ConsentTermsUnknown
    text = read_consent_text(language=consent.language, version=consent.text_version, purpose=consent.purpose)
    now = timezone.now()
    with transaction.atomic():
        person.consents.filter(purpose=consent.purpose, withdrawn_at=None).update(withdrawn_at=now)
        return Consent.objects.create(
            person=person,
            purpose=consent.purpose,
            retention=consent.retention,
            language=text.language,
            text_version=text.version,
            text_sha256=text.sha256,
            given_at=now,
            recorded_by=recorded_by,
        )


def standing_consent(person: Person) -> Consent:
    """
    Return the consent under which the person's face may be compared.

    :raises ConsentMissing: if there is none, or it was withdrawn
    """
    consent = Consent.objects.filter(person=person, purpose=ConsentPurpose.CUSTODY, withdrawn_at=None).first()
    if consent is None:
        raise ConsentMissing
    return consent


def consent_to_enrolment(person: Person) -> Consent:
    """
    Return the standing consent, if its text speaks of all that an enrolment does.

    :raises Refusal: consent_missing, consent_outdated
    """
    consent = standing_consent(person)
    if not covers_enrolment(consent):
        raise ConsentOutdated(version=consent.text_version)
    return consent


def covers_enrolment(consent: Consent) -> bool:
    """Tell whether the text that was agreed to names the document's photo and the searches."""
    return int(consent.text_version) >= ENROLMENT_FROM_VERSION


def withdraw_consent(*, person: Person, withdrawn_by: User) -> Consent:
    """
    Withdraw the standing consent and submit the ``consent_withdrawn`` entry: from now on the face is neither enrolled
    nor compared.

    :param withdrawn_by: the account that recorded what the person said
    :raises NoConsentToWithdraw:
    """
    with transaction.atomic():
        consent = person.consents.select_for_update().filter(withdrawn_at=None).first()
        if consent is None:
            raise NoConsentToWithdraw
        consent.withdrawn_at = timezone.now()
        consent.save(update_fields=["withdrawn_at"])
        submit(
            kind="consent_withdrawn",
            subject=person.pk.urn,
            body={
                "person": person.pk.urn,
                "consent": describe_consent(consent),
                "given_at": format_time(consent.given_at),
                "withdrawn_at": format_time(consent.withdrawn_at),
                "recorded_by": withdrawn_by.pk.urn,
            },
            key=f"consent_withdrawn:{consent.pk}",
        )
    return consent


def describe_consent(consent: Consent) -> dict[str, Any]:
    """Describe a consent for an entry: which text, and for what."""
    return {
        "id": consent.pk.urn,
        "purpose": consent.purpose,
        "retention": consent.retention,
        "language": consent.language,
        "text_version": consent.text_version,
        "text": consent.text_sha256,
    }
