"""Registering: consent and name in one act, and no name anywhere in the clear."""

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

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
from biometrics.people import display_name, people_on_file, register_person
from ledger.models import Statement
from ledger.tlog import canonical
from refusals import Refusal
from tests.biometrics.conftest import CONSENT


def test_a_person_is_registered_with_name_key_and_consent(ignacio: Person, beto: User) -> None:
    assert display_name(ignacio) == "Ignacio Peralta Quintanilla"
    consent = standing_consent(ignacio)
    assert (consent.purpose, consent.retention) == ("custody_verification", "while_engaged")
    assert (consent.language, consent.text_version) == ("es", "2")
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
    assert withdraw_consent(person=ignacio, withdrawn_by=beto) == second
    with pytest.raises(ConsentMissing):
        standing_consent(ignacio)
    with pytest.raises(NoConsentToWithdraw):
        withdraw_consent(person=ignacio, withdrawn_by=beto)
    assert Statement.objects.filter(kind="consent_withdrawn").count() == 1


def test_a_withdrawal_is_an_entry_that_names_nobody(ignacio: Person, beto: User) -> None:
    consent = withdraw_consent(person=ignacio, withdrawn_by=beto)
    statement = Statement.objects.get(kind="consent_withdrawn")
    body = canonical.decode(bytes(statement.body))
    assert statement.subject == body["person"] == ignacio.pk.urn
    assert body["consent"]["id"] == consent.pk.urn
    assert (body["consent"]["text_version"], body["consent"]["text"]) == ("2", consent.text_sha256)
    assert body["recorded_by"] == beto.pk.urn
    assert body["given_at"] <= body["withdrawn_at"]
    assert "Ignacio" not in str(body)


def test_who_is_exempt_is_put_on_file_without_a_consent(beto: User) -> None:
    exempt = register_person(name="Nadia Cruz", kind="driver", registered_by=beto, consent=None, exempt=True)
    assert exempt.exempt
    assert not exempt.consents.exists()
    assert display_name(exempt) == "Nadia Cruz"


def test_on_file_is_who_may_hold_custody(ignacio: Person, lucia: Person, beto: User) -> None:
    ignacio.erased_at = timezone.now()
    ignacio.save()
    Person.objects.create(kind="watchlisted", registered_by=beto)
    assert list(people_on_file()) == [lucia]


# The digests of the texts as they were first shown: a text that was ever shown is never edited.
@pytest.mark.parametrize(
    ("version", "language", "sha256"),
    [
        ("1", "en", "4a3cab084c76e59f2363fae1554652caa8c4f9b9f4d2fc741cb0459c7cbb64ae"),
        ("1", "es", "e2a500c923bba009ca8a48ef6003ed72061fbacc6b74ef1b78c319a93e5e8f71"),
        ("2", "en", "62cbcaa35ccfeb3fa0099f17840468f7e8e3ee5073551e731a15456770b4b3b9"),
        ("2", "es", "571d27a12bdc2f929445a3d96f532af5af460b34e5c92a7e50825595cb1dc1b5"),
    ],
)
def test_a_text_once_shown_stays_as_it_was(version: str, language: str, sha256: str) -> None:
    assert read_consent_text(language=language, version=version).sha256 == sha256


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
