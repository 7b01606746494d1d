"""
Settings, from the environment alone. Nothing set means the embedded profile: SQLite, files under ``var/``, one process.

Secrets that nobody gave are made on first use and kept under ``var/keys/`` with mode 0600.
"""

import os
from pathlib import Path

import dj_database_url
from csp.constants import NONE, SELF
from django.utils.translation import gettext_lazy as _

from accounts.secret_files import read_or_make
from custody.sqlite import use_current_build

use_current_build()

BASE_DIR = Path(__file__).resolve().parent.parent
VAR_DIR = Path(os.environ.get("CUSTODY_VAR") or BASE_DIR / "var")

# The demo world: `make run` asks for it and leaves a mark, so that later commands know whose database this is. The seed
# and the tampering commands exist nowhere else.
DEMO_MARK = VAR_DIR / "demo"
DEMO = os.environ.get("CUSTODY_DEMO", "1" if DEMO_MARK.exists() else "0") == "1"
DEBUG = os.environ.get("CUSTODY_DEBUG") == "1"
SECRET_KEY = os.environ.get("CUSTODY_SECRET_KEY") or read_or_make(VAR_DIR / "keys" / "django-secret")
ALLOWED_HOSTS = os.environ.get("CUSTODY_HOSTS", "localhost,127.0.0.1,[::1]").split(",")

INSTALLED_APPS = [
    "accounts",
    "ledger",
    "shipments",
    "biometrics",
    "custody",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "csp",
    "rest_framework",
    *(["demo"] if DEMO else []),
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "custody.refused_pages.RefusedPages",
]

ROOT_URLCONF = "custody.urls"
WSGI_APPLICATION = "custody.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.template.context_processors.i18n",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "custody.navigation.navigation",
            ],
        },
    }
]

# The database. synchronous=FULL: an entry acknowledged is an entry on disk. IMMEDIATE: a writer waits for the lock at
# BEGIN instead of failing half-way. recursive_triggers: without it INSERT OR REPLACE passes the append-only triggers.
# secure_delete: what is destroyed is overwritten with zeros, not just unlinked from its page.
DATABASES = {"default": dj_database_url.config(default=f"sqlite:///{VAR_DIR / 'custody.sqlite3'}", conn_max_age=600)}
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    DATABASES["default"]["OPTIONS"] = {
        "timeout": 20,
        "transaction_mode": "IMMEDIATE",
        "init_command": (
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA recursive_triggers=ON; PRAGMA foreign_keys=ON; "
            "PRAGMA secure_delete=ON;"
        ),
    }
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# The ledger: its name, its key, and the last-signed store, which stands beside the database and never in it.
LEDGER_ORIGIN = os.environ.get("LEDGER_ORIGIN", "demo.invalid/custody" if DEMO else "localhost/custody")
LEDGER_KEY_FILE = Path(os.environ.get("LEDGER_KEY_FILE", VAR_DIR / "keys" / "ledger.pem"))
LEDGER_KEY_PASSPHRASE = os.environ.get("LEDGER_KEY_PASSPHRASE", "")
LEDGER_KEY_PASSPHRASE_FILE = os.environ.get("LEDGER_KEY_PASSPHRASE_FILE", "")
LEDGER_LAST_SIGNED_DIR = Path(os.environ.get("LEDGER_LAST_SIGNED_DIR", VAR_DIR / "last-signed"))
LEDGER_KEY_STORE = os.environ.get("LEDGER_KEY_STORE", "file")  # or pkcs11
LEDGER_PKCS11_MODULE = os.environ.get("LEDGER_PKCS11_MODULE", "")
LEDGER_PKCS11_TOKEN = os.environ.get("LEDGER_PKCS11_TOKEN", "")
LEDGER_PKCS11_LABEL = os.environ.get("LEDGER_PKCS11_LABEL", "custody-ledger")
LEDGER_PKCS11_PIN = os.environ.get("LEDGER_PKCS11_PIN", "")

