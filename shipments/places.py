"""Where goods are read: sites, read points and readers. Trusts no GLN whose check digit is wrong."""

from typing import TypeVar

from django.db import IntegrityError, transaction
from django.utils.translation import gettext_lazy as _

from refusals import Refusal
from shipments.epc import KeyMalformed, check_gln, gln_to_sgln_uri
from shipments.models import SILENT_AFTER_S, Antenna, Direction, Reader, ReadPoint, Site
from shipments.readers.registry import DIALECTS
from shipments.readers.report import MAX_ANTENNA

MAX_RATE = 1_000_000
MAX_SILENT_S = 7 * 24 * 60 * 60

Place = TypeVar("Place", Site, ReadPoint, Reader)


class PlaceRefused(Refusal):
    code = "place_refused"
    message = _("%(name)s was not saved: %(problem)s")
    status = 422


class PlaceExists(Refusal):
    code = "place_exists"
    message = _("%(name)s was not saved: its name, code or number is already in use. Choose another.")


def create_site(*, code: str, name: str, gln: str, company_prefix_length: int = 7) -> Site:
    """
    Add a site under its GLN.

    :raises PlaceRefused: where the code or name is empty, or the GLN's check digit is wrong
    :raises PlaceExists: where another site has the code or the GLN
    """
    code, name = _named(code, 16), _named(name, 120)
    try:
        check_gln(gln)
        gln_to_sgln_uri(gln, "0", company_prefix_length)
    except KeyMalformed as error:
        raise PlaceRefused(name=name, problem=str(error)) from error
    try:
        with transaction.atomic():
            return Site.objects.create(code=code, name=name, gln=gln, company_prefix_length=company_prefix_length)
    except IntegrityError as error:
        raise PlaceExists(name=name) from error


def create_read_point(*, site: Site, name: str, direction: str, extension: str) -> ReadPoint:
    """
    Add a read point; its SGLN is the site's GLN with ``extension``.

    :raises PlaceRefused: where the direction is unknown or the extension does not fit an SGLN
    :raises PlaceExists: where the site has a read point of that name or extension
    """
    name = _named(name, 120)
    direction = _direction(name, direction)
    try:
        sgln = gln_to_sgln_uri(site.gln, extension, site.company_prefix_length)
    except KeyMalformed as error:
        raise PlaceRefused(name=name, problem=str(error)) from error
    try:
        with transaction.atomic():
            return ReadPoint.objects.create(site=site, name=name, direction=direction, sgln=sgln)
    except IntegrityError as error:
        raise PlaceExists(name=name) from error


def create_reader(*, read_point: ReadPoint, name: str, dialect: str = "", hostname: str = "") -> Reader:
    """
    Add a reader at ``read_point``; ``dialect`` is a hint for bodies that fit several.

    :raises PlaceRefused: where the dialect is unknown
    :raises PlaceExists: where another reader has the name
    """
    name, dialect = _named(name, 120), _dialect(name, dialect)
    hostname = _named(hostname, 120) if hostname.strip() else ""
    try:
        with transaction.atomic():
            return Reader.objects.create(read_point=read_point, name=name, dialect=dialect, hostname=hostname)
    except IntegrityError as error:
        raise PlaceExists(name=name) from error


def change_site(*, site: Site, code: str, name: str) -> Site:
    """
    Rename a site. Its GLN stays: entries that are sealed name the place by it.

    :raises PlaceRefused: where the code or name is empty
    :raises PlaceExists: where another site has the code
    """
    site.code, site.name = _named(code, 16), _named(name, 120)
    return _save(site, site.name, ["code", "name"])


def change_read_point(*, read_point: ReadPoint, name: str, direction: str) -> ReadPoint:
    """
    Rename a read point or turn it round. Its SGLN stays, as a site's GLN does.

    :raises PlaceRefused: where the direction is unknown
    :raises PlaceExists: where the site has another read point of that name
    """
    read_point.name, read_point.direction = _named(name, 120), _direction(name, direction)
    return _save(read_point, read_point.name, ["name", "direction"])


