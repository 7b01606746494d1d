"""
Put a current SQLite under Django.

SQLite 3.7.0 to 3.51.2 can corrupt a WAL database at a checkpoint (the WAL-reset bug); Debian's build is among them.
The ``pysqlite3`` wheel carries a current build of the same module; Django's backend finds it under the standard name.
"""

import sys

import pysqlite3
import pysqlite3.dbapi2


def use_current_build() -> None:
    """Answer ``import sqlite3`` with the wheel's build. Call before Django opens its database backend."""
    sys.modules["sqlite3"] = pysqlite3
    sys.modules["sqlite3.dbapi2"] = pysqlite3.dbapi2
