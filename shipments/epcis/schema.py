"""
What GS1's JSON Schema says of EPCIS 2.0 documents and events, with formats checked.

The vendored schema is the rule. Beside it stand a few checks that a schema cannot express: lines that Python's regular
expressions let through, times that are no moment, contexts that would give a standard term another meaning. Nothing is
ever fetched: a context's address is a name, and a reference that leads out of the vendored file raises.
"""

import json
import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, lru_cache
from itertools import islice
from pathlib import Path
from typing import Any, NoReturn

from django.utils.translation import gettext as _
from jsonschema import Draft7Validator, validators
from jsonschema.exceptions import ValidationError, best_match
from referencing import Registry

SCHEMA_FILE = Path(__file__).resolve().parent / "gs1" / "EPCISDocument.schema.json"

EVENT_TYPES = ("ObjectEvent", "AggregationEvent", "TransactionEvent", "TransformationEvent", "AssociationEvent")

MAX_URI = 1_000
MAX_ERRORS = 20
MAX_CONTEXTS = 20
MAX_TERMS = 100
_SHOWN = 80

_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]+)?(?:[Zz]|[+-][0-9]{2}:[0-9]{2})"
)

# As many answers as a busy partner's vocabulary has; another word is simply asked again.
_REMEMBERED = 20_000


class SchemaWouldFetch(Exception):
    """The schema refers to something outside the vendored file, and nothing is ever fetched."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong: where (an RFC 6901 pointer) and what."""

    pointer: str
    sentence: str


def check_document(document: Any) -> list[Fault]:
    """
    Check an EPCISDocument or EPCISQueryDocument whole, its events included.

    :returns: the first :data:`MAX_ERRORS` faults; none where it is as the standard says
    """
    return _faults(_whole(), document, _contexts(document))


def check_frame(document: Any) -> list[Fault]:
    """Check an EPCISDocument around its events, which :func:`check_event` takes one by one."""
    if isinstance(document, dict) and document.get("type") == "EPCISDocument":
        body = document.get("epcisBody")
        if isinstance(body, dict) and isinstance(body.get("eventList"), list):
            document = document | {"epcisBody": body | {"eventList": []}}
    return check_document(document)


def check_event(event: Any, *, bare: bool = False) -> list[Fault]:
    """
    Check one event as it stands in a document's list; a bare one stands alone and brings its own ``@context``.

    :returns: the first :data:`MAX_ERRORS` faults
    """
    if not isinstance(event, dict):
        return [Fault("", _("An event is an object with a type."))]
    if not isinstance(event.get("type"), str):
        return [Fault("/type", _("The event has no type."))]
    if bare and "@context" not in event:
        return [Fault("", _("An event that stands alone needs an @context."))]
    return _faults(_of_type(event["type"]), event, _contexts(event))


def read_time(text: str) -> datetime:
    """
    Return the moment of an ``xsd:dateTimeStamp``, in UTC; what is finer than a microsecond is cut off.

    :raises ValueError: where it is none, or leaves the years 1 to 9999
    """
    if not _TIME.fullmatch(text):
        raise ValueError(text[:_SHOWN])
    try:
        return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except OverflowError as error:
        raise ValueError(text[:_SHOWN]) from error


@lru_cache(maxsize=_REMEMBERED)
def is_uri(text: str) -> bool:
    """Tell whether ``text`` is an absolute URI of RFC 3986 that can be kept and looked up."""
    # The library's expression ends in $, which lets a line end through.
    return len(text) <= MAX_URI and text.isascii() and text.isprintable() and _conforms("uri", text)


# Validators --------------------------------------------------------------------------------------------------------


@cache
def _schema() -> dict[str, Any]:
    """The vendored schema with every local reference replaced by what it refers to: no look-up while validating."""
    schema = json.loads(SCHEMA_FILE.read_bytes())
    return {**_inline(schema, schema["definitions"]), "definitions": _inlined_definitions(schema["definitions"])}


@cache
def _whole() -> Any:
    return _validator({name: part for name, part in _schema().items() if name != "definitions"})


@lru_cache(maxsize=len(EVENT_TYPES) + 1)
def _of_known_type(name: str) -> Any:
    return _validator(_schema()["definitions"][name])


def _of_type(name: str) -> Any:
    return _of_known_type(name if name in EVENT_TYPES else "Extended-Event")


def _inlined_definitions(definitions: dict[str, Any]) -> dict[str, Any]:
    names = (*EVENT_TYPES, "Extended-Event")
    return {name: _inline({"$ref": f"#/definitions/{name}"}, definitions) for name in names}


