"""
Ask for events as EPCIS 2.0's REST interface does: filters by parameter, and pages by keyset, so that events that come
in meanwhile shift nothing.

A parameter that is not known here is refused by its name: an ignored filter would answer what was not asked.
"""

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.core import signing
from django.db.models import Exists, OuterRef, Q
from django.db.models.functions import Length
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from refusals import Refusal
from shipments.epcis.indexing import bare_word, spellings
from shipments.epcis.schema import EVENT_TYPES, is_uri, read_time, shown
from shipments.models import EpcisEpc, EpcisEvent, EpcisTransaction

PER_PAGE = 30
MAX_PER_PAGE = 1_000
MAX_VALUES = 200
# A page ends early rather than grow without bound: one event may hold a shipment of a hundred thousand tags.
PAGE_BYTES = 8 * 1024 * 1024

_SALT = "shipments.epcis.page"
_ORDERS = {"eventTime": "event_time", "recordTime": "record_time"}
_SGLN = re.compile(r"(urn:epc:id:sgln:[0-9]+\.[0-9]*\.)0", re.ASCII)
_PATTERN = re.compile(r"urn:epc:idpat:([a-z]+:)((?:[^*]*\.)?)\*(?:\.\*)*", re.ASCII)

Role = EpcisEpc.Role
_MATCHES: dict[str, tuple[str, ...]] = {
    "MATCH_epc": (Role.EPC, Role.CHILD),
    "MATCH_parentID": (Role.PARENT,),
    "MATCH_inputEPC": (Role.INPUT,),
    "MATCH_outputEPC": (Role.OUTPUT,),
    "MATCH_anyEPC": tuple(Role.values),
}
_TRANSACTION = "EQ_bizTransaction_"


class QueryRefused(Refusal):
    code = "epcis_query_refused"
    message = gettext_lazy("%(problem)s")
    status = 400

    def __init__(self, parameter: str, problem: Any) -> None:
        super().__init__(parameter=shown(parameter), problem=problem)


@dataclass(frozen=True, slots=True)
class Page:
    """Documents of events in order, as JSON, and the token of the page behind; empty where there is none."""

    events: Sequence[str]
    next_token: str = ""


def find_events(parameters: Mapping[str, str]) -> Page:
    """
    Answer a query.

    :param parameters: names and values as they stand in the address; a list of values is parted by ``|``
    :raises QueryRefused: naming the first parameter that is unknown, or whose value cannot be used
    """
    per_page = _per_page(parameters.get("perPage", ""))
    column = _ORDERS.get(parameters.get("orderBy", "eventTime"))
    if column is None:
        raise QueryRefused("orderBy", _("orderBy is eventTime or recordTime."))
    direction = parameters.get("orderDirection", "DESC")
    if direction not in ("ASC", "DESC"):
        raise QueryRefused("orderDirection", _("orderDirection is ASC or DESC."))
    found = EpcisEvent.objects.all()
    for name, text in parameters.items():
        if name not in _OF_THE_PAGE:
            found = found.filter(_filter(name, text))
    asked = _fingerprint(parameters)
    if token := parameters.get("nextPageToken"):
        found = found.filter(_behind(token, asked, column, descending=direction == "DESC"))
    minus = "-" if direction == "DESC" else ""
    rows = list(
        found.annotate(size=Length("document"))
        .order_by(f"{minus}{column}", f"{minus}id")
        .values_list("id", column, "size")[: per_page + 1]
    )
    taken = _within_budget(rows[:per_page])
    documents = dict(EpcisEvent.objects.filter(pk__in=taken).values_list("id", "document"))
    token = ""
    if taken and len(taken) < len(rows):
        last = rows[len(taken) - 1]
        token = signing.dumps([asked, last[1].isoformat(), last[0]], salt=_SALT, compress=False)
    return Page([documents[key] for key in taken], token)


def find_event(event_id: str) -> EpcisEvent | None:
    """Return the event of that identifier: where several are, the ledger's own, then the one that declares an error."""
    return EpcisEvent.objects.filter(event_id=event_id).order_by("-origin", "-is_error", "-id").first()


def event_types() -> list[str]:
    """The standard's types, and those of others' own that events here have."""
    others = EpcisEvent.objects.exclude(type__in=EVENT_TYPES).order_by("type").values_list("type", flat=True).distinct()
    return [*EVENT_TYPES, *others[:MAX_VALUES]]


def _within_budget(rows: Sequence[tuple[int, datetime, int]]) -> list[int]:
    taken: list[int] = []
    total = 0
    for key, _moment, size in rows:
        total += size
        if taken and total > PAGE_BYTES:
            break
        taken.append(key)
    return taken


# Pages ---------------------------------------------------------------------------------------------------------------

_OF_THE_PAGE = ("perPage", "nextPageToken", "orderBy", "orderDirection")


def _per_page(text: str) -> int:
    if not text:
        return PER_PAGE
    if not (text.isascii() and text.isdigit() and len(text) < 7 and int(text)):
        raise QueryRefused("perPage", _("perPage is a whole number above zero."))
    return min(int(text), MAX_PER_PAGE)


def _fingerprint(parameters: Mapping[str, str]) -> str:
    """What a token belongs to: another query's place would answer neither query."""
    asked = sorted((name, value) for name, value in parameters.items() if name not in ("perPage", "nextPageToken"))
    return hashlib.sha256(json.dumps(asked).encode()).hexdigest()[:16]


