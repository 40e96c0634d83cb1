"""`any_of`: a column against one array parameter. `in` makes a parameter of every value, and a thousand cost more than
the rows that they find.
"""

from __future__ import annotations

from typing import Any

from django.db.models import Field, Lookup


class AnyOf(Lookup):  # type: ignore[type-arg]
    """`filter(seq__any_of=[1, 2])`; values of the column's own type, which nothing converts."""

    lookup_name = "any_of"
    prepare_rhs = False

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, Any]:
        """Return `column = ANY(array)`."""
        column, parameters = self.process_lhs(compiler, connection)
        base = self.lhs.output_field.db_type(connection).split("(")[0]
        kind = "text" if base == "varchar" else base
        return f"{column} = ANY(%s::{kind}[])", (*parameters, list(self.rhs))


def register() -> None:
    """Make the lookup known to every field."""
    Field.register_lookup(AnyOf)
