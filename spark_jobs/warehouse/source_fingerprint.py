"""The source's side of a fingerprint, computed by the holder in the very state from which the rows are read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from warehouse.capture_failures import RefusedValues
from warehouse.dialects.fingerprint_sql import FingerprintSql, FingerprintStatement, fingerprint_statements
from warehouse.fingerprints import ColumnFingerprint, TableFingerprint, ValidateMode, column_fingerprint

if TYPE_CHECKING:
    from warehouse.consistent_read import SourceState
    from warehouse.source_read import SourceRead

MEASURES_OF_A_COLUMN = 4


def source_fingerprint(state: SourceState, read: SourceRead, mode: ValidateMode) -> TableFingerprint:
    """What the source has of the table in its held state; without columns where ``mode`` is ``count``.

    :raises RefusedValues: the table has values that would not arrive exact, in any mode.
    :raises JobError: the source refused, or is gone.
    """
    table, dialect = read.table.name, state.dialect
    abilities = dialect.fingerprint_abilities_sql()
    engine = dialect.fingerprints((state.value(abilities, table) or "") if abilities else "")
    columns = list(zip(read.columns, read.captured, strict=True))
    found: list[ColumnFingerprint] = []
    rows, row_hash = 0, None
    for statement in fingerprint_statements(engine, columns, read.relation, read.where_sql, mode):
        answer = list(state.query(statement.sql, table)[0])
        rows = int(answer.pop(0) or 0)
        found += _measured(engine, statement, answer)
        _refuse(table, statement, answer)
        if statement.hashes_rows:
            row_hash = row_hash_text(*answer)
    return TableFingerprint(rows, tuple(found), engine.text_hash, row_hash)


def row_hash_text(*words: object) -> str:
    """The hash of all rows from the sums of its words; without rows they are null."""
    return "-".join(str(int(str(word or 0))) for word in words)


def _measured(
    engine: FingerprintSql, statement: FingerprintStatement, answer: list[str | None]
) -> list[ColumnFingerprint]:
    found = []
    for one in statement.measured:
        nulls, minimum, maximum, total = (answer.pop(0) for _ in range(MEASURES_OF_A_COLUMN))
        found.append(
            column_fingerprint(
                one.column.name,
                str(one.captured.kind),
                nulls=int(nulls or 0),
                minimum=minimum,
                maximum=maximum,
                total=total,
                measures=engine.aggregates(one.captured, one.value).measures,
            )
        )
    return found


def _refuse(table: str, statement: FingerprintStatement, answer: list[str | None]) -> None:
    for one in statement.refusing:
        if refused := int(answer.pop(0) or 0):
            raise RefusedValues(table, one.column.name, one.column.type, refused, one.captured.refused_as)
