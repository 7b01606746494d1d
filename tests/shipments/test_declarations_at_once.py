"""Several connections at once: one form sent twice, and two people who amend the same version."""

import threading
import uuid
from collections.abc import Callable

import pytest
from django.db import connection

from accounts.models import User
from ledger.models import Statement
from shipments.actors import Actor
from shipments.declarations import DeclarationChanged, amend_declaration
from shipments.models import Consignment, DeclarationVersion
from tests.shipments.declaring import PARTIES, PERSON, item, submit, told

pytestmark = pytest.mark.django_db(transaction=True)


def at_once(*acts: Callable[[], DeclarationVersion]) -> list[DeclarationVersion | Exception]:
    """Do each in a thread of its own, all begun together; what each returned or raised."""
    ready = threading.Barrier(len(acts))
    answers: list[DeclarationVersion | Exception] = []

    def do(act: Callable[[], DeclarationVersion]) -> None:
        try:
            ready.wait(timeout=30)
            answers.append(act())
        except Exception as error:
            answers.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=do, args=(act,)) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    return answers


def test_a_form_sent_twice_at_once_is_one_version(shipment: Consignment) -> None:
    rita = User.objects.create_user("rita", role="representative")
    attempt = uuid.uuid4()
    answers = at_once(*[lambda: submit(shipment, rita, attempt=attempt)] * 4)
    version = DeclarationVersion.objects.get()
    assert answers == [version] * 4
    assert Statement.objects.filter(kind="declaration").count() == 1


def test_of_two_who_amend_one_version_the_second_is_told(shipment: Consignment) -> None:
    rita = User.objects.create_user("rita", role="representative")
    first = submit(shipment, rita)

    def amend(hs: str) -> DeclarationVersion:
        return amend_declaration(
            declaration=first.declaration,
            told=told(items=[item(hs=hs)]),
            parties=PARTIES,
            by=Actor(account=rita, person=PERSON),
            attempt=uuid.uuid4(),
            amends=1,
        )

    answers = at_once(lambda: amend("853690"), lambda: amend("901890"))
    assert {type(answer) for answer in answers} == {DeclarationVersion, DeclarationChanged}
    assert list(first.declaration.versions.values_list("number", flat=True)) == [1, 2]
