"""The people on file: registered with their consent in one act, known by name only to whom the vault opens."""

from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.utils.translation import gettext as _

from accounts.models import User
from biometrics.consent import ConsentGiven, record_consent
from biometrics.errors import AccountTaken, NameMissing, PersonKindUnknown
from biometrics.models import NEVER_REGISTERED, Evidence, EvidenceKind, Person, PersonKind
from biometrics.vault import make_person_key, open_evidence, seal_evidence

MAX_NAME = 120


def register_person(
    *,
    name: str,
    kind: str,
    registered_by: User,
    consent: ConsentGiven | None,
    user: User | None = None,
    exempt: bool = False,
) -> Person:
    """
    Put a person on file: name sealed under a key of their own, consent recorded in the same transaction.

    :param user: the account that the person logs in with, where there is one
    :param exempt: the face is never enrolled nor compared, so that there is nothing to consent to
    :raises Refusal: name_missing, person_kind_unknown, consent_missing, consent_text_unknown, consent_terms_unknown
    """
    name = " ".join(name.split())
    if not name or len(name) > MAX_NAME:
        raise NameMissing(limit=MAX_NAME)
    if kind not in PersonKind.values:
        raise PersonKindUnknown(kind=kind)
    with transaction.atomic():
        person = Person.objects.create(kind=kind, registered_by=registered_by, user=user, exempt=exempt)
        make_person_key(person=person)
        seal_evidence(person=person, kind=EvidenceKind.NAME, value=name.encode("utf-8"))
        if not exempt:
            record_consent(person=person, consent=consent, recorded_by=registered_by)
    return person


def name_account(*, person: Person, user: User | None) -> None:
    """
    Say which account the person logs in with, or that it is none any more.

    :raises AccountTaken: where the account is somebody else's
    """
    try:
        with transaction.atomic():
            Person.objects.filter(pk=person.pk, erased_at=None).update(user=user)
    except IntegrityError as error:
        raise AccountTaken(account=user.get_username() if user else "") from error


def people_on_file() -> QuerySet[Person]:
    """Return who may hold custody: those registered here and not erased."""
    return Person.objects.filter(erased_at=None).exclude(kind__in=NEVER_REGISTERED)


def display_name(person: Person) -> str:
    """
    Open the person's name. It is for a screen, and never for an entry, a log line or a file.

    Of an erased person no name is left: "Erased person", in the reader's language.
    """
    if person.erased_at is not None:
        return _("Erased person")
    sealed = Evidence.objects.filter(person=person, kind=EvidenceKind.NAME).latest("created_at")
    if sealed.destroyed_at is not None:
        return _("Erased person")
    return open_evidence(sealed).decode("utf-8")
