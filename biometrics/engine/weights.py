"""
Where the models' files lie, and their digests: what a verification names is the file that was read.

The package is found without importing it: importing asks for ``pkg_resources``, which newer setuptools dropped.
"""

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from biometrics.engine.errors import ModelFileMissing

LANDMARKS = "shape_predictor_5_face_landmarks.dat"
DESCRIPTOR = "dlib_face_recognition_resnet_model_v1.dat"


@dataclass(frozen=True)
class ModelFile:
    name: str
    path: Path
    sha256: str

    @property
    def reference(self) -> dict[str, str]:
        """Name and digest, as a record of a verification names the model."""
        return {"name": self.name, "sha256": self.sha256}


@cache
def find_model(name: str) -> ModelFile:
    """
    Find one of the models' files and digest it, once per process.

    :raises ModelFileMissing:
    """
    spec = find_spec("face_recognition_models")
    for folder in (spec and spec.submodule_search_locations) or []:
        path = Path(folder) / "models" / name
        if path.is_file():
            with path.open("rb") as file:
                return ModelFile(name, path, hashlib.file_digest(file, "sha256").hexdigest())
    raise ModelFileMissing(name=name)
