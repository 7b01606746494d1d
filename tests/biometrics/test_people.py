"""Registering: consent and name in one act, and no name anywhere in the clear."""

import pytest
from django.db import IntegrityError, transaction

from accounts.models import User
from biometrics.consent import ConsentGiven, read_consent_text, record_consent, standing_consent, withdraw_consent
from biometrics.errors import (
    ConsentMissing,
    ConsentTermsUnknown,
    ConsentTextUnknown,
    NameMissing,
    NoConsentToWithdraw,
    PersonKindUnknown,
)
from biometrics.models import Consent, Person, PersonKey
from biometrics.people import display_name, register_person
from refusals import Refusal
from tests.biometrics.conftest import CONSENT


def test_a_person_is_registered_with_name_key_and_consent(ignacio: Person, beto: User) -> None:
    assert display_name(ignacio) == "Ignacio Peralta Quintanilla"
    consent = standing_consent(ignacio)
    assert (consent.purpose, consent.retention) == ("custody_verification", "while_engaged")
    assert (consent.language, consent.text_version) == ("es", "1")
    assert consent.text_sha256 == read_consent_text(language="es").sha256
    assert consent.recorded_by == ignacio.registered_by == beto
    assert PersonKey.objects.filter(person=ignacio).exists()
    assert "Ignacio" not in str(ignacio)


@pytest.mark.parametrize(
    ("changed", "refusal"),
    [
        ({"consent": None}, ConsentMissing),
        ({"consent": ConsentGiven(language="fr")}, ConsentTextUnknown),
        ({"consent": ConsentGiven(language="../")}, ConsentTextUnknown),
        ({"consent": ConsentGiven(language="en", text_version="99")}, ConsentTextUnknown),
        ({"consent": ConsentGiven(language="en", purpose="marketing")}, ConsentTermsUnknown),
        ({"consent": ConsentGiven(language="en", retention="for ever")}, ConsentTermsUnknown),
        ({"name": " \t "}, NameMissing),
        ({"name": "x" * 121}, NameMissing),
        ({"kind": "smuggler"}, PersonKindUnknown),
    ],
)
def test_a_refused_registration_leaves_nothing_behind(
    beto: User, changed: dict[str, object], refusal: type[Refusal]
) -> None:
    asked = {"name": "Ana Belén", "kind": "driver", "registered_by": beto, "consent": CONSENT} | changed
    with pytest.raises(refusal) as refused:
        register_person(**asked)
    assert refused.value.sentence
    assert not Person.objects.exists()
    assert not PersonKey.objects.exists()


@pytest.mark.parametrize("language", ["en", "es", "es-mx"])
def test_the_consent_text_is_there_in_both_languages(language: str) -> None:
    text = read_consent_text(language=language)
    assert len(text.text) > 1000
    assert len(text.sha256) == 64


def test_a_new_consent_ends_the_one_before_and_withdrawing_ends_all(ignacio: Person, beto: User) -> None:
    first = standing_consent(ignacio)
    second = record_consent(person=ignacio, consent=ConsentGiven(language="en"), recorded_by=beto)
    assert standing_consent(ignacio) == second
    first.refresh_from_db()
    assert first.withdrawn_at is not None
    assert withdraw_consent(person=ignacio) == second
    with pytest.raises(ConsentMissing):
        standing_consent(ignacio)
    with pytest.raises(NoConsentToWithdraw):
        withdraw_consent(person=ignacio)


def test_the_database_refuses_a_second_standing_consent(ignacio: Person) -> None:
    consent = standing_consent(ignacio)
    consent.pk = None
    with pytest.raises(IntegrityError), transaction.atomic():
        Consent.objects.create(
            person=ignacio,
            purpose=consent.purpose,
            retention=consent.retention,
            language="en",
            text_version="1",
            text_sha256=consent.text_sha256,
            recorded_by=consent.recorded_by,
        )
