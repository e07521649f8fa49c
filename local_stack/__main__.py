"""``python -m local_stack``: set up, start, stop and show the demo's services, and run the demo."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable

from local_stack.class_data import ensure_class_data_archive
from local_stack.compose_files import write_compose_files
from local_stack.errors import StackError
from local_stack.jars import SETS, ensure_jars, write_lock
from local_stack.mariadb import ensure_programs
from local_stack.preflight import check_java, check_python
from local_stack.stack import Stack


def _preflight() -> None:
    check_python()
    check_java()


def _setup() -> None:
    for name in SETS:
        ensure_jars(name)
    ensure_class_data_archive()


def _start() -> None:
    stack = Stack()
    stack.check()
    stack.start(lambda phase, seconds: print(f"{phase}: {seconds:.0f} s", flush=True))
    print(f"Airflow: {stack.airflow.url} (login admin / {stack.airflow.password})")


def _stop() -> None:
    Stack().stop()


def _status() -> None:
    for name, pid in Stack().status().items():
        print(f"{name:24} {'runs, pid ' + str(pid) if pid else 'does not run'}")


def _setup_mariadb() -> None:
    print(f"MariaDB: {ensure_programs().server}")


def _compose_init() -> None:
    print(*write_compose_files(), sep="\n")


def _demo() -> None:
    from local_stack.demo import run_demo  # noqa: PLC0415 - needs the environment that `setup` makes

    run_demo(Stack())


def _run_module(module: str, arguments: list[str]) -> None:
    """Become ``python -m module`` in the environment of the demo's Airflow."""
    os.execve(sys.executable, [sys.executable, "-m", module, *arguments], Stack().airflow.environment)  # noqa: S606


_COMMANDS: dict[str, tuple[Callable[[], None], str]] = {
    "preflight": (_preflight, "check Python and Java"),
    "setup": (_setup, "download the jars and make the class-data archive"),
    "start": (_start, "start all services"),
    "stop": (_stop, "end all services and free the memory"),
    "status": (_status, "show which services run"),
    "demo": (_demo, "start all services and run the demo"),
    "compose-init": (_compose_init, "write the secrets and the .env of docker-compose.yaml"),
    "setup-mariadb": (_setup_mariadb, "find MariaDB's server for the tests, or unpack Debian's"),
    "lock-jars": (write_lock, "resolve the jars and write jars.lock"),
}


def main() -> int:
    """Run one command; returns the exit code."""
    if sys.argv[1:2] in (["airflow"], ["logical_warehouse"]):
        _run_module(sys.argv[1], sys.argv[2:])
    parser = argparse.ArgumentParser(prog="python -m local_stack", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    for name, (_, help_text) in _COMMANDS.items():
        commands.add_parser(name, help=help_text)
    try:
        _COMMANDS[parser.parse_args().command][0]()
    except StackError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; `make stop` ends the services", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
