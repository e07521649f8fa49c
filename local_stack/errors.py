"""The one error of this package."""

from __future__ import annotations


class StackError(RuntimeError):
    """Something that a person has to know or to mend; the message says what, where and what to do, in one sentence."""
