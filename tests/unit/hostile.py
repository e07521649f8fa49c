"""What somebody might write where a name or a date is meant, and how quoted names read back."""

from __future__ import annotations

NAMES = {
    "double quote": 'a"b',
    "double quote and statement": 'x"; DROP TABLE accounts; --',
    "backtick and statement": "x`; DROP TABLE accounts; --",
    "bracket and statement": "x]; DROP TABLE accounts; --",
    "single quote": "o'neil",
    "statement": "x; DROP TABLE accounts",
    "comment": "x--",
    "block comment": "x/**/y",
    "path": "../../etc/passwd",
    "backslash": "a\\b\\",
    "newline": "a\nb",
    "carriage return": "a\rb",
    "tab": "a\tb",
    "look-alike": "аccounts",  # noqa: RUF001 - its first letter is Cyrillic
    "right to left": "a\u202eb",
    "no width": "a\u200bb",
    "variable of a shell": "$(id)",
    "variable of Spark": "${env:HOME}",
    "placeholder": "%s ? :1 {0}",
    "blank": " ",
}
"""Legal in SQL, if quoted."""
NO_NAMES = {"empty": "", "nul": "a\0b", "very long": "n" * 100_000}
"""Legal nowhere."""
DATES = (
    "2013-06-01\n",
    " 2013-06-01",
    "2013-06-01'; DROP TABLE accounts; --",
    "2013-06-01`",
    "../2013-06-01",
    "2013-06-01/..",
    "2013-06-01\0",
    "٢٠١٣-٠٦-٠١",  # noqa: RUF001
    "２０１３-06-01",  # noqa: RUF001 - its digits are wide ones
    "2013-06-01T0000Z",
    "2013-6-1",
    "None",
    "latest",
    "main",
    "",
    "2013-06-01" * 10_000,
)
"""None of them is an as-of date of a daily schedule."""


def read_back(quoted: str, closing: str) -> str:
    """The name that an SQL parser reads from ``quoted``, all of it: a doubled closing quote stands for one."""
    inner = quoted[1:-1]
    assert closing not in inner.replace(closing * 2, ""), f"{quoted!r} ends before its end"
    return inner.replace(closing * 2, closing)
