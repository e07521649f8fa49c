"""This container's address on the private network: one that is on several networks has an address on each."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable

from local_stack.errors import StackError

PATIENCE = 120
"""Seconds in which the other service's name has to appear: Docker knows the names of running containers only."""


def address_towards(
    host: str,
    port: int,
    *,
    patience: float = PATIENCE,
    report: Callable[[str], None] = lambda line: print(line, flush=True),
) -> str:
    """The address of ours that packets to ``host`` leave from; nothing is sent.

    :param port: any; UDP needs one.
    :raises StackError: nobody has that name for ``patience`` seconds.
    """
    deadline, told = time.monotonic() + patience, False
    while True:
        try:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
                probe.connect((host, port))
                address: str = probe.getsockname()[0]
                return address
        except OSError as error:
            if time.monotonic() > deadline:
                raise StackError(f"no container has the name {host} ({error}); start that service") from error
            if not told:
                report(f"waiting for a container with the name {host}")
                told = True
            time.sleep(1)
