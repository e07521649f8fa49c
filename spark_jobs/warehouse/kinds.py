"""The kinds of values that the store holds: what a source's column becomes, whatever the source calls its type.

Pure: the dialects (which know a source's types), the Spark side (which makes the stored column) and the fingerprints
(which both sides compute) agree on these and on nothing else.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, get_args

KindName = Literal[
    "boolean", "integer", "long", "decimal", "float", "double", "text", "binary", "date", "timestamp", "timestamp_ntz"
]
"""``integer`` has 32 bits, ``long`` 64; ``timestamp`` is an instant, ``timestamp_ntz`` a wall time, in microseconds."""

MAX_DECIMAL_DIGITS = 38
"""Of Spark and Iceberg."""

WHOLE_NUMBER_BITS = {"integer": 32, "long": 64}

_WRITTEN = re.compile(r"([a-z_]+)(?:\((\d+),\s*(\d+)\))?")
_SPARK_NAMES = {"integer": "int", "long": "bigint", "text": "string"}


@dataclass(frozen=True)
class Kind:
    """A kind; ``precision`` and ``scale`` for decimals only."""

    name: KindName
    precision: int | None = None
    scale: int | None = None

    def __str__(self) -> str:
        return self.name if self.precision is None else f"{self.name}({self.precision},{self.scale})"

    @property
    def spark_type(self) -> str:
        """Spark SQL's name of the type."""
        return str(self).replace(self.name, _SPARK_NAMES.get(self.name, self.name))


def decimal(precision: int, scale: int) -> Kind:
    """A decimal of ``precision`` digits, ``scale`` of them behind the point.

    :raises ValueError: no decimal of Spark and Iceberg.
    """
    if not (1 <= precision <= MAX_DECIMAL_DIGITS and 0 <= scale <= precision):
        raise ValueError(f"decimal({precision},{scale}) is none: 1 to {MAX_DECIMAL_DIGITS} digits, scale within them")
    return Kind("decimal", precision, scale)


def parse_kind(text: str) -> Kind:
    """The kind written as :meth:`Kind.__str__` writes it.

    :raises ValueError: there is no such kind; the message says which there are.
    """
    written = _WRITTEN.fullmatch(text.strip())
    if written is not None:
        name, precision, scale = written.groups()
        if name == "decimal" and precision is not None:
            return decimal(int(precision), int(scale))
        if name != "decimal" and precision is None:
            for known in get_args(KindName):
                if name == known:
                    return Kind(known)
    known_kinds = ", ".join("decimal(p,s)" if name == "decimal" else name for name in get_args(KindName))
    raise ValueError(f"{text!r} is none of {known_kinds}")


def kind_stored_as(spark_type: str) -> Kind:
    """The kind whose :attr:`Kind.spark_type` is ``spark_type``.

    :raises ValueError: no kind is stored so.
    """
    names = {spark: kind for kind, spark in _SPARK_NAMES.items()}
    return parse_kind(names.get(spark_type, spark_type))
