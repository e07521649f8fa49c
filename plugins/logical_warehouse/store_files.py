"""Files of the store without Spark: list a folder, read a small file, remove a folder.

With ``store_health``, and ``operators.answers`` for the one file that every task reads, all that knows Alluxio on this
side. Its master lists folders over REST; its proxy
reads and deletes over S3, where the first folder of a path is the bucket. The access key, with any secret, names the
user: Alluxio's simple security believes it. A folder that is not empty stays, though the answer is 204 all the same.
"""

from __future__ import annotations

import getpass
import shutil
from pathlib import Path
from typing import Protocol
from urllib.parse import quote, urlsplit

import requests
from warehouse.failures import PermanentError, RetryableError
from warehouse.store_failures import FileIncomplete

from logical_warehouse.manifest import Store
from logical_warehouse.store_health import TIMEOUT_SECONDS, browse, bytes_of

_AUTHORIZATION = (
    "AWS4-HMAC-SHA256 Credential={user}/20130601/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0"
)

ALL_PERCENT = 100
_INCOMPLETE = b"because it is incomplete"
"""Of Alluxio 2.9's ``CANNOT_READ_INCOMPLETE_FILE``; its S3 answers 500."""


class StoreFiles(Protocol):
    """Paths are those of the store's URI, with ``/`` between names."""

    def folders(self, path: str) -> list[str]:
        """Names of the folders in a folder; none where there is no such folder."""

    def read(self, path: str) -> bytes:
        """Contents of a file. :raises FileNotFoundError: there is none. :raises FileIncomplete: not yet."""

    def write(self, path: str, data: bytes) -> None:
        """Create or replace a small file; its folders come to be."""

    def in_memory(self, path: str) -> dict[str, bool]:
        """Path of every file in a folder and below → whether each byte of it is in memory; none for no such folder."""

    def size(self, path: str) -> int:
        """Bytes of all complete files in a folder and below, to about a per cent; 0 for no such folder."""

    def remove(self, path: str) -> None:
        """Delete a folder with all that is in it."""

    def remove_file(self, path: str) -> None:
        """Delete a file, if there is one."""


def store_files(store: Store) -> StoreFiles:
    """The files of a store.

    :raises PermanentError: stores of this kind can be listed by their own tools only.
    """
    if store.web is not None and store.s3 is not None:
        return AlluxioFiles(store.web, store.s3)
    if store.uri.startswith("file://"):
        return LocalFiles()
    raise PermanentError(
        f"The store {store.uri} cannot be looked into from here; list and drop its tables by Spark SQL "
        f"(SHOW TABLES IN {store.catalog}.{store.namespace}; DROP TABLE … PURGE)."
    )


def path_in(uri: str) -> str:
    """The path of a URI of the store."""
    return urlsplit(uri).path


def tables_path(store: Store) -> str:
    """The folder in which the store has a folder for each table."""
    return f"{urlsplit(store.uri).path.rstrip('/')}/{store.namespace}"


class LocalFiles:
    """``file://…``"""

    def folders(self, path: str) -> list[str]:
        """As the protocol says."""
        folder = Path(path)
        return sorted(entry.name for entry in folder.iterdir() if entry.is_dir()) if folder.is_dir() else []

    def read(self, path: str) -> bytes:
        """As the protocol says."""
        return Path(path).read_bytes()

    def write(self, path: str, data: bytes) -> None:
        """As the protocol says."""
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_bytes(data)

    def in_memory(self, path: str) -> dict[str, bool]:
        """As the protocol says: what is there is whole."""
        return {str(file): True for file in Path(path).rglob("*") if file.is_file()}

    def size(self, path: str) -> int:
        """As the protocol says."""
        return sum(file.stat().st_size for file in Path(path).rglob("*") if file.is_file())

    def remove(self, path: str) -> None:
        """As the protocol says."""
        shutil.rmtree(path)

    def remove_file(self, path: str) -> None:
        """As the protocol says."""
        Path(path).unlink(missing_ok=True)


