"""What a machine lacks is said in one line."""

from __future__ import annotations

import socket
from dataclasses import astuple, replace
from pathlib import Path

import pytest
from warehouse.host_memory import Kernel

from local_stack import preflight
from local_stack.errors import StackError
from local_stack.ports import LOOPBACK, Ports, in_use, is_listening
from local_stack.stack import Stack

GIB = 1 << 30


def script(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def test_another_python_is_named() -> None:
    with pytest.raises(StackError, match=r"^Python 3\.11 is needed, this is 3\.9 \(.*\)$"):
        preflight.check_python((3, 9))


def test_no_java_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(StackError, match=r"^there is no java on PATH; install Java 17"):
        preflight.check_java()


@pytest.mark.parametrize(("version", "major"), [("1.8.0_392", 8), ("11.0.2", 11)])
def test_an_old_java_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, version: str, major: int) -> None:
    script(tmp_path / "bin/java", f"echo 'openjdk version \"{version}\"' >&2")
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(StackError, match=f"^Java 17 is needed, {tmp_path}/bin/java is {major};"):
        preflight.check_java()


def test_a_new_enough_java_is_accepted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    script(tmp_path / "bin/java", "echo 'openjdk version \"17.0.15\" 2025-04-15' >&2")
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    preflight.check_java()


def test_too_small_a_shared_memory_is_named() -> None:
    with pytest.raises(StackError, match=r"^/dev/shm has 1\.0 GiB free and the store needs 2\.5;"):
        preflight.check_memory(2 * GIB, free_shared=GIB, available=64 * GIB)


def test_too_little_memory_is_named() -> None:
    with pytest.raises(StackError, match=r"^3\.0 GiB of memory are available and 6\.0 are needed;"):
        preflight.check_memory(2 * GIB, free_shared=64 * GIB, available=3 * GIB)


def test_enough_memory_is_accepted() -> None:
    preflight.check_memory(2 * GIB, free_shared=3 * GIB, available=6 * GIB)


def test_all_ports_in_use_are_named_and_ours_are_not() -> None:
    ports = Ports.free()
    with socket.socket() as first, socket.socket() as second, socket.socket() as ours:
        for held, port in ((first, ports.airflow), (second, ports.source), (ours, ports.alluxio_master)):
            held.bind((LOOPBACK, port))
            held.listen()
        with pytest.raises(StackError) as error:
            preflight.check_ports(ports, skip=["alluxio_master"])
        assert str(error.value).startswith(
            f"ports in use by another program: {ports.airflow} (airflow), {ports.source} (source);"
        )
        assert "\n" not in str(error.value)
        assert is_listening(ports.airflow)
    preflight.check_ports(ports)
    assert not is_listening(ports.airflow)


def test_free_ports_are_different_and_free() -> None:
    ports = Ports.free()
    numbers = astuple(ports)
    assert len(set(numbers)) == len(numbers)
    assert not any(in_use(port) for port in numbers)
    assert replace(ports, airflow=1).source == ports.source


def test_a_machine_that_swaps_runs_the_demo_without_memory_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    swaps = tmp_path / "swaps"
    monkeypatch.setattr(preflight, "Kernel", lambda: Kernel(proc=tmp_path))
    swaps.write_text("Filename\tType\tSize\tUsed\tPriority\n")
    assert Stack(tmp_path / "stack").memory_only
    swaps.write_text("Filename\tType\tSize\tUsed\tPriority\n/dev/sda2 partition 1 0 -2\n")
    assert preflight.swap_devices() == ("/dev/sda2",)
    assert not Stack(tmp_path / "stack").memory_only
