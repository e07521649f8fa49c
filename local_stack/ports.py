"""Ports of a stack: the demo's fixed ones, or free ones for a stack of its own beside it."""

from __future__ import annotations

import dataclasses
import socket
from contextlib import ExitStack
from dataclasses import dataclass

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class Ports:
    """One TCP port per server, all on the loopback interface; Alluxio's defaults are its own standard ones."""

    airflow: int = 8080
    source: int = 15432
    metadata: int = 15433
    alluxio_master: int = 19998
    alluxio_master_web: int = 19999
    alluxio_worker: int = 29999
    alluxio_worker_web: int = 30000
    alluxio_proxy_web: int = 39999

    @classmethod
    def free(cls) -> Ports:
        """Ports that nobody listens on now, all different."""
        return cls(*_free(len(dataclasses.fields(cls))))


@dataclass(frozen=True)
class JobPorts:
    """Of Alluxio's job service, which copies blocks between several workers; its own standard ones."""

    master: int = 20001
    master_web: int = 20002
    worker: int = 30001
    worker_data: int = 30002
    worker_web: int = 30003

    @classmethod
    def free(cls) -> JobPorts:
        """As :meth:`Ports.free`."""
        return cls(*_free(len(dataclasses.fields(cls))))


def _free(count: int) -> list[int]:
    with ExitStack() as stack:  # all held open until the last is known, so that none is given twice
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for held in sockets:
            held.bind((LOOPBACK, 0))
        return [held.getsockname()[1] for held in sockets]


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as held:
        held.bind((LOOPBACK, 0))
        port: int = held.getsockname()[1]
        return port


def is_listening(port: int, host: str = LOOPBACK) -> bool:
    """Whether somebody accepts connections on the port."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((host, port)) == 0


def in_use(port: int) -> bool:
    """Whether a server could not bind the port now."""
    with socket.socket() as probe:
        # As servers do, so that connections of a stopped server in TIME_WAIT do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return True
        return False
