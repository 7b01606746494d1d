"""Who reads a trace on the command line: an account is named, so that it is known which names may be shown."""

from django.utils.translation import gettext_lazy as _

from accounts.models import User
from refusals import Refusal


class ReaderUnknown(Refusal):
    code = "reader_unknown"
    message = _("There is no active account %(username)s.")
    status = 404


def reader_named(username: str | None) -> User | None:
    """:raises ReaderUnknown:"""
    if not username:
        return None
    reader = User.objects.filter(username=username, is_active=True).first()
    if reader is None:
        raise ReaderUnknown(username=username)
    return reader
