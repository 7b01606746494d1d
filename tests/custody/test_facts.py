"""The facts of entries, as far as the modules that tell them could contradict each other or the ledger."""

import pkgutil
from importlib import import_module

from custody import facts
from custody.facts.attachments import NAMED
from ledger.tlog.attachment_names import ATTACHMENT_FIELDS


def test_every_subject_is_told_and_no_part_of_a_body_twice() -> None:
    modules = [import_module(f"custody.facts.{found.name}") for found in pkgutil.iter_modules(facts.__path__)]
    told = [part for module in modules for part in getattr(module, "PARTS", ())]
    assert sorted(told) == sorted(facts.PARTS)


def test_each_kind_that_names_documents_lists_them() -> None:
    assert NAMED.keys() == ATTACHMENT_FIELDS.keys()
