"""Open a commitment to evidence, for :mod:`ledger.disclosure`: templates, photos, probes, camera labels and notes."""

from biometrics.errors import EvidenceDestroyed, PersonKeyMissing
from biometrics.models import Evidence
from biometrics.vault import open_commitment
from ledger.disclosure import Opened


def open_evidence_commitment(commitment: str) -> Opened | None:
    """
    Return salt and value of the evidence that was committed to; None where there is none, or it was destroyed.

    :raises EvidenceNotOpened, MasterKeyMissing, MasterKeyMalformed, MasterKeyWrong:
    """
    evidence = Evidence.objects.filter(commitment=commitment).first()
    if evidence is None:
        return None
    try:
        opened = open_commitment(evidence)
    except (EvidenceDestroyed, PersonKeyMissing):
        return None
    return Opened(salt=opened.salt, value=opened.value)