class AlluxioFiles:
    """``alluxio://…``, by the URLs of its master's web server and of its proxy's S3."""

    def __init__(self, web: str, s3: str) -> None:
        self.web = web
        self.s3 = s3.rstrip("/")
        self.user = getpass.getuser()  # as Alluxio's own client says by default

    def folders(self, path: str) -> list[str]:
        """As the protocol says. :raises RetryableError: the master does not answer."""
        parent, _, name = path.rpartition("/")
        # The root has no entry in any folder, and is always there.
        if name and not any(entry["name"] == name for entry in browse(self.web, parent or "/")):
            return []
        return sorted(entry["name"] for entry in browse(self.web, path) if entry["isDirectory"])

    def read(self, path: str) -> bytes:
        """As the protocol says. :raises RetryableError: the proxy does not answer."""
        response = self._s3("GET", path)
        if response.status_code == requests.codes.not_found:
            raise FileNotFoundError(path)
        if response.status_code == requests.codes.server_error and _INCOMPLETE in response.content:
            raise FileIncomplete(path)
        self._check(response)
        return response.content

    def write(self, path: str, data: bytes) -> None:
        """As the protocol says. :raises RetryableError: the proxy does not answer."""
        self._check(self._s3("PUT", path, data))

    def in_memory(self, path: str) -> dict[str, bool]:
        """As the protocol says. :raises RetryableError: the master does not answer."""
        parent, _, name = path.rpartition("/")
        return self._in_memory(path) if name in self.folders(parent) else {}

    def _in_memory(self, path: str) -> dict[str, bool]:
        found: dict[str, bool] = {}
        for entry in browse(self.web, path):
            inner = f"{path}/{entry['name']}"
            if entry["isDirectory"]:
                found |= self._in_memory(inner)
            else:
                found[inner] = entry["inAlluxioPercentage"] == ALL_PERCENT
        return found

    def size(self, path: str) -> int:
        """As the protocol says. :raises RetryableError: the master does not answer."""
        parent, _, name = path.rpartition("/")
        return self._size(path) if name in self.folders(parent) else 0

    def _size(self, path: str) -> int:
        return sum(
            self._size(f"{path}/{entry['name']}") if entry["isDirectory"] else bytes_of(entry["size"])
            for entry in browse(self.web, path)
        )

    def remove(self, path: str) -> None:
        """As the protocol says.

        :raises RetryableError: master or proxy do not answer; what is left can be removed again.
        :raises PermanentError: the files belong to another user.
        """
        for entry in list(browse(self.web, path)):  # all pages first: they shift while entries go
            if entry["isDirectory"]:
                self.remove(f"{path}/{entry['name']}")
            else:
                self._check(self._s3("DELETE", f"{path}/{entry['name']}"))
        self._check(self._s3("DELETE", f"{path}/"))

    def remove_file(self, path: str) -> None:
        """As the protocol says. :raises RetryableError, PermanentError: as :meth:`remove`."""
        response = self._s3("DELETE", path)
        if response.status_code != requests.codes.not_found:
            self._check(response)

    def _s3(self, method: str, path: str, data: bytes | None = None) -> requests.Response:
        try:
            return requests.request(
                method,
                self.s3 + quote(path),
                data=data,
                headers={"Authorization": _AUTHORIZATION.format(user=self.user)},
                timeout=TIMEOUT_SECONDS,
            )
        except requests.RequestException as error:
            raise RetryableError(
                f"Alluxio's proxy does not answer at {self.s3} ({type(error).__name__}); start it."
            ) from error

    def _check(self, response: requests.Response) -> None:
        if response.status_code == requests.codes.forbidden:
            raise PermanentError(
                f"Alluxio does not let the user {self.user!r} do this; run it as the user that runs the Spark jobs."
            )
        if not response.ok:
            raise RetryableError(f"Alluxio's proxy at {self.s3} answers {response.status_code}; see its log.")
