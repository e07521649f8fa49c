"""What ``check`` sees of Alluxio and of the manifest's Spark settings, and what ``check-host`` prints."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from logical_warehouse.cli import main
from logical_warehouse.host_check import SERVERS, Line, host_lines
from logical_warehouse.memory_settings import (
    alluxio_findings,
    ensure_settings_in_memory,
    is_this_host,
    spark_findings,
)
from warehouse.disk_failures import DiskFinding, RowsCouldReachDisk
from warehouse.host_memory import Kernel
from warehouse.spark_conf import spark_conf
from warehouse.store_spec import StoreSpec

ROOT = Path(__file__).parents[2]
URI = "alluxio://localhost:19998/warehouse"
CONFIGURATION = {
    "alluxio.user.file.writetype.default": "MUST_CACHE",
    "alluxio.proxy.s3.writetype": "MUST_CACHE",
    "alluxio.user.file.persist.on.rename": False,
    "alluxio.user.client.cache.enabled": False,
    "alluxio.worker.block.store.type": "FILE",
    "alluxio.worker.tieredstore.level0.dirs.path": "/dev/shm/blocks",
}


def info(configuration: dict[str, Any] | None = None, **others: Any) -> dict[str, Any]:
    """The master's answer about a cluster that keeps everything in memory, changed."""
    return {
        "configuration": CONFIGURATION | (configuration or {}),
        "workers": [{"address": {"host": "node7"}, "capacityBytesOnTiers": {"MEM": 1}}],
        "mountPoints": {"/": {"ufsUri": "/dev/shm/under_store"}},
    } | others


FOLDERS = "alluxio.worker.tieredstore.level0.dirs.path"


@pytest.mark.parametrize(
    ("setting", "value", "found", "needed"),
    [
        ("alluxio.user.file.writetype.default", "ASYNC_THROUGH", "ASYNC_THROUGH", "MUST_CACHE"),
        ("alluxio.proxy.s3.writetype", "CACHE_THROUGH", "CACHE_THROUGH", "MUST_CACHE"),
        ("alluxio.user.file.persist.on.rename", True, "True", "false"),
        ("alluxio.user.client.cache.enabled", True, "True", "false"),
        ("alluxio.worker.block.store.type", "PAGE", "PAGE", "FILE"),
        (FOLDERS, "/dev/shm/x,/etc", f"/etc on {Kernel().file_system('/etc')}", "a folder on tmpfs or ramfs"),
    ],
)
def test_a_wrong_setting_of_the_cluster(setting: str, value: Any, found: str, needed: str) -> None:
    assert list(alluxio_findings(URI, info(), Kernel())) == []
    assert list(alluxio_findings(URI, info({setting: value}), Kernel())) == [
        DiskFinding("Alluxio", setting, found, needed)
    ]


def test_folders_of_other_hosts_and_of_containers_are_left_to_check_host() -> None:
    def cluster(folder: str) -> dict[str, Any]:
        return info({FOLDERS: folder}, mountPoints={"/": {"ufsUri": folder}})

    assert list(alluxio_findings(URI, cluster("/etc"), None)) == []
    assert len(list(alluxio_findings(URI, cluster("/etc"), Kernel()))) == 2
    assert len(list(alluxio_findings(URI, info({FOLDERS: "/dev/shm, /etc"}), Kernel()))) == 1
    assert list(alluxio_findings(URI, cluster("/no/such/folder/here"), Kernel())) == []


@pytest.mark.parametrize("tiers", [{"MEM": 1, "SSD": 1}, {"HDD": 1}])
def test_tiers_beside_memory(tiers: dict[str, int]) -> None:
    workers = [*info()["workers"], {"address": {"host": "node8"}, "capacityBytesOnTiers": tiers}]
    assert [str(finding) for finding in alluxio_findings(URI, info(workers=workers), None)] == [
        f"Alluxio worker node8: the level of alluxio.worker.tieredstore is {', '.join(tiers)}, needed: MEM"
    ]


