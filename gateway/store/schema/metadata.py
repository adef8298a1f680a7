"""What all tables share: how constraints are named, and how text is compared."""

from __future__ import annotations

from sqlalchemy import MetaData, Text
from sqlalchemy.ext.compiler import compiles


@compiles(Text, "postgresql")
def _compared_by_bytes(*_: object, **__: object) -> str:
    """Text is compared by its bytes, as SQLite does, whatever the language of the database."""
    return 'TEXT COLLATE "C"'


# Every constraint has a name, so that a later migration can drop it.
METADATA = MetaData(
    naming_convention={
        "pk": "%(table_name)s_pk",
        "fk": "%(table_name)s_%(column_0_name)s_fk",
        "uq": "%(table_name)s_%(column_0_name)s_uq",
        "ck": "%(constraint_name)s",
    }
)
