"""Who asked for a snapshot's files, by lines as Alluxio's master writes them."""

from __future__ import annotations

from pathlib import Path

import pytest
from logical_warehouse.audit_log import Reader, log_lines, readers
from warehouse.failures import PermanentError

FOLDER = "/warehouse/snapshots/orders"


def line(second: int, user: str, path: str, *, command: str = "getFileInfo", allowed: bool = True) -> str:
    """Seen with Alluxio 2.9.4; between its fields are tabs."""
    return (
        f"2026-11-25T10:01:{second:02},754 succeeded={str(allowed).lower()}\tallowed={str(allowed).lower()}\t"
        f"ugi={user} (AUTH=SIMPLE)\tip=/127.0.0.1:43844\tcmd={command}\tsrc={path}\tdst=null\t"
        "perm=root:root:rwxrwx---\texecutionTimeUs=540\tproto=rpc\n"
    )


def test_readers_of_one_date() -> None:
    # As seen in the store: a folder of the try that wrote the file, or of `forget`, which wrote it anew.
    day = f"{FOLDER}/data/run_3f9ac1d2_try1/_as_of=2013-06-01/00000-4-0d-00001.parquet"
    again = f"{FOLDER}/data/forgetting_5577006791947779410/_as_of=2013-06-01/00000-4-0d-00001.parquet"
    other = f"{FOLDER}/data/run_3f9ac1d2_try1/_as_of=2013-06-02/00000-4-0d-00001.parquet"
    lines = [
        line(1, "ana,analysts", day),
        line(2, "mallory,", f"{FOLDER}/metadata/version-hint.text", allowed=False),
        line(3, "ana,analysts", other),
        line(4, "ana,analysts", again),
        line(5, "aron,auditors", other),
        line(
            6,
            "aron,auditors",
            "/warehouse/snapshots/orders_of_others/data/run_3f9ac1d2_try1/_as_of=2013-06-01/2.parquet",
        ),
        line(7, "jobs,jobs", day, command="completeFile"),
        "something else\n",
    ]
    assert readers(lines, FOLDER, "/_as_of=2013-06-01/") == (
        Reader("ana", 2, 0, "2026-11-25T10:01:01,754", "2026-11-25T10:01:04,754"),
        Reader("mallory", 0, 1, "2026-11-25T10:01:02,754", "2026-11-25T10:01:02,754"),
    )
    assert [one.user for one in readers(lines, FOLDER, "/data/")] == ["ana", "mallory", "aron"]


def test_parts_may_come_in_any_order() -> None:
    """As with Log4j 1, whose newest older part has the number 1."""
    path = f"{FOLDER}/data/f"
    parts = [line(3, "ana,", path), line(4, "ana,", path), line(1, "ana,", path), line(2, "aron,", path)]
    (ana, aron) = readers([*parts, line(5, "aron,", path)], FOLDER)
    assert [(one.user, one.first[17:19], one.last[17:19]) for one in (ana, aron)] == [
        ("ana", "01", "04"),
        ("aron", "02", "05"),
    ]


def test_older_parts_are_read_too(tmp_path: Path) -> None:
    log = tmp_path / "audit.log"
    for name, text in (("audit.log", "4\n"), ("audit.log.10", "3\n"), ("audit.log.2", "2\n"), ("audit.log.1", "1\n")):
        (tmp_path / name).write_text(text)
    (tmp_path / "audit.log.gz").write_text("no")
    assert list(log_lines(log)) == ["1\n", "2\n", "3\n", "4\n"]
    with pytest.raises(PermanentError, match=r"The audit log .* cannot be read \(No such file or directory\)"):
        list(log_lines(tmp_path / "nowhere"))
