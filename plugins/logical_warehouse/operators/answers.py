"""Reading what a Spark application answered: a small JSON file in the store, written by its driver."""

from __future__ import annotations

import getpass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from warehouse.job_answer import JobAnswer
from warehouse.spec_json import from_json

if TYPE_CHECKING:
    from logical_warehouse.manifest import Store


class AnswerUnreadable(Exception):
    """The store did not give the answer: it is not there, or the store is down."""


def read_answer(store: Store, path: str) -> JobAnswer:
    """Read the answer at ``path`` of the store.

    Alluxio is read through its proxy's S3 API, so that an Airflow worker needs no JVM for it; other stores through
    the fsspec implementation of their scheme.

    :raises AnswerUnreadable: there is none, or the store does not answer.
    """
    import fsspec  # heavy, and only a task needs it

    try:
        if urlsplit(path).scheme == "alluxio":
            # The key names the user, whom Alluxio's proxy believes. A bucket is a top-level folder.
            files = fsspec.filesystem(
                "s3", key=getpass.getuser(), secret="warehouse", endpoint_url=store.s3, use_listings_cache=False  # noqa: S106
            )  # fmt: skip
            text = files.cat_file(urlsplit(path).path.lstrip("/"))
        else:
            with fsspec.open(path, "rb") as file:
                text = file.read()
    except Exception as error:
        raise AnswerUnreadable(f"{path}: {type(error).__name__}") from error
    return from_json(JobAnswer, text)
