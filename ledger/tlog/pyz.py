"""
Build ``custody-verify.pyz``: this package as one file that Python runs where only ``cryptography`` is installed.

``python -m ledger.tlog.pyz dist/custody-verify.pyz``. The same sources make the same bytes.
"""

import sys
import zipapp
from io import BytesIO
from pathlib import Path

from ledger.tlog.bundle_file import BundleWriter

_INTERPRETER = "/usr/bin/env python3"
_MAIN = b"""\
import sys

from ledger.tlog.__main__ import main

if __name__ == "__main__":  # the processes that check signatures import this file too
    sys.exit(main())
"""


def build(target: Path) -> None:
    """Write the archive to ``target``, whose folder is made where it is missing."""
    folder = Path(__file__).parent
    content = BytesIO()
    with BundleWriter(content) as archive:
        archive.add("__main__.py", _MAIN)
        archive.add("ledger/__init__.py", b"")
        for path in sorted(folder.glob("*.py")):
            if path.name != Path(__file__).name:
                archive.add(f"ledger/tlog/{path.name}", path.read_bytes())
    target.parent.mkdir(parents=True, exist_ok=True)
    content.seek(0)
    # zipapp writes the line by which a system finds the interpreter, and the mode.
    zipapp.create_archive(content, target, interpreter=_INTERPRETER)
    target.chmod(0o755)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m ledger.tlog.pyz TARGET")
    build(Path(sys.argv[1]))
