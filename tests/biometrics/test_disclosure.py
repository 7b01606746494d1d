"""What the vault opens for a disclosure: evidence by its commitment, and nothing of a person who was erased."""

import pytest

from biometrics.disclosure import open_evidence_commitment
from biometrics.models import EvidenceKind, PersonKey
from biometrics.vault import seal_evidence
from ledger.tlog.commitment import opens

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("kind", EvidenceKind.values)
def test_every_kind_of_evidence_opens_by_its_commitment(ignacio, kind):
    sealed = seal_evidence(person=ignacio, kind=EvidenceKind(kind), value=b"what was seen")
    opened = open_evidence_commitment(sealed.commitment)
    assert opened is not None
    assert opened.value == b"what was seen"
    assert opens(sealed.commitment, salt=opened.salt, value=opened.value)


def test_a_commitment_that_is_no_evidence_is_left_to_others(ignacio):
    assert open_evidence_commitment("0" * 64) is None


def test_of_an_erased_person_nothing_opens(ignacio):
    sealed = seal_evidence(person=ignacio, kind=EvidenceKind.NOTE, value=b"what was seen")
    PersonKey.objects.filter(person=ignacio).delete()
    assert open_evidence_commitment(sealed.commitment) is None
