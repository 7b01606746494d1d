"""The query that is written once finds what the ORM finds, field by field, on whichever database this is."""

import pytest

from shipments.joined_lookup import JoinedLookup
from shipments.models import ReaderCredential
from shipments.reader_credentials import issue_credential

LOOKUP = JoinedLookup(ReaderCredential, "reader", by=("username", "kind"))


def values(row):
    return {field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields}


def test_it_finds_what_the_orm_finds(reader, django_assert_num_queries):
    username, _password = issue_credential(reader=reader)
    expected = ReaderCredential.objects.select_related("reader").get(username=username)
    with django_assert_num_queries(1):
        found = LOOKUP.find(username, "basic")
        assert (values(found), values(found.reader)) == (values(expected), values(expected.reader))
    assert (found, found.reader) == (expected, expected.reader)


@pytest.mark.parametrize(("username", "kind"), [("nobody", "basic"), (None, "bearer")])
def test_it_finds_nothing_where_there_is_nothing(reader, username, kind):
    name, _password = issue_credential(reader=reader)
    assert LOOKUP.find(username or name, kind) is None
