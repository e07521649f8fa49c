"""Where the files of a snapshot are, and whether that may be published."""

from __future__ import annotations

import pytest
from warehouse.disk_failures import FilesNotInMemory, FilesOnDisk
from warehouse.store_directory import FilePlace
from warehouse.stored_in_memory import in_memory_only

DAY = "2013-06-01"
HERE = FilePlace("alluxio://host/warehouse/t/data/a.parquet", 100)
PERSISTED = FilePlace("alluxio://host/warehouse/t/data/b.parquet", 100, "PERSISTED")
WAITING = FilePlace("alluxio://host/warehouse/t/data/c.parquet", 100, "TO_BE_PERSISTED")
HALF = FilePlace("alluxio://host/warehouse/t/metadata/d.avro", 50)


def test_all_in_memory() -> None:
    assert in_memory_only("t", DAY, [HERE], enforced=True) is True
    assert in_memory_only("t", DAY, [], enforced=True) is True


def test_files_on_a_disk_come_before_files_that_are_lost() -> None:
    with pytest.raises(FilesOnDisk) as refused:
        in_memory_only("t", DAY, [HERE, HALF, PERSISTED, WAITING], enforced=True)
    assert refused.value.files == ("b.parquet", "c.parquet")
    assert refused.value.states == ("PERSISTED", "TO_BE_PERSISTED")


def test_a_file_of_which_a_block_is_gone() -> None:
    with pytest.raises(FilesNotInMemory) as refused:
        in_memory_only("t", DAY, [HERE, HALF], enforced=True)
    assert refused.value.files == ("d.avro",)


@pytest.mark.parametrize("place", [PERSISTED, WAITING, HALF])
def test_where_disks_are_allowed_it_is_only_said(place: FilePlace) -> None:
    assert in_memory_only("t", DAY, [HERE, place], enforced=False) is False
    assert in_memory_only("t", DAY, [HERE], enforced=False) is True