def _behind(token: str, asked: str, column: str, *, descending: bool) -> Q:
    try:
        of, moment, key = signing.loads(token, salt=_SALT)
        at = datetime.fromisoformat(moment)
    except (signing.BadSignature, ValueError, TypeError) as error:
        raise QueryRefused("nextPageToken", _("This nextPageToken was not given out here.")) from error
    if of != asked:
        raise QueryRefused("nextPageToken", _("This nextPageToken belongs to another query. Repeat its parameters."))
    beyond = "lt" if descending else "gt"
    return Q(**{f"{column}__{beyond}": at}) | Q(**{column: at, f"id__{beyond}": key})


# Filters -------------------------------------------------------------------------------------------------------------


def _filter(name: str, text: str) -> Q:
    if name in _FILTERS:
        return _FILTERS[name](name, text)
    if name.startswith(_TRANSACTION) and len(name) > len(_TRANSACTION):
        return _transaction(name, text)
    raise QueryRefused(name, _("The parameter %(name)s is not known here.") % {"name": shown(name)})


def _values(name: str, text: str) -> list[str]:
    values = [value for value in text.split("|") if value]
    if not values:
        raise QueryRefused(name, _("%(name)s has no value.") % {"name": shown(name)})
    if len(values) > MAX_VALUES:
        raise QueryRefused(name, _("%(name)s has more than %(n)s values.") % {"name": shown(name), "n": MAX_VALUES})
    # PostgreSQL takes no NUL.
    if not all(value.isascii() and value.isprintable() for value in values):
        raise QueryRefused(name, _("%(name)s has a value that no event can have.") % {"name": shown(name)})
    return values


def _words(column: str) -> Callable[[str, str], Q]:
    return lambda name, text: Q(**{f"{column}__in": [bare_word(value) for value in _values(name, text)]})


def _moment(column: str, beyond: str) -> Callable[[str, str], Q]:
    def build(name: str, text: str) -> Q:
        try:
            # A + that was not encoded arrives as a space.
            return Q(**{f"{column}__{beyond}": read_time(re.sub(r" (?=[0-9]{2}:[0-9]{2}\Z)", "+", text))})
        except ValueError as error:
            problem = _("%(name)s is no moment with date, time to the second, and offset from UTC.")
            raise QueryRefused(name, problem % {"name": name}) from error

    return build


def _within(column: str) -> Callable[[str, str], Q]:
    def build(name: str, text: str) -> Q:
        """The place itself, and the read points of a site: those whose SGLN continues the site's own."""
        values = _values(name, text)
        wanted = Q(**{f"{column}__in": values})
        for value in values:
            if site := _SGLN.fullmatch(value):
                wanted |= Q(**{f"{column}__startswith": site.group(1)})
        return wanted

    return build


def _identifiers(name: str, text: str) -> Q:
    """TDS 2.0 section 10: a pattern matches by its beginning, for stars stand at its end alone."""
    exact: set[str] = set()
    wanted = Q()
    for value in _values(name, text):
        pattern = _PATTERN.fullmatch(value)
        if pattern:
            wanted |= Q(value__startswith=f"urn:epc:id:{pattern.group(1)}{pattern.group(2)}")
        elif value.startswith("urn:epc:idpat:") and "*" in value:
            raise QueryRefused(name, _("In the pattern %(value)s stars stand before digits.") % {"value": shown(value)})
        elif is_uri(value):
            exact |= spellings(value.replace("urn:epc:idpat:", "urn:epc:id:"))
        else:
            raise QueryRefused(name, _("“%(value)s” is no URI.") % {"value": shown(value)})
    if exact:
        wanted |= Q(value__in=sorted(exact))
    return Q(Exists(EpcisEpc.objects.filter(wanted, event=OuterRef("pk"), role__in=_MATCHES[name])))


def _transaction(name: str, text: str) -> Q:
    kind = bare_word(name.removeprefix(_TRANSACTION))
    values = _values(name, text)
    if not (kind.isascii() and kind.isprintable()):
        raise QueryRefused(name, _("%(name)s names no type of transaction.") % {"name": shown(name)})
    return Q(Exists(EpcisTransaction.objects.filter(event=OuterRef("pk"), type=kind, value__in=values)))


def _error_declaration(name: str, text: str) -> Q:
    if text not in ("true", "false"):
        raise QueryRefused(name, _("%(name)s is true or false.") % {"name": name})
    return Q(is_error=text == "true")


_FILTERS: dict[str, Callable[[str, str], Q]] = {
    "eventType": _words("type"),
    "EQ_eventID": _words("event_id"),
    "EQ_action": _words("action"),
    "EQ_bizStep": _words("biz_step"),
    "EQ_disposition": _words("disposition"),
    "EQ_readPoint": _words("read_point"),
    "WD_readPoint": _within("read_point"),
    "EQ_bizLocation": _words("biz_location"),
    "WD_bizLocation": _within("biz_location"),
    "GE_eventTime": _moment("event_time", "gte"),
    "LT_eventTime": _moment("event_time", "lt"),
    "GE_recordTime": _moment("record_time", "gte"),
    "LT_recordTime": _moment("record_time", "lt"),
    "EXISTS_errorDeclaration": _error_declaration,
    **dict.fromkeys(_MATCHES, _identifiers),
}