def _inline(part: Any, definitions: dict[str, Any], made: dict[str, Any] | None = None) -> Any:
    made = {} if made is None else made
    if isinstance(part, list):
        return [_inline(one, definitions, made) for one in part]
    if not isinstance(part, dict):
        return part
    reference = part.get("$ref")
    if not isinstance(reference, str):
        return {key: _inline(value, definitions, made) for key, value in part.items() if key != "definitions"}
    name = reference.removeprefix("#/definitions/")
    if name not in definitions:
        raise SchemaWouldFetch(reference)
    if name not in made:
        made[name] = _inline(definitions[name], definitions, made)
    return made[name]


def _fetch(uri: str) -> NoReturn:
    raise SchemaWouldFetch(uri)


@cache
def _kind_of_validator() -> Any:
    remembered: set[tuple[int, str]] = set()

    def ask_once(schema: Any, text: str, errors: Iterator[ValidationError]) -> Iterator[ValidationError]:
        """Pass errors on, and remember where there were none: the answer depends on the schema's part and the word."""
        faultless = True
        for error in errors:
            faultless = False
            yield error
        if faultless and len(text) <= MAX_URI:
            if len(remembered) >= _REMEMBERED:
                remembered.clear()
            remembered.add((id(schema), text))

    def any_of(validator: Any, subschemas: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
        if isinstance(instance, str) and (id(subschemas), instance) in remembered:
            return
        errors = Draft7Validator.VALIDATORS["anyOf"](validator, subschemas, instance, schema)
        yield from ask_once(subschemas, instance, errors) if isinstance(instance, str) else errors

    def property_names(validator: Any, names: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
        for name in instance if isinstance(instance, dict) else ():
            if (id(names), name) not in remembered:
                yield from ask_once(names, name, validator.descend(instance=name, schema=names))

    def unique(validator: Any, wanted: bool, instance: Any, schema: Any) -> Iterator[ValidationError]:
        # The library compares each with each where they do not sort: a hundred thousand odd values would take an hour.
        if wanted and isinstance(instance, list):
            keys = [one if isinstance(one, str) else json.dumps(one, sort_keys=True, default=str) for one in instance]
            if len(set(keys)) < len(keys):
                yield ValidationError("has an element twice")

    def pattern(validator: Any, expression: str, instance: Any, schema: Any) -> Iterator[ValidationError]:
        if isinstance(instance, str) and not _expression(expression).search(instance):
            yield ValidationError("has another form")

    ours = {"anyOf": any_of, "pattern": pattern, "propertyNames": property_names, "uniqueItems": unique}
    return validators.extend(Draft7Validator, ours)


@cache
def _expression(pattern: str) -> re.Pattern[str]:
    """Compile a pattern as JSON Schema means it (ECMA-262): its $ is the very end, its digits are ASCII."""
    return re.compile(re.sub(r"\$\Z", r"\\Z", pattern), re.ASCII)


def _validator(schema: dict[str, Any]) -> Any:
    formats = type(Draft7Validator.FORMAT_CHECKER)(formats=())
    formats.checks("uri")(lambda value: not isinstance(value, str) or is_uri(value))
    formats.checks("date-time")(lambda value: not isinstance(value, str) or _is_time(value))
    return _kind_of_validator()(schema, format_checker=formats, registry=Registry(retrieve=_fetch))  # type: ignore[call-arg]


def _conforms(name: str, text: str) -> bool:
    check, _raises = Draft7Validator.FORMAT_CHECKER.checkers[name]
    return bool(check(text))


@lru_cache(maxsize=_REMEMBERED)
def _is_time(text: str) -> bool:
    if not _conforms("date-time", text):
        return False
    try:
        read_time(text)
    except ValueError:
        return False
    return True


# Contexts ----------------------------------------------------------------------------------------------------------


def _contexts(value: Any) -> list[Fault]:
    """Check the contexts of a document and of the events in it, as names that are never looked up."""
    if not isinstance(value, dict):
        return []
    faults = _context_faults(value.get("@context"), "/@context")
    body = value.get("epcisBody")
    events = body.get("eventList") if isinstance(body, dict) else None
    for place, event in enumerate(events if isinstance(events, list) else ()):
        if isinstance(event, dict) and "@context" in event:
            faults += _context_faults(event["@context"], f"/epcisBody/eventList/{place}/@context")
        if len(faults) >= MAX_ERRORS:
            break
    return faults


def _context_faults(context: Any, pointer: str) -> list[Fault]:
    parts = context if isinstance(context, list) else [context]
    if len(parts) > MAX_CONTEXTS:
        return [Fault(pointer, _("More than %(limit)s contexts.") % {"limit": MAX_CONTEXTS})]
    faults = []
    for part in parts:
        if not isinstance(part, dict):
            continue
        if len(part) > MAX_TERMS:
            faults.append(Fault(pointer, _("A context defines more than %(limit)s terms.") % {"limit": MAX_TERMS}))
        if redefined := sorted(_standard_terms() & part.keys()):
            sentence = _("The context gives “%(term)s” another meaning; that is a term of the standard.")
            faults.append(Fault(pointer, sentence % {"term": redefined[0]}))
    return faults


@cache
def _standard_terms() -> frozenset[str]:
    terms: set[str] = set()

    def collect(part: Any) -> None:
        if isinstance(part, dict):
            if isinstance(properties := part.get("properties"), dict):
                terms.update(properties)
            for value in part.values():
                collect(value)
        elif isinstance(part, list):
            for value in part:
                collect(value)

    collect(json.loads(SCHEMA_FILE.read_bytes()))
    return frozenset(terms - {"@context"})


# Sentences ---------------------------------------------------------------------------------------------------------


def _faults(validator: Any, value: Any, first: Collection[Fault]) -> list[Fault]:
    found = [*first][:MAX_ERRORS]
    for error in islice(validator.iter_errors(value), MAX_ERRORS - len(found)):
        fault = _tell(error)
        # An alternative that fails for what was told already says it again in other words.
        if not (error.context and fault.pointer and any(fault.pointer == one.pointer for one in found)):
            found.append(fault)
    return found


def _tell(error: ValidationError) -> Fault:
    pointer = "".join(f"/{shown(str(step)).replace('~', '~0').replace('/', '~1')}" for step in error.absolute_path)
    if "propertyNames" in error.absolute_schema_path:
        sentence = _("“%(name)s” is no term of the standard here, and no URI or prefixed term of your own.")
        return Fault(pointer, sentence % {"name": shown(error.instance)})
    if error.context and not isinstance(error.instance, str):
        wanted = {name for one in error.context if one.validator == "required" for name in one.validator_value}
        if wanted and isinstance(error.instance, dict) and not wanted & error.instance.keys():
            names = ", ".join(sorted(wanted))
            return Fault(pointer, _("One of these is missing, or has nothing in it: %(names)s.") % {"names": names})
        return _tell(best_match(iter(error.context)) or error.context[0])
    return Fault(pointer, _SENTENCES.get(str(error.validator), _other)(error))


def shown(value: Any) -> str:
    """Return the beginning of a value as it can be printed and stored anywhere."""
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in text[:_SHOWN])


def _required(error: ValidationError) -> str:
    missing = next((name for name in error.validator_value if error.message.startswith(repr(name))), "")
    return _("“%(name)s” is missing.") % {"name": missing}


def _any_of(error: ValidationError) -> str:
    return _("“%(value)s” is no word of the standard here, and no URI of your own.") % {"value": shown(error.instance)}


def _enum(error: ValidationError) -> str:
    words = ", ".join(str(word) for word in error.validator_value)
    return _("“%(value)s” is none of %(words)s.") % {"value": shown(error.instance), "words": words}


def _type(error: ValidationError) -> str:
    return _("“%(value)s” is not of type %(type)s.") % {"value": shown(error.instance), "type": error.validator_value}


def _format(error: ValidationError) -> str:
    if error.validator_value == "date-time":
        sentence = _("“%(value)s” is no moment with date, time to the second, and offset from UTC.")
    else:
        sentence = _("“%(value)s” is no absolute URI of at most 1,000 characters.")
    return sentence % {"value": shown(error.instance)}


def _pattern(error: ValidationError) -> str:
    name = error.path[-1] if error.path else ""
    if name == "eventTimeZoneOffset":
        return _("“%(value)s” is no offset from UTC such as -06:00.") % {"value": shown(error.instance)}
    if name == "schemaVersion":
        return _("“%(value)s” is no version such as 2.0.") % {"value": shown(error.instance)}
    return _("“%(value)s” does not have the form %(pattern)s.") % {
        "value": shown(error.instance),
        "pattern": error.validator_value,
    }


def _not(error: ValidationError) -> str:
    return _("“%(name)s” does not go with this action.") % {"name": str(error.path[-1]) if error.path else ""}


def _other(error: ValidationError) -> str:
    return shown(error.message)


_SENTENCES: dict[str, Callable[[ValidationError], str]] = {
    "required": _required,
    "anyOf": _any_of,
    "enum": _enum,
    "type": _type,
    "format": _format,
    "pattern": _pattern,
    "not": _not,
    "minItems": lambda error: _("The list is empty."),
    "uniqueItems": lambda error: _("The list holds something twice."),
}
