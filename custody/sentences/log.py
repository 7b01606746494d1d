"""What the log says of itself."""

from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from custody.directory import Directory
from custody.sentences.sentence import Sentence


def _genesis(body: dict[str, Any], subject: str, directory: Directory) -> str:
    return _("The log begins. Its key is %(vkey)s.") % {"vkey": body["vkey"]}


def _key_rotated(body: dict[str, Any], subject: str, directory: Directory) -> str:
    return _("The log was handed over to the signing key %(new)s; the key %(old)s signs nothing after this.") % {
        "new": body["new"].split("+")[1],
        "old": body["old"].split("+")[1],
    }


def _index_epoch(body: dict[str, Any], subject: str, directory: Directory) -> str:
    return ngettext(
        "How many entries there are so far about %(n)s shipment, person or other was put on record.",
        "How many entries there are so far about each of %(n)s shipments, persons and others was put on record.",
        int(body["subjects"]),
    ) % {"n": body["subjects"]}


SENTENCES = {
    "genesis": Sentence(gettext_lazy("Beginning of the log"), _genesis, "link", "plain"),
    "key_rotated": Sentence(gettext_lazy("New signing key"), _key_rotated, "key", "plain"),
    "index_epoch": Sentence(gettext_lazy("Count of all entries"), _index_epoch, "list-details", "plain"),
}
