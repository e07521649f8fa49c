"""Who asks for what cannot be undone."""

from __future__ import annotations

import getpass
from argparse import Namespace

import pytest
from logical_warehouse.askers import asker
from logical_warehouse.cli import main
from warehouse.failures import PermanentError


@pytest.fixture
def nameless(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user whom the machine does not know, as in a container."""

    def unknown() -> str:
        raise KeyError("getpwuid(): uid not found: 54321")

    monkeypatch.setattr(getpass, "getuser", unknown)


@pytest.mark.usefixtures("nameless")
def test_a_user_without_a_name_says_who_asks() -> None:
    assert asker(Namespace(by="officer")) == "officer"
    with pytest.raises(PermanentError, match="say who asks with --by"):
        asker(Namespace(by=None))


@pytest.mark.usefixtures("nameless")
def test_a_user_without_a_name_may_lint() -> None:
    assert main(["lint"]) == 0


def test_the_login_asks_by_default() -> None:
    assert asker(Namespace(by=None)) == getpass.getuser()
