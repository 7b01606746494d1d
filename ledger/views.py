"""
The published log over HTTP: checkpoint, tiles and entry bundles as in c2sp.org/tlog-tiles, and proofs for those who
cannot compute their own.

Checkpoints, tiles and proofs are for everybody. Entries tell who handed over what, so their bundles are for accounts
that may read them, unless the operator opens them. Readers believe none of it: they verify it against a pinned key.
"""

import gzip
import hashlib
import logging
import re
from collections.abc import Callable
from functools import wraps
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.cache import get_conditional_response, has_vary_header, patch_vary_headers

from accounts import tokens
from accounts.models import User
from accounts.roles import Capability
from ledger import tiles
from ledger.models import Checkpoint
from ledger.publication import newest_published, published_note
from ledger.tlog import base64_strict
from ledger.tlog.errors import TileMalformed, TlogError, excerpt
from ledger.tlog.proof import TlogProof
from ledger.tlog.tiles import WIDTH, Tile, parse_path
from refusals import Refusal

logger = logging.getLogger(__name__)

_TEXT = "text/plain; charset=utf-8"
_BYTES = "application/octet-stream"

_FOREVER = "max-age=31536000, immutable"
_BRIEFLY = "public, max-age=5"

# ASCII digits, and no more of them than a log of 2^63 entries needs: int() is slow on long ones.
_NUMBER = re.compile(r"0|[1-9][0-9]{0,18}")


