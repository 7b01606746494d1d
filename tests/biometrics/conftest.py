"""Two persons on file, made by the services from real photos: Ignacio enrolled from three of them, Lucía not yet."""

from pathlib import Path

import pytest

from accounts.models import User
from biometrics.consent import ConsentGiven
from biometrics.enrolment import enrol_person
from biometrics.models import Person
from biometrics.people import register_person
from demo.portraits import Portrait, portrait

CONSENT = ConsentGiven(language="es")


@pytest.fixture
def ignacio(beto: User) -> Person:
    return register_person(name="Ignacio Peralta Quintanilla", kind="driver", registered_by=beto, consent=CONSENT)


@pytest.fixture
def lucia(beto: User) -> Person:
    return register_person(name="Lucía Ibáñez", kind="warehouse", registered_by=beto, consent=CONSENT)


@pytest.fixture(scope="session")
def obama(photos: Path) -> Portrait:
    """Three sittings, two of them slanted a little to pass the gate; made once, for that takes a second."""
    return portrait("obama", photos)


@pytest.fixture(scope="session")
def biden(photos: Path) -> Portrait:
    """One photo, reframed five times."""
    return portrait("biden", photos)


@pytest.fixture
def enrolled(ignacio: Person, beto: User, obama: Portrait) -> Person:
    enrol_person(person=ignacio, photos=obama.captures, document=obama.document, enrolled_by=beto)
    return ignacio
