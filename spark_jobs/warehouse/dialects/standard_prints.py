"""Fingerprints in standard SQL: null counts of all kinds, ranges and sums of numbers; it has no hash of texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from warehouse.dialects.dialect import Captured
from warehouse.dialects.fingerprint_sql import Aggregates, FingerprintSql
from warehouse.fingerprints import TextHash, sums_text
from warehouse.table_spec import ColumnSpec


@dataclass(frozen=True)
class StandardFingerprints(FingerprintSql):
    """For any engine. What it cannot say as Spark does is left out, and the report says that it was not compared.

    ``digits``: of the engine's largest decimal, in which sums are made.
    """

    digits: int = 38
    text_hash: TextHash = "crc32"
    fence: str = ""

    def value(self, column: ColumnSpec, captured: Captured) -> str:
        return captured.sql

    def aggregates(self, captured: Captured, value: str) -> Aggregates:
        whole = captured.kind.name in ("integer", "long") or captured.encoding != "plain"
        if not whole and (captured.kind.name != "decimal" or sums_text(captured.kind)):
            return Aggregates(None, None, None)
        total = f"sum(cast({value} AS decimal({self.digits}, {_scale(captured)})))"
        fits = (captured.kind.precision or 0) <= self.digits
        return Aggregates(f"min({value})", f"max({value})", total if fits else None)

    def row_hash(self, columns: Sequence[tuple[Captured, str]]) -> str | None:
        return None

    def row_hash_words(self, row_hash: str) -> tuple[str, str]:
        raise AssertionError("there is no row hash")


def _scale(captured: Captured) -> int:
    return captured.kind.scale or 0
