"""The active templates, opened into memory for one comparison and kept nowhere else in the clear."""

import uuid
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from biometrics.engine import analysis, comparison
from biometrics.engine.calibration import read_calibration
from biometrics.models import Consent, ConsentPurpose, Person, Template
from biometrics.vault import open_evidence

# Little-endian on every machine: the bytes are what the commitment in the ledger was made of.
_VECTOR = np.dtype("<f8")


def vector_to_bytes(vector: NDArray[np.float64]) -> bytes:
    return vector.astype(_VECTOR).tobytes()


def open_template(template: Template) -> NDArray[np.float64]:
    """Open the template's vector: float64 of 128, of length one."""
    return np.frombuffer(open_evidence(template.evidence), dtype=_VECTOR).astype(np.float64)


def made_with_current_models(template: Template) -> bool:
    """Tell whether the template's vector can be compared with one made now."""
    models = analysis.models()
    return (template.landmarks_sha256, template.descriptor_sha256) == (
        models["landmarks"]["sha256"],
        models["descriptor"]["sha256"],
    )


@dataclass(frozen=True)
class Hit:
    person: Person
    distance_e4: int


@dataclass(frozen=True)
class Search:
    """What was searched, and the nearest hit in it if any."""

    searched: frozenset[uuid.UUID]
    hit: Hit | None


def search_same_face(
    descriptors: Iterable[NDArray[np.float64]],
    *,
    target_fmr: str,
    other_than: Person,
    searched_before: frozenset[uuid.UUID] = frozenset(),
) -> Search:
    """
    Look for the face of ``descriptors`` (one photo each) among the active templates of everybody else.

    Whose consent was withdrawn is not searched: their template is neither opened nor compared, and no name is told.
    """
    probes = list(descriptors)
    calibration = read_calibration()
    consenting = Consent.objects.filter(purpose=ConsentPurpose.CUSTODY, withdrawn_at=None)
    others = (
        Template.objects.filter(active=True, person__in=consenting.values("person"))
        .exclude(person=other_than)
        .exclude(pk__in=searched_before)
        .select_related("evidence", "person")
    )
    searched, hits = set(searched_before), []
    for template in others:
        searched.add(template.pk)
        if not made_with_current_models(template):
            continue
        vector = open_template(template)
        nearest = min(comparison.distance_e4(vector, probe) for probe in probes)
        if calibration.threshold(k=template.k, m=1, target_fmr=target_fmr).accepts(nearest):
            hits.append(Hit(template.person, nearest))
    return Search(frozenset(searched), min(hits, key=lambda hit: hit.distance_e4, default=None))