def change_reader(
    *,
    reader: Reader,
    name: str,
    read_point: ReadPoint,
    hostname: str = "",
    dialect: str = "",
    silent_after_s: int = SILENT_AFTER_S,
    reports_per_s: int | None = None,
    reads_per_s: int | None = None,
) -> Reader:
    """
    Change what is on file about a reader. At another read point its reads count there from the next report on.

    :param hostname: what it is to call itself in its reports, or empty where that is not looked at
    :param silent_after_s: after how long it counts as silent; 0 for a reader that sends only what it reads
    :param reports_per_s: and ``reads_per_s``, the rate that it is held to; None for the settings' own
    :raises PlaceRefused: where the dialect is unknown, a name cannot be used, or a rate lets nothing through
    :raises PlaceExists: where another reader has the name
    """
    reader.name, reader.read_point = _named(name, 120), read_point
    reader.hostname = _named(hostname, 120) if hostname.strip() else ""
    reader.dialect = _dialect(reader.name, dialect)
    for rate in (reports_per_s, reads_per_s):
        if rate is not None and not 1 <= rate <= MAX_RATE:
            raise PlaceRefused(name=reader.name, problem=_("a rate is 1 to 1,000,000 a second, or left empty."))
    if not 0 <= silent_after_s <= MAX_SILENT_S:
        raise PlaceRefused(name=reader.name, problem=_("it counts as silent after 0 to 604,800 seconds."))
    reader.silent_after_s, reader.reports_per_s, reader.reads_per_s = silent_after_s, reports_per_s, reads_per_s
    fields = ["name", "read_point", "hostname", "dialect", "silent_after_s", "reports_per_s", "reads_per_s"]
    return _save(reader, reader.name, fields)


def switch_reader(*, reader: Reader, enabled: bool) -> Reader:
    """Switch a reader off, so that all of its credentials open nothing from the next request on; or on again."""
    reader.enabled = enabled
    reader.save(update_fields=["enabled"])
    return reader


def name_antenna(*, reader: Reader, port: int, looks_at: str) -> Antenna:
    """
    Say what the antenna at a port of the reader looks at; what was said before is replaced.

    :raises PlaceRefused: where the port is no antenna's, or nothing is said
    """
    if not 1 <= port <= MAX_ANTENNA:
        raise PlaceRefused(name=reader.name, problem=_("antennas are numbered from 1."))
    antenna, _created = Antenna.objects.update_or_create(
        reader=reader, port=port, defaults={"looks_at": _named(looks_at, 120)}
    )
    return antenna


def forget_antenna(*, reader: Reader, port: int) -> None:
    """Take an antenna's description off the reader; what it read stays."""
    Antenna.objects.filter(reader=reader, port=port).delete()


def _save(place: Place, name: str, fields: list[str]) -> Place:
    try:
        with transaction.atomic():
            place.save(update_fields=fields)
    except IntegrityError as error:
        raise PlaceExists(name=name) from error
    return place


def _direction(name: str, direction: str) -> str:
    if direction not in Direction.values:
        raise PlaceRefused(name=name, problem=_("the direction is one of in, out, through."))
    return direction


def _dialect(name: str, dialect: str) -> str:
    if dialect and dialect not in DIALECTS:
        raise PlaceRefused(name=name, problem=_("the dialect is one of %(known)s.") % {"known": ", ".join(DIALECTS)})
    return dialect


def _named(text: str, limit: int) -> str:
    folded = " ".join(text.split())
    if not folded:
        raise PlaceRefused(name=_("The place"), problem=_("it has no name or code."))
    if len(folded) > limit or not folded.isprintable():
        problem = _("its name or code has more than %(limit)s characters, or some that cannot be printed.")
        raise PlaceRefused(name=_("The place"), problem=problem % {"limit": limit})
    return folded
