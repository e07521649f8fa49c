"""Ending the oldest dates by hand."""

from __future__ import annotations

from logical_warehouse.expiring import ending_line, to_end

from tests.unit.records import snapshot_record

DATES = [
    snapshot_record(
        "flights", f"2013-06-0{day}", f"2013-06-0{day}T00:00:00Z", f"2013-06-0{day + 1}T00:00:00Z", bytes=day
    )
    for day in (1, 2, 3)
]


def test_what_goes_is_older_and_never_the_newest() -> None:
    assert to_end(DATES, "2013-06-02T00:00:00Z") == DATES[:1]
    assert to_end(DATES, "2014-01-01T00:00:00Z") == DATES[:2]
    assert to_end(DATES, "2013-06-01T00:00:00Z") == to_end([], "2014-01-01T00:00:00Z") == []
    assert ending_line("flights", DATES[:2], 2) == (
        "flights: 2 as-of date(s), 2013-06-01 to 2013-06-02, 6 bytes; --yes ends them"
    )
    assert ending_line("flights", [], 1) == "flights: no as-of date is that old; the newest one always stays"
