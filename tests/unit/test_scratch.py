"""Scratch folders end with their task, however it ends, and never before the driver that uses them."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from logical_warehouse.scratch import OWNER, PREFIX, remove_abandoned, scratch_folder

TASK = """
import sys, time
from pathlib import Path
from logical_warehouse.scratch import scratch_folder
with scratch_folder(Path(sys.argv[1])) as folder:
    print(folder, flush=True)
    time.sleep(600)
"""


def killed_task(root: Path) -> Path:
    """The folder of a task that was killed."""
    task = subprocess.Popen([sys.executable, "-c", TASK, str(root)], stdout=subprocess.PIPE, text=True)
    assert task.stdout is not None
    folder = Path(task.stdout.readline().strip())
    assert folder.is_dir() and remove_abandoned(root) == [], "it is in use"
    task.send_signal(signal.SIGKILL)
    task.wait()
    task.stdout.close()
    return folder


def test_gone_with_the_task(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), scratch_folder(tmp_path) as folder:
        (folder / "spill").write_text("rows")
        assert folder.name.startswith(PREFIX)
        _ = 1 / 0
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_task_left_goes_with_the_next_one(tmp_path: Path) -> None:
    left = killed_task(tmp_path)
    (left / "spill").write_text("rows")
    with scratch_folder(tmp_path) as folder:
        assert list(tmp_path.iterdir()) == [folder]


def test_the_folder_of_a_living_driver_stays(tmp_path: Path) -> None:
    left = killed_task(tmp_path)
    program = "import time; print(flush=True); time.sleep(600)"
    driver = subprocess.Popen(
        [sys.executable, "-c", program, f"-Djava.io.tmpdir={left}"], stdout=subprocess.PIPE, text=True
    )
    assert driver.stdout is not None
    driver.stdout.readline()  # its arguments are its own by now
    try:
        assert remove_abandoned(tmp_path) == []
    finally:
        driver.kill()
        driver.wait()
        driver.stdout.close()
    assert remove_abandoned(tmp_path) == [left]


def test_folders_of_others_stay(tmp_path: Path) -> None:
    (tmp_path / f"{PREFIX}of-another-program").mkdir()
    assert remove_abandoned(tmp_path) == []
    assert not (tmp_path / f"{PREFIX}of-another-program" / OWNER).exists()
