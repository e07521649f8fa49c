"""The lock of the jars, and what is refused of a download."""

from __future__ import annotations

from pathlib import Path

import pytest

from local_stack import jars, versions
from local_stack.errors import StackError
from local_stack.secret_files import secret


def test_the_lock_holds_every_pinned_module() -> None:
    lock = jars.read_lock()
    for name, wanted in (("spark", versions.SPARK_JARS), ("alluxio", versions.ALLUXIO_MODULES)):
        assert set(wanted) <= {jar.coordinates for jar in lock[name]}
    assert len(lock["spark"]) == len(versions.SPARK_JARS)


def test_the_lock_holds_no_excluded_module_and_no_module_twice() -> None:
    locked = jars.read_lock()["alluxio"]
    assert not [
        jar for jar in locked if jar.module == "slf4j-reload4j" or jar.organisation.startswith("com.sun.jersey")
    ]
    names = [(jar.organisation, jar.module, jar.classifier) for jar in locked]
    assert len(names) == len(set(names))


def test_a_file_name_carries_the_classifier() -> None:
    assert jars.Jar("com.github.jnr", "jffi", "1.2.23", "native").file_name == "jffi-1.2.23-native.jar"


def test_a_file_with_another_checksum_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    def download(name: str, wanted: tuple[jars.Jar, ...], folder: Path, work: Path, report: object) -> None:
        for jar in wanted:
            (folder / jar.file_name).write_bytes(b"something else")

    monkeypatch.setattr(jars, "_download", download)
    with pytest.raises(StackError, match=r"has the SHA-256 [0-9a-f]{64}, jars.lock says [0-9a-f]{64}: refused"):
        jars.ensure_jars("spark")
    assert not jars.jar_directory("spark").exists()
    assert not list((tmp_path / "logical-warehouse" / "jars").iterdir())


def test_a_secret_is_made_once_and_nobody_else_can_read_it(tmp_path: Path) -> None:
    first = secret(tmp_path, "reader")
    assert secret(tmp_path, "reader") == first
    assert len(first) >= 20
    assert (tmp_path / "secrets" / "reader").stat().st_mode & 0o777 == 0o600
    assert secret(tmp_path, "owner") != first