class _Declined(Exception):
    """Nothing is served: ``status`` and one line that says why."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


def _log_resource(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Answer GET and HEAD, to pages of any origin; refusals as one line of text that nobody keeps."""

    @wraps(view)
    def served(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            if request.method not in ("GET", "HEAD"):
                raise _Declined(405, f"{request.method} is not for this address; GET is.")
            response = view(request, *args, **kwargs)
        except _Declined as declined:
            response = _decline(declined.status, str(declined))
        except (Refusal, TlogError, LookupError) as error:
            # A published checkpoint promises it, and it is not there: rows, the key or the policy file were changed.
            logger.error("%s cannot be served: %s", request.path, error)
            response = _decline(500, "The log's store does not have this as it should: see the server's log.")
        if not has_vary_header(response, "Authorization"):
            response["Access-Control-Allow-Origin"] = "*"
        return response

    return served


@_log_resource
def checkpoint(request: HttpRequest) -> HttpResponse:
    """Serve the newest published checkpoint with its cosignatures."""
    return _briefly(request, published_note(_newest()))


@_log_resource
def tile(request: HttpRequest, tile_path: str) -> HttpResponse:
    """Serve a tile or an entry bundle that a published checkpoint's size asks for."""
    try:
        wanted = parse_path(tile_path)
    except TileMalformed as error:
        raise _Declined(404, f"No such tile: {error}.") from error
    guarded = wanted.level is None and not settings.LEDGER_OPEN_ENTRIES
    if guarded and (refused := _refuse_reader(request)):
        return refused
    if not _is_published(wanted):
        raise _Declined(404, f"No published checkpoint covers {wanted.path()}.")
    content = tiles.fetch(wanted)
    response = HttpResponse(content, content_type=_BYTES)
    response["Cache-Control"] = f"{'private' if guarded else 'public'}, {_FOREVER}"
    if wanted.level is None:
        _compress(request, response)
    return _for_readers_alone(response) if guarded else response


@_log_resource
def proof(request: HttpRequest, index: str) -> HttpResponse:
    """
    Serve the proof that entry ``index`` is in the log (c2sp.org/tlog-proof), against the newest published checkpoint or
    against the published one of ``?size=``.
    """
    newest = _newest()
    entry = _number(index)
    if entry is None:
        raise _Declined(404, f"An entry's index is a decimal number; found {excerpt(index)}.")
    against = newest
    if (size := _asked(request, "size")) is not None:
        found = Checkpoint.objects.filter(size=size).first() if size <= newest.size else None
        if found is None:
            raise _Declined(404, f"No checkpoint over {size} entries was published.")
        against = found
    if entry >= against.size:
        raise _Declined(404, f"Entry {entry} is not among the {against.size} that the checkpoint covers.")
    path = tiles.tree(against.size).inclusion_proof(entry)
    return _briefly(request, TlogProof(entry, tuple(path), published_note(against)).encode())


@_log_resource
def consistency(request: HttpRequest) -> HttpResponse:
    """
    Serve the proof that the first ``?from=`` entries are the beginning of the first ``?to=`` (RFC 6962 section 2.1.2).

    One base64 hash per line, from the leaves up; no line where both are the same, or where ``from`` is 0. Without
    ``to``: up to the newest published checkpoint.
    """
    newest = _newest()
    old, new = _asked(request, "from"), _asked(request, "to")
    if old is None:
        raise _Declined(400, "Say from which size on: ?from=<size>&to=<size>.")
    immutable = new is not None
    new = newest.size if new is None else new
    if new > newest.size:
        raise _Declined(404, f"No checkpoint over {new} entries was published; the newest has {newest.size}.")
    if old > new:
        raise _Declined(400, f"The sizes go upwards; found from {old} to {new}.")
    path = tiles.tree(new).consistency_proof(old)
    lines = "".join(f"{base64_strict.encode(step)}\n" for step in path).encode()
    if not immutable:
        return _briefly(request, lines)
    response = HttpResponse(lines, content_type=_TEXT)
    response["Cache-Control"] = f"public, {_FOREVER}"
    return response


@_log_resource
def nothing_here(request: HttpRequest) -> HttpResponse:
    raise _Declined(404, "There is checkpoint, tile/, proof/ and consistency.")


def _newest() -> Checkpoint:
    newest = newest_published()
    if newest is None:
        raise _Declined(404, "Nothing was sealed in this log yet.")
    return newest


def _is_published(wanted: Tile) -> bool:
    """Tell whether a published size has this tile; the full one is also there for who looked for a partial one."""
    newest = newest_published()
    if newest is None:
        return False
    shift = 8 * (wanted.level or 0)
    end = wanted.index * WIDTH + wanted.width
    if wanted.width == WIDTH:
        return newest.size >> shift >= end
    # A size has the partial tile where it has so many whole subtrees of this level, and not one more.
    first, stop = end << shift, (end + 1) << shift
    if first > newest.size:
        return False
    return Checkpoint.objects.filter(size__gte=first, size__lte=min(stop - 1, newest.size)).exists()


def _asked(request: HttpRequest, name: str) -> int | None:
    """Return the number of a query parameter, None where it is not given."""
    given = request.GET.getlist(name)
    if not given:
        return None
    number = _number(given[0]) if len(given) == 1 else None
    if number is None:
        raise _Declined(400, f"{name} is one decimal number; found {excerpt(', '.join(given))}.")
    return number


def _number(text: str) -> int | None:
    return int(text) if _NUMBER.fullmatch(text) else None


def _refuse_reader(request: HttpRequest) -> HttpResponse | None:
    """Return the refusal for who may not read entries: 401 where nobody is named, 403 for the wrong account."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    by_token = scheme.lower() == "bearer"
    # A token that is named is what counts: an old one is not made up for by a session that happens to be there.
    user = tokens.find_user(token.strip()) if by_token else request.user
    if not isinstance(user, User):
        refused = _decline(401, "Entries are for accounts that may read them: send a bearer token.")
        # RFC 6750 section 3.1.
        refused["WWW-Authenticate"] = 'Bearer realm="log entries"' + (', error="invalid_token"' if by_token else "")
    elif not user.may(Capability.READ_ENTRIES):
        refused = _decline(403, "This account may not read entries.")
    else:
        return None
    return _for_readers_alone(refused)


def _for_readers_alone(response: HttpResponse) -> HttpResponse:
    """Mark what depends on who asks; pages of other origins do not get to see it."""
    patch_vary_headers(response, ["Authorization", "Cookie"])
    return response


def _briefly(request: HttpRequest, content: bytes) -> HttpResponse:
    """Answer with what may be another in a few seconds, or 304 where the reader has it."""
    response = HttpResponse(content, content_type=_TEXT)
    response["Cache-Control"] = _BRIEFLY
    response["ETag"] = etag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    return get_conditional_response(request, etag=etag, response=response) or response


def _compress(request: HttpRequest, response: HttpResponse) -> None:
    patch_vary_headers(response, ["Accept-Encoding"])
    if _takes_gzip(request.headers.get("Accept-Encoding", "")):
        # mtime=0: the same bundle is the same bytes at any time.
        response.content = gzip.compress(response.content, compresslevel=6, mtime=0)
        response["Content-Encoding"] = "gzip"


def _takes_gzip(accept: str) -> bool:
    """Read Accept-Encoding as in RFC 9110 section 12.5.3: gzip by name, otherwise ``*``, and never where q is 0."""
    weights = {}
    for part in accept.lower().split(","):
        coding, _, weight = part.partition(";")
        weights[coding.strip()] = not re.fullmatch(r"\s*q\s*=\s*0(\.0{0,3})?\s*", weight)
    return weights.get("gzip", weights.get("*", False))


def _decline(status: int, why: str) -> HttpResponse:
    response = HttpResponse(f"{why}\n", content_type=_TEXT, status=status)
    response["Cache-Control"] = "no-store"
    if status == 405:
        response["Allow"] = "GET, HEAD"
    return response
