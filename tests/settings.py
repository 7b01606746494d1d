"""Settings of the test suite: the embedded profile in a folder of its own, with a fast password hash."""

import atexit
import os
import shutil
import tempfile

# Before custody.settings is read: nothing that a test makes may land in the developer's var/.
_var = tempfile.mkdtemp(prefix="custody-tests-")
atexit.register(shutil.rmtree, _var, ignore_errors=True)
os.environ["CUSTODY_VAR"] = _var

from custody.settings import *  # noqa: E402, F403

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
BROKER_URL = ""
# The tests of liveness require it; the others show one photo.
BIOMETRICS_LIVENESS = "optional"

# A file, as in production: WAL, fsync and locks between threads are then the real ones.
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":  # noqa: F405
    DATABASES["default"]["TEST"] = {"NAME": f"{_var}/test.sqlite3"}  # noqa: F405