@pytest.mark.parametrize(
    ("mounts", "settings"),
    [
        ({"/": "s3://bucket"}, ["alluxio.master.mount.table.root.ufs"]),
        ({"/": "hdfs://name/x"}, ["alluxio.master.mount.table.root.ufs"]),
        ({"/": "/dev/shm/x", "/other": "s3://bucket"}, []),
        ({"/": "s3://bucket", "/warehouse": "/dev/shm/x"}, []),
        ({"/": "/dev/shm/x", "/warehouse": "s3://bucket"}, ["the under-store of the mount /warehouse"]),
        ({"/": "/dev/shm/x", "/ware": "s3://bucket"}, []),
    ],
)
def test_the_under_store_of_the_mount_that_has_the_warehouse(mounts: dict[str, str], settings: list[str]) -> None:
    points = {point: {"ufsUri": uri} for point, uri in mounts.items()}
    found = alluxio_findings(URI, info(mountPoints=points), None)
    assert [finding.setting for finding in found] == settings


def test_what_the_manifest_may_not_set_for_spark() -> None:
    properties = spark_conf(StoreSpec(URI), scratch_dir="/dev/shm")
    assert list(spark_findings(URI, properties)) == []
    disk = Kernel().file_system("/etc")
    wrong = {
        "spark.hadoop.alluxio.user.file.writetype.default": "CACHE_THROUGH",
        "spark.hadoop.alluxio.user.file.persist.on.rename": "true",
        "spark.hadoop.alluxio.user.client.cache.enabled": "true",
        "spark.local.dir": "/dev/shm,/etc",
        "spark.executor.extraJavaOptions": "-XX:+HeapDumpOnOutOfMemoryError",
    }
    assert [str(finding) for finding in spark_findings(URI, properties | wrong)] == [
        "spark.conf: spark.hadoop.alluxio.user.file.writetype.default is CACHE_THROUGH, needed: MUST_CACHE",
        "spark.conf: spark.hadoop.alluxio.user.file.persist.on.rename is true, needed: false",
        "spark.conf: spark.hadoop.alluxio.user.client.cache.enabled is true, needed: false",
        f"spark.conf: spark.local.dir is /etc on {disk}, needed: a folder on tmpfs or ramfs",
        "spark.conf: -XX:HeapDumpOnOutOfMemoryError in spark.executor.extraJavaOptions is on, needed: "
        "-XX:-HeapDumpOnOutOfMemoryError",
    ]


def test_the_error_file_of_executors_is_a_matter_of_their_hosts() -> None:
    options = "-XX:ErrorFile=/no/such/folder/here/hs_err_%p.log"
    assert list(spark_findings(URI, {"spark.executor.extraJavaOptions": options})) == []
    (found,) = spark_findings(URI, {"spark.driver.extraJavaOptions": options})
    assert found.value == "/no/such/folder/here, which is no folder"


@pytest.mark.parametrize(
    ("folder", "refused"),
    [
        ("file:/dev/shm/events", None),
        ("alluxio://localhost:19998/events", None),
        ("file:///etc/events", f"/etc/events on {Kernel().file_system('/etc')}"),
        ("hdfs://name/events", "hdfs://"),
    ],
)
def test_an_event_log_is_in_memory_too(folder: str, refused: str | None) -> None:
    properties = {"spark.eventLog.enabled": "true", "spark.eventLog.dir": folder}
    found = [finding.value for finding in spark_findings(URI, properties)]
    assert found == ([] if refused is None else [refused])
    assert list(spark_findings(URI, properties | {"spark.eventLog.enabled": "False"})) == []


def test_a_store_that_is_a_folder_must_be_in_memory() -> None:
    ensure_settings_in_memory("file:///dev/shm/warehouse", {})
    with pytest.raises(RowsCouldReachDisk, match=r"store: store\.uri is file:///etc/warehouse on"):
        ensure_settings_in_memory("file:///etc/warehouse", {})


