"""Where goods are read: sites, read points and readers. Trusts no GLN whose check digit is wrong."""

from django.db import IntegrityError, transaction
from django.utils.translation import gettext_lazy as _

from refusals import Refusal
from shipments.epc import KeyMalformed, check_gln, gln_to_sgln_uri
from shipments.models import Direction, Reader, ReadPoint, Site
from shipments.readers.registry import DIALECTS


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
    if direction not in Direction.values:
        raise PlaceRefused(name=name, problem=_("the direction is one of in, out, through."))
    try:
        sgln = gln_to_sgln_uri(site.gln, extension, site.company_prefix_length)
    except KeyMalformed as error:
        raise PlaceRefused(name=name, problem=str(error)) from error
    try:
        with transaction.atomic():
            return ReadPoint.objects.create(site=site, name=name, direction=direction, sgln=sgln)
    except IntegrityError as error:
        raise PlaceExists(name=name) from error


def create_reader(*, read_point: ReadPoint, name: str, dialect: str = "") -> Reader:
    """
    Add a reader at ``read_point``; ``dialect`` is a hint for bodies that fit several.

    :raises PlaceRefused: where the dialect is unknown
    :raises PlaceExists: where another reader has the name
    """
    name = _named(name, 120)
    if dialect and dialect not in DIALECTS:
        raise PlaceRefused(name=name, problem=_("the dialect is one of %(known)s.") % {"known": ", ".join(DIALECTS)})
    try:
        with transaction.atomic():
            return Reader.objects.create(read_point=read_point, name=name, dialect=dialect)
    except IntegrityError as error:
        raise PlaceExists(name=name) from error


def _named(text: str, limit: int) -> str:
    folded = " ".join(text.split())
    if not folded:
        raise PlaceRefused(name=_("The place"), problem=_("it has no name or code."))
    if len(folded) > limit or not folded.isprintable():
        problem = _("its name or code has more than %(limit)s characters, or some that cannot be printed.")
        raise PlaceRefused(name=_("The place"), problem=problem % {"limit": limit})
    return folded
