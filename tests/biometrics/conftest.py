"""Two persons on file, made by the services from real photos: Ignacio enrolled from two of them, Lucía not yet."""

from pathlib import Path

import pytest

from accounts.models import User
from biometrics.consent import ConsentGiven
from biometrics.enrolment import enrol_person
from biometrics.models import Person
from biometrics.people import register_person

CONSENT = ConsentGiven(language="es")


@pytest.fixture
def ignacio(beto: User) -> Person:
    return register_person(name="Ignacio Peralta Quintanilla", kind="driver", registered_by=beto, consent=CONSENT)


@pytest.fixture
def lucia(beto: User) -> Person:
    return register_person(name="Lucía Ibáñez", kind="warehouse", registered_by=beto, consent=CONSENT)


@pytest.fixture
def enrolled(ignacio: Person, beto: User, photos: Path) -> Person:
    both = [(photos / name).read_bytes() for name in ("obama.jpg", "obama2.jpg")]
    enrol_person(person=ignacio, photos=both, enrolled_by=beto)
    return ignacio
