"""
Verify a bundle offline: the whole log, a range of it, or one subject's entries, each with what shows that it is that.

What the caller pinned is believed, and nothing in the file: ``bundle.json`` says what to look for, its policy is a
template. Any bytes get a verdict, never an exception.

 1. The file is a ZIP of a bundle's members alone, and ``bundle.json`` says of which kind.
 2. The whole log: :func:`ledger.tlog.verify.verify_source` over the entry bundles, as they stream by;
    then every hash tile is what the entries hash to.
 3. A part of the log:
    a. the keys, by the pinned ones and the ``key_rotated`` entries, all of which are in the bundle;
    b. the checkpoint: signed by a key that was in force at its size, of the pinned origin;
    c. each entry in ascending order: its form, its origin, its signature by a key in force at its index, its place, and
       its proof, which leads to that checkpoint's root; the entry after another one continues from it;
    d. of a range: every entry of it is there;
    e. of a subject: its entries count from 0 without a gap, each continues from the one before, and the newest index
       epoch has as many of them before itself as are here: *complete up to* that entry;
    f. each timestamp is over a checkpoint of this log, consistent with the bundle's.
 4. Every attachment that an entry names is there and hashes to its name, and no other is.
 5. Every disclosed value opens a commitment that stands in its entry's body, where its label says.

Memory: the directory of the file, and a few members at a time.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from ledger.tlog.bundle_contents import FORMAT, LOG, RANGE, SCOPES, SUBJECT_SCOPE, About, BundleVerdict, read_json
from ledger.tlog.bundle_file import BundleFile, BundleMalformed
from ledger.tlog.bundle_log import WholeLog
from ledger.tlog.bundle_part import Part
from ledger.tlog.entry import SUBJECT
from ledger.tlog.errors import TileMalformed, excerpt
from ledger.tlog.merkle import EMPTY_ROOT
from ledger.tlog.policy import Policy
from ledger.tlog.tiles import parse_path, width_at
from ledger.tlog.verdict import BROKEN


def verify_bundle(
    path: Path | str,
    *,
    policy: Policy,
    deep: bool = True,
    workers: int = 1,
    subject: str | None = None,
    span: tuple[int, int] | None = None,
    on_progress: Callable[[int], None] | None = None,
) -> BundleVerdict:
    """
    Verify the bundle at ``path`` against a pinned policy.

    :param deep: check signatures, bodies and attachments too, not hashes and chains alone; a part always is
    :param subject: the ``urn:uuid:`` that the bundle must be about, whatever it says of itself
    :param span: the first entry and the one behind the last that the bundle must hold, whatever it says of itself
    :raises OSError: if the file cannot be opened
    """
    with Path(path).open("rb") as file:
        about = About(scope="", size=0)
        try:
            bundle = BundleFile(file)  # step 1
            about = _read_about(bundle, subject, span)
            _check_names(bundle, about)
            run = (WholeLog if about.scope == LOG else Part)(bundle, about, policy, on_progress)
            return run.verify(deep=deep, workers=workers)
        except BundleMalformed as error:
            return BundleVerdict(
                status=BROKEN,
                entries=0,
                size=0,
                root=EMPTY_ROOT.hex(),
                check="bundle",
                expected=f"{error.what}: {error.expected}",
                found=error.found,
                **about.shown(),
            )


def _read_about(bundle: BundleFile, subject: str | None, span: tuple[int, int] | None) -> About:
    data = read_json(bundle, "bundle.json")
    scope = data.get("scope")
    wanted = {"format", "origin", "scope", "size"} | {RANGE: {"first", "stop"}, SUBJECT_SCOPE: {"subject"}}.get(
        scope if isinstance(scope, str) else "", set()
    )
    numbers = [data.get(name) for name in ("size", "first", "stop") if name in wanted]
    if (
        data.keys() != wanted
        or data["format"] != FORMAT
        or scope not in SCOPES
        or not all(type(number) is int and number >= 0 for number in numbers)
        or not isinstance(data["origin"], str)
        or not SUBJECT.fullmatch(str(data.get("subject", "urn:uuid:00000000-0000-0000-0000-000000000000")))
    ):
        raise BundleMalformed("bundle.json", expected=f"what {FORMAT} says of a bundle", found=excerpt(data, 300))
    for asked, kind in ((subject, SUBJECT_SCOPE), (span, RANGE)):
        if asked is not None and scope not in (kind, LOG):
            raise BundleMalformed("scope", expected=f"a bundle of a {kind}, as was asked for", found=scope)
    about = About(scope, data["size"], data.get("subject", ""), data.get("first"), data.get("stop"))
    if subject is not None:
        return replace(about, subject=subject)
    if scope == RANGE:
        first, stop = span or (about.first, about.stop)
        assert first is not None and stop is not None
        if not first < stop <= about.size:
            raise BundleMalformed("range", expected=f"entries below {about.size}", found=f"{first} to {stop}")
        return replace(about, first=first, stop=stop)
    return about


def _check_names(bundle: BundleFile, about: About) -> None:
    """Refuse members that a bundle of this scope and size does not have."""
    whole = about.scope == LOG
    for name in bundle.names:
        folder = name.partition("/")[0] if "/" in name else ""
        if whole and folder == "tile":
            try:
                tile = parse_path(name)
            except TileMalformed as error:
                raise BundleMalformed(name, expected=error.expected, found=error.found) from None
            width = width_at(about.size, tile.level or 0, tile.index)
            if tile.width != width:
                raise BundleMalformed(
                    name, expected=f"a tile of a log of {about.size} entries", found=f"one of {tile.width}, not {width}"
                )
        elif folder == ("entry" if whole else "tile") or (name == "epoch.json" and about.scope != SUBJECT_SCOPE):
            raise BundleMalformed("file", expected=f"only files of a bundle of scope {about.scope}", found=name)
        elif folder == "entry":
            stem = name.rpartition(".")[0]
            for other in (f"{stem}.note", f"{stem}.tlog-proof"):
                _require(bundle, other)
        elif folder == "timestamps":
            stem, _, ending = name.rpartition(".")
            if whole and ending == "consistency":
                raise BundleMalformed("file", expected=f"only files of a bundle of scope {LOG}", found=name)
            for ending in ("note", "tsr") if whole else ("note", "tsr", "consistency"):
                _require(bundle, f"{stem}.{ending}")


def _require(bundle: BundleFile, name: str) -> None:
    if name not in bundle:
        raise BundleMalformed(name, expected="a file in the bundle", found="none of that name")
