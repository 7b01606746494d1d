"""The names behind the identifiers that stand in entries: no entry holds any."""

import uuid
from typing import Any

from django.utils.translation import gettext as _

from accounts.models import User
from biometrics.errors import PersonKeyMissing
from biometrics.models import Evidence, Person, PersonKind
from biometrics.people import display_name
from biometrics.vault import NOT_OPENED
from custody.models import Zone
from shipments.models import Party, Reader, ReadPoint, Site


class Directory:
    """The names behind the identifiers in entries, each looked up once for one page."""

    def __init__(self) -> None:
        self._persons: dict[str, str] = {}
        self._places: dict[str, str] = {}
        self._accounts: dict[str, str] = {}
        self._sites: dict[str, str] = {}
        self._readers: dict[str, str] = {}

    def person(self, urn: str) -> str:
        if urn not in self._persons:
            self._persons[urn] = _name(urn)
        return self._persons[urn]

    def account(self, urn: str) -> str:
        if urn not in self._accounts:
            user = User.objects.filter(pk=uuid.UUID(urn)).first()
            name = user.get_full_name() or user.get_username() if user else ""
            self._accounts[urn] = name or _("an account no longer on file")
        return self._accounts[urn]

    def place(self, sgln: str) -> str:
        if sgln not in self._places:
            read_point = ReadPoint.objects.select_related("site").filter(sgln=sgln).first()
            self._places[sgln] = f"{read_point.name}, {read_point.site.name}" if read_point else sgln
        return self._places[sgln]

    def zone(self, urn: str) -> str:
        found = Zone.objects.select_related("site").filter(pk=uuid.UUID(urn)).first()
        return f"{found.name}, {found.site.name}" if found else _("a zone no longer on file")

    def site(self, gln: str) -> str:
        if gln not in self._sites:
            site = Site.objects.filter(gln=gln).first()
            self._sites[gln] = site.name if site else gln
        return self._sites[gln]

    def reader(self, urn: str) -> str:
        if urn not in self._readers:
            reader = Reader.objects.filter(pk=uuid.UUID(urn)).first()
            self._readers[urn] = reader.name if reader else _("a reader no longer on file")
        return self._readers[urn]

    def party(self, urn: str) -> str:
        found = Party.objects.filter(pk=uuid.UUID(urn)).first()
        return found.name if found else _("an organisation no longer on file")

    def releaser(self, body: dict[str, Any]) -> str:
        """Who handed over: a person, or the consignor at first intake."""
        return self.person(body["from"]["person"]) if "person" in body["from"] else _("the consignor")


def _name(urn: str) -> str:
    person = Person.objects.filter(pk=uuid.UUID(urn)).first()
    if person is None:
        return _("a person no longer on file")
    if person.kind == PersonKind.TRAVELLER:
        return _("a traveller")
    try:
        return display_name(person)
    except (Evidence.DoesNotExist, PersonKeyMissing):
        return _("a person no longer on file")
    except NOT_OPENED:
        # The entries are still readable without the vault: only the name stays closed.
        return _("a person whose name cannot be opened")