def test_which_host_is_this() -> None:
    assert is_this_host("127.0.0.1") and is_this_host("localhost")
    # 192.0.2.0/24 is for documentation: nobody has it.
    assert not is_this_host("192.0.2.1") and not is_this_host(None) and not is_this_host("no-such-host.invalid")


def proc_folder(tmp_path: Path, commands: dict[str, str], root: str = "/") -> Path:
    """As the kernel shows processes with these command lines."""
    proc = tmp_path / "proc"
    for pid, command in commands.items():
        (proc / pid).mkdir(parents=True)
        (proc / pid / "cmdline").write_bytes(command.encode().replace(b" ", b"\0" if pid == "7" else b" ") + b"\0")
        (proc / pid / "environ").write_bytes(b"")
        (proc / pid / "cwd").symlink_to("/")
        (proc / pid / "mounts").write_text("/dev/sda1 / ext4 rw 0 0\ntmpfs /mnt/ramdisk tmpfs rw 0 0\n")
        (proc / pid / "root").symlink_to(root)
        (proc / pid / "limits").write_text(
            "Max core file size        unlimited            unlimited            bytes\n"
        )
    (proc / "self").mkdir()
    (proc / "self" / "mounts").write_text("/dev/sda1 / ext4 rw 0 0\ntmpfs /dev/shm tmpfs rw 0 0\n")
    (proc / "sys/kernel").mkdir(parents=True)
    (proc / "sys/kernel/core_pattern").write_text("core\n")
    return proc


@pytest.mark.parametrize(("main_class", "server"), SERVERS.items())
def test_check_host_knows_every_server_that_rows_go_through(tmp_path: Path, main_class: str, server: str) -> None:
    lines = [line.what for line in host_lines(Kernel(proc_folder(tmp_path, {"7": f"java -cp x {main_class}"})), {})]
    assert f"core dumps of the {server} (process 7)" in lines


def test_check_host_finds_servers_by_their_main_class(tmp_path: Path) -> None:
    commands = {"7": "java -cp x alluxio.worker.AlluxioWorker", "8": "grep alluxio.worker.AlluxioWorker x"}
    proc = proc_folder(tmp_path, commands)
    worker = "Alluxio worker (process 7)"
    assert list(host_lines(Kernel(proc), {"tier": ["/dev/shm", "/etc"]})) == [
        Line("tier /dev/shm", "tmpfs"),
        Line("tier /etc", "/etc on ext4", "a folder on tmpfs or ramfs"),
        Line("swap", "off"),
        Line(f"core dumps of the {worker}", "a file (core limit unlimited)", "a core limit of 0 (ulimit -c 0)"),
        Line(
            f"crash and heap dumps of the {worker}",
            "not set, which means / on ext4",
            "a file in a folder on tmpfs or ramfs",
        ),
        Line(f"java.io.tmpdir of the {worker}", "/tmp on ext4", "a folder on tmpfs or ramfs"),
    ]


LEVELS, SECOND = "alluxio.worker.tieredstore.levels", FOLDERS.replace("level0", "level1")
IN_MEMORY = ("/mnt/ramdisk on tmpfs", "")
ON_DISK, UNKNOWN = ("/data on ext4", "a folder on tmpfs or ramfs"), ("not known", f"its folder by --tier ({FOLDERS})")


