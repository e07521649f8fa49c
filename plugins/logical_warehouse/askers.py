"""Who asks for what cannot be undone: the name goes into the store's notes of it."""

from __future__ import annotations

import argparse
import getpass

from warehouse.failures import PermanentError


def add_by_option(parser: argparse.ArgumentParser) -> None:
    """Add ``--by`` to a command."""
    parser.add_argument("--by", metavar="NAME", help="who asks, for the note of it; default: your login")


def asker(arguments: argparse.Namespace) -> str:
    """Who asks.

    :raises PermanentError: it was not said, and the machine has no name for this user, as in some containers.
    """
    if arguments.by:
        return str(arguments.by)
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # OSError since Python 3.13
        raise PermanentError("This user has no name on this machine: say who asks with --by.") from None
