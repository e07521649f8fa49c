"""Child processes: found again, ended with all their children, never mistaken for others."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from local_stack.errors import StackError
from local_stack.processes import Service, read_stat, wait_for


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    found = Service("sample", tmp_path)
    yield found
    found.stop(stop_signal=signal.SIGKILL)


def start(service: Service, code: str) -> int:
    service.start([sys.executable, "-c", code], env=dict(os.environ))
    assert service.pid is not None
    return service.pid


def is_alive(pid: int) -> bool:
    stat = read_stat(pid)
    return stat is not None and stat.alive


SLEEP = "import time; time.sleep(60)"


def test_a_service_is_found_by_another_object_of_the_same_name(service: Service) -> None:
    pid = start(service, SLEEP)
    again = Service(service.name, service.runtime)
    assert again.pid == pid
    again.stop()
    assert not is_alive(pid)
    assert not service.is_running()


def test_starting_a_running_service_is_refused(service: Service) -> None:
    start(service, SLEEP)
    with pytest.raises(StackError, match="sample is running already"):
        service.start([sys.executable, "-c", SLEEP], env=dict(os.environ))


def test_stopping_ends_children_that_ignore_it_and_left_the_group(service: Service, tmp_path: Path) -> None:
    child = (
        "import os, signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); os.setpgid(0, 0); "
        f"open({str(tmp_path / 'child')!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    )
    start(service, f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])")
    wait_for(lambda: (tmp_path / "child").exists() and (tmp_path / "child").read_text() != "", "child", timeout=10)
    child_pid = int((tmp_path / "child").read_text())
    service.stop(grace=0.5)
    assert not is_alive(child_pid)


def test_children_of_a_killed_service_are_ended(service: Service, tmp_path: Path) -> None:
    child = f"import os, time; open({str(tmp_path / 'child')!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    pid = start(service, f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])")
    wait_for(lambda: (tmp_path / "child").exists() and (tmp_path / "child").read_text() != "", "child", timeout=10)
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not service.is_running(), "the end", timeout=10)
    child_pid = int((tmp_path / "child").read_text())
    assert is_alive(child_pid)
    service.stop()
    assert not is_alive(child_pid)


@pytest.mark.parametrize("change", [{"started": 1}, {"boot": "another"}])
def test_a_stale_pid_file_never_ends_a_stranger(tmp_path: Path, change: dict[str, object]) -> None:
    service = Service("sample", tmp_path)
    pid = start(service, SLEEP)
    file = tmp_path / "sample.pid"
    right = file.read_text()
    file.write_text(json.dumps(json.loads(right) | change))
    assert service.pid is None
    service.stop()
    assert is_alive(pid)
    file.write_text(right)
    service.stop()
    assert not is_alive(pid)


def test_waiting_fails_at_once_when_the_service_dies_and_shows_its_log(service: Service) -> None:
    start(service, "print('no such luck'); raise SystemExit(3)")
    started = time.monotonic()
    with pytest.raises(StackError, match="no such luck"):
        wait_for(lambda: False, "a miracle", timeout=30, services=[service])
    assert time.monotonic() - started < 10


def test_waiting_ends_at_its_deadline() -> None:
    with pytest.raises(StackError, match="waited 0 s in vain for a miracle"):
        wait_for(lambda: False, "a miracle", timeout=0.2)


def test_the_log_of_the_start_before_is_kept(service: Service) -> None:
    for word in ("first", "second"):
        start(service, f"print({word!r})")
        wait_for(lambda: not service.is_running(), "the end", timeout=10)
    assert service.log.read_text() == "second\n"
    assert service.log.with_suffix(".log.1").read_text() == "first\n"


def test_a_missing_program_is_one_sentence(service: Service) -> None:
    with pytest.raises(StackError, match="sample cannot be started"):
        service.start(["/no/such/program"], env={})


def test_a_zombie_is_not_alive() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    wait_for(lambda: not is_alive(child.pid), "the child to end", timeout=10)
    stat = read_stat(child.pid)
    assert stat is not None
    assert stat.state == "Z"
    child.wait()
