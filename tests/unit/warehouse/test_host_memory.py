"""What the kernel says of a host and its processes, and what of that lets rows reach a disk."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from warehouse.disk_failures import DiskFinding, FilesNotInMemory, FilesOnDisk, RowsCouldReachDisk
from warehouse.host_memory import (
    Kernel,
    core_findings,
    executor_id,
    folder_findings,
    java_findings,
    swap_findings,
    temporary_folder,
)

MOUNTS = """\
/dev/sda1 / ext4 rw 0 0
tmpfs /dev/shm tmpfs rw,nosuid 0 0
/dev/sdb1 /dev/shm/disk xfs rw 0 0
none /mnt/two\\040words ramfs rw 0 0
/dev/sdc1 /mnt/covered ext4 rw 0 0
tmpfs /mnt/covered tmpfs rw 0 0
"""
LIMITS = """\
Limit                     Soft Limit           Hard Limit           Units
Max file size             unlimited            unlimited            bytes
Max core file size        {limit:<20} unlimited            bytes
"""


@pytest.fixture
def kernel(tmp_path: Path) -> Kernel:
    """A host with a tmpfs, without swap, whose process 7 is a JVM with a core limit of 0."""
    found = Kernel(tmp_path / "proc", tmp_path / "block")
    for folder in ("self", "7", "sys/kernel"):
        (found.proc / folder).mkdir(parents=True)
    (found.proc / "self" / "mounts").write_text(MOUNTS)
    (found.proc / "swaps").write_text("Filename\tType\tSize\tUsed\tPriority\n")
    (found.proc / "sys/kernel/core_pattern").write_text("core\n")
    limit_cores(found, "0")
    return found


def limit_cores(kernel: Kernel, limit: str) -> None:
    (kernel.proc / "7" / "limits").write_text(LIMITS.format(limit=limit))


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "ext4"),
        ("/var/lib", "ext4"),
        ("/dev/shm", "tmpfs"),
        ("/dev/shm/warehouse/blocks", "tmpfs"),
        ("/dev/shmem", "ext4"),
        ("/dev/shm/disk/blocks", "xfs"),
        ("/dev/shm/../../var", "ext4"),
        ("/mnt/two words/x", "ramfs"),
        ("/mnt/covered/x", "tmpfs"),
    ],
)
def test_the_file_system_of_a_path(kernel: Kernel, path: str, kind: str) -> None:
    assert kernel.file_system(path) == kind


def test_a_link_out_of_memory_is_followed(kernel: Kernel, tmp_path: Path) -> None:
    (kernel.proc / "self" / "mounts").write_text(f"/dev/sda1 / ext4 rw 0 0\ntmpfs {tmp_path}/memory tmpfs rw 0 0\n")
    (tmp_path / "memory").mkdir()
    (tmp_path / "disk").mkdir()
    (tmp_path / "memory" / "link").symlink_to(tmp_path / "disk")
    folders = [str(tmp_path / name) for name in ("memory", "memory/link", "missing")]
    assert folder_findings(kernel, "driver", "spark.local.dir", ["", *folders]) == [
        DiskFinding("driver", "spark.local.dir", value, "a folder on tmpfs or ramfs")
        for value in ("not set", f"{folders[1]} on ext4", f"{folders[2]}, which is no folder")
    ]


def test_a_container_has_mounts_of_its_own(kernel: Kernel) -> None:
    (kernel.proc / "7" / "mounts").write_text("overlay / overlay rw 0 0\n")
    inside = Kernel(kernel.proc, kernel.blocks, seen_by=7)
    assert (kernel.file_system("/dev/shm"), inside.file_system("/dev/shm")) == ("tmpfs", "overlay")
    (kernel.proc / "7" / "root" / "scratch").mkdir(parents=True)
    assert inside.is_folder("/scratch") and not kernel.is_folder("/scratch")


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/mnt/ramdisk/blocks", "tmpfs"),
        ("/mnt/ramdisk/blocks/absent", "tmpfs"),
        ("/mnt/ramdisk/absolute", "ext4"),
        ("/mnt/ramdisk/absolute/absent", "ext4"),
        ("/mnt/ramdisk/relative", "ext4"),
        ("/mnt/ramdisk/twice", "ext4"),
        ("/mnt/ramdisk/twice/../../../mnt/ramdisk", "tmpfs"),
        ("/var/tmp/memory", "tmpfs"),
        ("/mnt/ramdisk/loop", "tmpfs"),
    ],
)
def test_a_link_of_a_container_is_followed_in_the_container(
    kernel: Kernel, tmp_path: Path, path: str, kind: str
) -> None:
    (kernel.proc / "7" / "mounts").write_text("overlay / ext4 rw 0 0\ntmpfs /mnt/ramdisk tmpfs rw 0 0\n")
    root = tmp_path / "root"
    (kernel.proc / "7" / "root").symlink_to(root)
    for folder in ("mnt/ramdisk/blocks", "var/tmp/only-inside"):
        (root / folder).mkdir(parents=True)
    for link, target in {
        "mnt/ramdisk/absolute": "/var/tmp/only-inside",
        "mnt/ramdisk/relative": "../../var/tmp",
        "mnt/ramdisk/twice": "absolute",
        "mnt/ramdisk/loop": "loop",
        "var/tmp/memory": "/mnt/ramdisk",
    }.items():
        (root / link).symlink_to(target)
    inside = Kernel(kernel.proc, kernel.blocks, seen_by=7)
    assert inside.file_system(path) == kind
    assert inside.is_folder(path) == ("absent" not in path and "loop" not in path)


def test_this_host_has_shared_memory() -> None:
    assert Kernel().file_system("/dev/shm") == "tmpfs"
    assert Kernel().file_system("/proc/self") == "proc"


def test_swap(kernel: Kernel) -> None:
    assert swap_findings(kernel, "driver") == []
    with (kernel.proc / "swaps").open("a") as swaps:
        swaps.writelines(f"/dev/{device} partition 1 0 -2\n" for device in ("sda2", "zram0", "zram1"))
    (kernel.blocks / "zram0").mkdir(parents=True)
    (kernel.blocks / "zram0" / "backing_dev").write_text("none\n")
    (kernel.blocks / "zram1").mkdir()
    (kernel.blocks / "zram1" / "backing_dev").write_text("/dev/sda3\n")
    assert [str(finding) for finding in swap_findings(kernel, "driver")] == [
        "driver: swap is on (/dev/sda2), needed: off (swapoff /dev/sda2, and out of /etc/fstab)",
        "driver: swap is on (/dev/zram1), needed: off (swapoff /dev/zram1, and out of /etc/fstab)",
    ]


@pytest.mark.parametrize(
    ("pattern", "limit", "value"),
    [
        ("core", "0", None),
        ("core", "1", None),
        ("core", "4095", None),
        ("", "0", None),
        ("/var/crash/%p", "4096", "a file (core limit 4096 bytes)"),
        ("core", "unlimited", "a file (core limit unlimited)"),
        ("|/usr/bin/crash %p", "1", None),
        ("|/usr/bin/crash %p", "0", "sent to /usr/bin/crash (kernel.core_pattern) whatever the limit, 0 bytes"),
        ("@/run/coredump.socket", "0", "sent to the socket /run/coredump.socket (kernel.core_pattern)"),
    ],
)
def test_core_dumps(kernel: Kernel, pattern: str, limit: str, value: str | None) -> None:
    (kernel.proc / "sys/kernel/core_pattern").write_text(pattern)
    limit_cores(kernel, limit)
    found = core_findings(kernel, "driver", 7, "Java")
    assert [finding.value for finding in found] == ([] if value is None else [value])


def test_core_dumps_are_stopped_for_good_and_for_children() -> None:
    code = (
        "import resource; from warehouse.host_memory import Kernel, core_findings, stop_core_dumps;"
        "stop_core_dumps(); print(Kernel().core_limit(), *resource.getrlimit(resource.RLIMIT_CORE))"
    )
    soft = 1 << 20
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    if hard != resource.RLIM_INFINITY:
        soft = min(soft, hard)
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}, capture_output=True,
        text=True, check=True, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, (soft, hard)),
    )  # fmt: skip
    limit = min(1, soft)
    assert done.stdout.split() == [str(limit)] * 3


@pytest.mark.parametrize(
    ("options", "found"),
    [
        (["-XX:ErrorFile=/dev/shm/hs_err_pid%p.log"], []),
        ([], ["-XX:ErrorFile is not set, which means / on ext4, needed: a file in a folder on tmpfs or ramfs"]),
        (
            ["-XX:ErrorFile=/dev/shm/a.log", "-XX:ErrorFile=/var/a.log"],
            ["-XX:ErrorFile is /var on ext4, needed: a file in a folder on tmpfs or ramfs"],
        ),
        (
            ["-XX:ErrorFile=/dev/shm/a.log", "-XX:+HeapDumpOnOutOfMemoryError"],
            ["-XX:HeapDumpOnOutOfMemoryError is on, needed: -XX:-HeapDumpOnOutOfMemoryError"],
        ),
        (
            ["-XX:ErrorFile=/dev/shm/a.log", "-XX:+HeapDumpOnOutOfMemoryError", "-XX:-HeapDumpOnOutOfMemoryError"],
            [],
        ),
        (
            ["-XX:ErrorFile=/dev/shm/a.log", "-XX:+ErrorFileToStderr"],
            ["-XX:ErrorFileToStderr is on, so that logs would have it, needed: -XX:-ErrorFileToStderr"],
        ),
    ],
)
def test_what_a_jvm_leaves(kernel: Kernel, options: list[str], found: list[str]) -> None:
    assert [str(finding) for finding in java_findings(kernel, "driver", options, "/")] == [
        f"driver: {one}" for one in found
    ]


def test_options_take_effect_in_the_order_of_the_jvm(kernel: Kernel) -> None:
    (kernel.proc / "7" / "cmdline").write_bytes(b"java\0-XX:-HeapDumpOnOutOfMemoryError\0-Djava.io.tmpdir=/a\0Main\0")
    (kernel.proc / "7" / "environ").write_bytes(
        b"PASSWORD=x\0_JAVA_OPTIONS=-XX:+HeapDumpOnOutOfMemoryError\0JAVA_TOOL_OPTIONS=-Djava.io.tmpdir=/b -Dx=1\0"
    )
    options = kernel.java_options(7)
    assert options[:2] == ("-Djava.io.tmpdir=/b", "-Dx=1") and options[-1] == "-XX:+HeapDumpOnOutOfMemoryError"
    assert temporary_folder(options) == "/a" and temporary_folder(()) == "/tmp"
    assert "PASSWORD=x" not in options
    assert kernel.command(8) == ()


def test_the_id_of_an_executor() -> None:
    assert executor_id(["java", "Main", "--driver-url", "x", "--executor-id", "12", "--cores", "1"]) == "12"
    assert executor_id(["java"]) == "?"


def test_messages_are_one_sentence_with_the_setting_and_what_it_needs() -> None:
    finding = DiskFinding("driver", "swap", "on", "off")
    assert str(RowsCouldReachDisk((finding, finding))) == (
        "rows could reach a disk, which store.memory_only refuses: driver: swap is on, needed: off; "
        "driver: swap is on, needed: off; no row was read (docs/memory-only.md says how to set each)"
    )
    files = tuple("abcde")
    assert str(FilesOnDisk("t", "2013-06-01", files, ("PERSISTED",) * 5)) == (
        "table t as of 2013-06-01: 5 file(s) are not in memory only (PERSISTED), a, b, c and 2 more; set "
        "alluxio.user.file.writetype.default to MUST_CACHE for every client and delete what was written elsewhere"
    )
    assert str(FilesNotInMemory("t", "2013-06-01", files[:1])) == (
        "table t as of 2013-06-01: 1 file(s) are not wholly in the store's memory, a; clear the snapshot task too, "
        "which captures them again"
    )
    assert (FilesOnDisk.kind, RowsCouldReachDisk.kind, FilesNotInMemory.kind) == ("permanent", "permanent", "retryable")
