"""
One row and the row that it points to, by a query that is written once.

For what every request of every reader asks: Django builds its SQL anew each time, which took half of a small report.
"""

from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar, cast

from django.db import connection, models

M = TypeVar("M", bound=models.Model)


class JoinedLookup(Generic[M]):
    """Find a row of ``model`` by some of its columns, together with the row behind ``foreign_key``."""

    def __init__(self, model: type[M], foreign_key: str, by: Sequence[str]) -> None:
        self._model = model
        self._key = cast(Any, model._meta.get_field(foreign_key))
        self._related = cast(Any, self._key.related_model)
        self._own = cast(Sequence[Any], model._meta.concrete_fields)
        self._others = cast(Sequence[Any], self._related._meta.concrete_fields)
        self._fields = (*self._own, *self._others)
        quoted = [f'"{field.model._meta.db_table}"."{field.column}"' for field in self._fields]
        own, other = model._meta.db_table, self._related._meta.db_table
        columns = {field.name: field.column for field in self._own}
        asked = " AND ".join(f'"{own}"."{columns[name]}" = %s' for name in by)
        joined = f'"{own}"."{self._key.column}" = "{other}"."{self._related._meta.pk.column}"'
        self._sql = (
            f'SELECT {", ".join(quoted)} FROM "{own}" '  # noqa: S608 - names of our own models alone
            f'JOIN "{other}" ON {joined} WHERE {asked}'
        )
        self._converted: dict[str, list[tuple[Any, list[Callable[..., Any]]]]] = {}

    def find(self, *values: Any) -> M | None:
        """Return the row whose columns have these values, in the order of ``by``; None where there is none."""
        with connection.cursor() as cursor:
            cursor.execute(self._sql, values)
            row = cursor.fetchone()
        if row is None:
            return None
        read = list(row)
        for number, (column, converters) in enumerate(self._converters()):
            for convert in converters:
                read[number] = convert(read[number], column, connection)
        split = len(self._own)
        found = self._model.from_db(connection.alias, [field.attname for field in self._own], read[:split])
        behind = self._related.from_db(connection.alias, [field.attname for field in self._others], read[split:])
        self._key.set_cached_value(found, behind)
        return found

    def _converters(self) -> list[tuple[Any, list[Callable[..., Any]]]]:
        """Return for each column what turns its value as this database gives it into the field's."""
        if connection.vendor not in self._converted:
            # A foreign key's column is read as the key that it holds: get_col() knows of which kind that is.
            columns = [field.get_col(field.model._meta.db_table) for field in self._fields]
            self._converted[connection.vendor] = [
                (column, connection.ops.get_db_converters(column) + column.get_db_converters(connection))
                for column in columns
            ]
        return self._converted[connection.vendor]
