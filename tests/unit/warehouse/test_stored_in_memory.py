"""Where the files of a snapshot are, and whether that may be published."""

from __future__ import annotations

import pytest
from warehouse.copies import CopiesMissing
from warehouse.disk_failures import FilesNotInMemory, FilesOnDisk
from warehouse.store_directory import FilePlace, held_in
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


@pytest.mark.parametrize(
    ("workers", "cause"),
    [(1, "Alluxio has 1 live worker(s): start more"), (2, "see whether Alluxio's job service, which makes them, runs")],
)
def test_why_copies_are_missing(workers: int, cause: str) -> None:
    said = f"table t as of {DAY}: 3 file(s) do not have the 2 copies that store.replication asks for; {cause}"
    assert str(CopiesMissing("t", DAY, 2, 3, workers)).startswith(said)


def test_a_listing_as_alluxio_writes_it() -> None:
    def status(path: str, percent: int, state: str, folder: str = "false") -> str:
        return (
            f"URIStatus{{info=FileInfo{{fileId=33554431, name=a.parquet, path={path}, ufsPath=/dev/shm/x{path}, "
            f"length=1, blockSizeBytes=67108864, creationTimeMs=1, completed=true, folder={folder}, pinned=true, "
            f"pinnedlocation=[], cacheable=true, persisted=false, blockIds=[16777216], inMemoryPercentage={percent}, "
            "lastModificationTimesMs=1, ttl=-1, lastAccessTimesMs=1, ttlAction=FREE, owner=u, group=g, mode=420, "
            f"persistenceState={state}, mountPoint=false, replicationMax=-1, replicationMin=2, fileBlockInfos=["
            "FileBlockInfo{blockInfo=BlockInfo{id=16777216, length=1, locations=[]}, offset=0, ufsLocations=[]}], "
            "mountId=1, inAlluxioPercentage=0, ufsFingerprint=, acl=user::rw-, defaultAcl=}, cacheContext=null}"
        )

    statuses = [
        status("/w/t/data", 100, "NOT_PERSISTED", "true"),
        status("/w/t/data/a", 100, "NOT_PERSISTED"),
        status("/w/t/data/b", 0, "NOT_PERSISTED"),
        status("/w/t/data/c", 0, "PERSISTED"),
    ]
    held = held_in(f"[{', '.join(statuses)}]", 4)
    assert held == {"/w/t/data/a": True, "/w/t/data/b": False, "/w/t/data/c": True}
    assert held_in("[]", 0) == {}
    assert held_in("[URIStatus{something else}]", 1) == {}