@pytest.mark.parametrize(
    ("options", "site", "found"),
    [
        ("", "", [UNKNOWN]),
        (f"-D{FOLDERS}=/mnt/ramdisk", "", [IN_MEMORY]),
        (f"-D{FOLDERS}=/mnt/ramdisk,/data", "", [IN_MEMORY, ON_DISK]),
        (f"-D{FOLDERS}=/mnt/ramdisk", f"{FOLDERS}=/data", [IN_MEMORY]),
        ("-Dalluxio.home=/opt/alluxio", f"a=b\n {FOLDERS} = /data\n", [ON_DISK]),
        ("-Dalluxio.home=/opt/alluxio", f"{FOLDERS} = /mnt/ramdisk, /data \r\n", [IN_MEMORY, ON_DISK]),
        ("-Dalluxio.site.conf.dir=/nowhere,/opt/alluxio/conf", f"{FOLDERS}: /data", [ON_DISK]),
        ("-Dalluxio.conf.dir=/opt/alluxio/conf", f"#{FOLDERS}=/data", [UNKNOWN]),
        ("-Dalluxio.home=/opt/alluxio", f"{FOLDERS}=${{alluxio.work.dir}}/x", [UNKNOWN]),
        (f"-D{FOLDERS}=/mnt/ramdisk/link", "", [("/mnt/ramdisk/link on ext4", "a folder on tmpfs or ramfs")]),
        (f"-D{FOLDERS}=/mnt/ramdisk -D{SECOND}=/data", "", [IN_MEMORY]),
        (f"-D{FOLDERS}=/mnt/ramdisk -D{SECOND}=/data -D{LEVELS}=2", "", [IN_MEMORY, ON_DISK]),
        (f"-D{FOLDERS}=/mnt/ramdisk -Dalluxio.home=/opt/alluxio", f"{LEVELS}=2\n{SECOND}=/data", [IN_MEMORY, ON_DISK]),
        (
            f"-D{FOLDERS}=/mnt/ramdisk -D{LEVELS}=2",
            "",
            [IN_MEMORY, ("not known", f"its folder by --tier ({SECOND})")],
        ),
        (f"-D{FOLDERS}=/mnt/ramdisk -D{LEVELS}=${{x}}", "", [("not known", f"its folder by --tier ({LEVELS})")]),
    ],
)
def test_check_host_finds_the_tier_of_a_worker_that_nobody_named(
    tmp_path: Path, options: str, site: str, found: list[tuple[str, str]]
) -> None:
    root = tmp_path / "root"
    for folder in ("opt/alluxio/conf", "mnt/ramdisk", "data"):
        (root / folder).mkdir(parents=True)
    (root / "mnt/ramdisk/link").symlink_to("/data")
    (root / "opt/alluxio/conf/alluxio-site.properties").write_text(site)
    command = " ".join(["java", *options.split(), "alluxio.worker.AlluxioWorker"])
    kernel = Kernel(proc_folder(tmp_path, {"7": command}, str(root)))
    tier = "tier of the Alluxio worker (process 7)"
    lines = [line for line in host_lines(kernel, {"tier": []}) if line.what == tier]
    assert lines == [Line(tier, *one) for one in found]
    named = [line for line in host_lines(kernel, {"tier": ["/dev/shm"]}) if line.what == tier]
    assert named == [line for line in lines if line.value != "not known"]


@pytest.mark.parametrize(("folder", "code"), [("/dev/shm", 0), ("/etc", 1)])
def test_check_host_says_by_its_exit_code_whether_all_is_well(
    folder: str, code: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # The servers of whoever runs the tests are no part of them.
    monkeypatch.setattr("logical_warehouse.host_check.SERVERS", {})
    assert main(["check-host", "--tier", folder]) == code
    output = capsys.readouterr().out
    assert f"tier {folder}" in output and ("NO" in output) == bool(code)


def test_a_host_with_nothing_but_python_can_be_checked() -> None:
    done = subprocess.run(
        [sys.executable, "-S", "-m", "logical_warehouse.host_check", "--tier", "/dev/shm", "--scratch", "/etc"],
        env={"PYTHONPATH": f"{ROOT / 'plugins'}:{ROOT / 'spark_jobs'}"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (1, "")
    assert re.search(r"^ok +tier /dev/shm +tmpfs", done.stdout, re.MULTILINE)
    assert re.search(r"^NO +scratch /etc +/etc on \w+ +a folder on tmpfs or ramfs", done.stdout, re.MULTILINE)