# Who watches it: a policy file (ledger/tlog/policy.py) with the witnesses to ask, their quorum, and the roots of the
# timestamp authorities; and which authority is asked how often.
LEDGER_POLICY_FILE = Path(os.environ.get("LEDGER_POLICY_FILE", VAR_DIR / "ledger-policy"))
LEDGER_TSA_URL = os.environ.get("LEDGER_TSA_URL", "")
LEDGER_TSA_EVERY = int(os.environ.get("LEDGER_TSA_EVERY", 60 * 60))
# An index epoch is sealed at the latest after so many seconds, or so many entries, with anything new.
LEDGER_EPOCH_EVERY = int(os.environ.get("LEDGER_EPOCH_EVERY", 24 * 60 * 60))
LEDGER_EPOCH_ENTRIES = int(os.environ.get("LEDGER_EPOCH_ENTRIES", 10_000))
# Entry bundles under /log/ are for auditors and witnesses, unless the operator opens them to everybody.
LEDGER_OPEN_ENTRIES = os.environ.get("LEDGER_OPEN_ENTRIES") == "1"
# What opens the commitments that entries hold, where somebody who may discloses one.
LEDGER_OPENERS = ("biometrics.disclosure.open_evidence_commitment",)
# Readers' reports are bound into the ledger every so many seconds while there are new ones, a bounded number an entry.
READS_ANCHOR_EVERY = int(os.environ.get("READS_ANCHOR_EVERY", 5))
READS_ANCHOR_BATCH = int(os.environ.get("READS_ANCHOR_BATCH", 10_000))
# What other apps have done in a sweep: a name, a function without arguments, and after how many seconds again.
LEDGER_SWEEP_PARTS = (
    ("retention", "biometrics.retention.purge_due", 300),
    ("anchoring", "shipments.anchoring.anchor_reports", READS_ANCHOR_EVERY),
    ("readers", "shipments.reader_alerts.watch_readers", 60),
    ("triggers", "shipments.triggers.settle_triggers", 5),
    ("epcis_captures", "shipments.epcis.capture.work_waiting", 5),
    ("epcis_events", "custody.epcis_projection.project_new", 5),
    ("discrepancy_entries", "custody.discrepancy_checks.sealed.check_new_entries", 5),
    ("discrepancy_reads", "custody.discrepancy_checks.reads.check_new_reads", 15),
    ("discrepancy_alerts", "custody.discrepancy_checks.alerts.check_alerts", 60),
    ("discrepancy_dwell", "custody.discrepancy_checks.dwell.check_dwell", 300),
)
# Discrepancies (docs/discrepancies.md): how fast goods travel at most, and the least time between two sites of which
# one does not say where it is; after how many hours with one custodian they stand too long (0: never) where the site
# says nothing else.
DISCREPANCY_TOP_SPEED_KMH = int(os.environ.get("DISCREPANCY_TOP_SPEED_KMH", 120))
DISCREPANCY_MIN_TRAVEL_MIN = int(os.environ.get("DISCREPANCY_MIN_TRAVEL_MIN", 10))
DISCREPANCY_DWELL_H = int(os.environ.get("DISCREPANCY_DWELL_H", 168))
# How often, in seconds, what is due is done: sealing what a crash left, asking witnesses, timestamps, epochs.
LEDGER_SWEEP_EVERY = int(os.environ.get("LEDGER_SWEEP_EVERY", 5))

# Celery, where a broker is named; otherwise the sealer runs in the process that submitted, right after its commit.
BROKER_URL = os.environ.get("BROKER_URL", "")

# Whether a face counts only with an answered liveness challenge: "required", or "optional", where a photo alone does
# and the record says that none was asked. The demonstration has no living people.
BIOMETRICS_LIVENESS = os.environ.get("BIOMETRICS_LIVENESS", "optional" if DEMO else "required")
# Where the key that wraps the persons' keys is: a file, BIOMETRICS_MASTER_KEY or BIOMETRICS_KMS_COMMAND
# (biometrics/master_keys.py); and how many hours what is kept for which rule (biometrics/retention_rules.py), as JSON.
BIOMETRICS_RETENTION = os.environ.get("BIOMETRICS_RETENTION", "")
BIOMETRICS_MASTER_KEY_FILE = Path(os.environ.get("BIOMETRICS_MASTER_KEY_FILE", VAR_DIR / "keys" / "biometrics-master"))

# Restricted zones, in seconds: frames that show the same person no further apart than this are one stay; a camera that
# sends none for longer than that leaves a gap in what was watched.
ZONE_EVENT_GAP = int(os.environ.get("ZONE_EVENT_GAP", 60))
ZONE_COVERAGE_GAP = int(os.environ.get("ZONE_COVERAGE_GAP", 10))

SECOND_FACTOR_KEY_FILE = Path(os.environ.get("SECOND_FACTOR_KEY_FILE", VAR_DIR / "keys" / "second-factor"))

