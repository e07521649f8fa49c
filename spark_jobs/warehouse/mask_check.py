"""The source's masks against their definition, before a row is read: both mask a text that is no value of the data.

An engine in another version, a connection pooler that drops settings, a key that did not arrive: each would give hashes
that join with nothing, and be found by nobody.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from warehouse.dialects.mask_sql import sample_sql
from warehouse.mask_failures import KeyMissing, KeyNotInSession, MaskNotAsDefined
from warehouse.masks import masked_text, parse_mask

if TYPE_CHECKING:
    from warehouse.consistent_read import SourceState
    from warehouse.table_spec import TableSpec


def verify_masks(state: SourceState, table: TableSpec) -> None:
    """Return if the held session masks as it should.

    :raises MaskNotAsDefined: it does not.
    :raises KeyMissing: its key is not at hand.
    :raises KeyNotInSession: the session lost it.
    :raises JobError: the source refused.
    """
    for text in dict.fromkeys(table.masked.values()):
        mask = parse_mask(text)
        if mask.connection and mask.connection not in state.keys:
            raise KeyMissing(mask.connection)
        sql = sample_sql(state.dialect, mask)
        if sql is None:
            continue
        answer = state.value(sql, table.name)
        if answer is None and mask.connection:  # an unset variable is null, and so is what is made of it
            raise KeyNotInSession(mask.connection, state.source.name)
        if answer != masked_text(mask, state.dialect.masks.sample, state.keys):
            raise MaskNotAsDefined(table.name, text, state.source.name)