READER_CREDENTIAL_KEY_FILE = Path(os.environ.get("READER_CREDENTIAL_KEY_FILE", VAR_DIR / "keys" / "reader-credentials"))
# What readers sign their reports with must be at hand to check a signature: it is encrypted under this key.
READER_SECRET_KEY_FILE = Path(os.environ.get("READER_SECRET_KEY_FILE", VAR_DIR / "keys" / "reader-secrets"))
# How old a signed report may be, in seconds, by the server's clock.
READER_SIGNATURE_WINDOW = int(os.environ.get("READER_SIGNATURE_WINDOW", 300))
# Client certificates, off unless both are set: the header in which a proxy tells a certificate's fingerprint or
# subject, and the addresses of the proxies (with commas between) that may say so. They must remove the header from what
# comes in.
READER_MTLS_HEADER = os.environ.get("READER_MTLS_HEADER", "")
READER_MTLS_PROXIES = [part.strip() for part in os.environ.get("READER_MTLS_PROXIES", "").split(",") if part.strip()]
# What one reader may send a second where its own row says nothing, and how many seconds' worth it may save up. A portal
# reads some 1,500 tags a second; a reader that was cut off sends hours at once.
READER_REPORTS_PER_S = int(os.environ.get("READER_REPORTS_PER_S", 50))
READER_READS_PER_S = int(os.environ.get("READER_READS_PER_S", 10_000))
READER_BURST_S = int(os.environ.get("READER_BURST_S", 60))
# From how many seconds on a reader's clock counts as wrong.
READER_CLOCK_SKEW_LIMIT = float(os.environ.get("READER_CLOCK_SKEW_LIMIT", 5))

AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["accounts.login_brake.BrakedBackend"]
# The tries to log in are counted apart: nothing else may push a counter out of its cache.
CACHES = {
    "default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"},
    "logins": {
        "BACKEND": "django.core.cache.backends.locmem.LocMemCache",
        "LOCATION": "logins",
        "OPTIONS": {"MAX_ENTRIES": 100_000},
    },
}
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "home"
LOGOUT_REDIRECT_URL = "login"
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator")
]

LANGUAGE_CODE = "en"
LANGUAGES = [("en", _("English"))]  # a language is offered once its catalogue is whole
LOCALE_PATHS = [BASE_DIR / "locale"]
TIME_ZONE = "UTC"
USE_TZ = True

STATIC_URL = "static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
WHITENOISE_USE_FINDERS = True

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "font-src": [SELF],
        "img-src": [SELF, "data:", "blob:"],  # data: Tabler's form marks; blob: the still before it is sent
        "media-src": [SELF, "blob:"],  # the camera's live picture
        "connect-src": [SELF],
        "worker-src": [SELF],  # the verifier in the browser: hashing a whole log must not freeze the page
        "manifest-src": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
        "base-uri": [NONE],
    }
}
X_FRAME_OPTIONS = "DENY"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SECURE_REFERRER_POLICY = "same-origin"

# One switch for a deployment behind a proxy that speaks HTTPS, and that sets X-Forwarded-Proto on every request itself:
# whoever reaches this server past the proxy could claim the scheme. Subdomains and the preload list bind more names
# than this one, so they stay off.
HTTPS = os.environ.get("CUSTODY_HTTPS") == "1"
if HTTPS:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    SECURE_SSL_REDIRECT = True
    SECURE_HSTS_SECONDS = 365 * 24 * 60 * 60
    SESSION_COOKIE_SECURE = True
    CSRF_COOKIE_SECURE = True
    # Django writes "and its subdomains" .example.com as a host, *.example.com as an origin. "*" names no origin.
    CSRF_TRUSTED_ORIGINS = [
        f"https://*{host}" if host.startswith(".") else f"https://{host}" for host in ALLOWED_HOSTS if host != "*"
    ]

# How far a shipment may weigh otherwise than declared before an officer must accept it, in thousandths.
WEIGHT_TOLERANCE_PERMILLE = int(os.environ.get("WEIGHT_TOLERANCE_PERMILLE", "20"))

# One photo may be 15 MiB; a reader's report has its own cap and is read as a stream.
DATA_UPLOAD_MAX_MEMORY_SIZE = 16 * 1024 * 1024

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "accounts.access.BearerTokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "EXCEPTION_HANDLER": "custody.api.errors.answer_refusal",
    "UNAUTHENTICATED_USER": None,
}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "{asctime} {levelname} {name} {message}", "style": "{"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": "INFO"},
}
