"""Why the store does not take or give what it is asked for."""

from __future__ import annotations

from dataclasses import dataclass

from warehouse.failures import PermanentError, RetryableError


@dataclass(eq=False)
class StoreUnreachable(RetryableError):
    uri: str

    def __str__(self) -> str:
        return f"the store {self.uri} cannot be reached or has no worker"


@dataclass(eq=False)
class StoreFull(RetryableError):
    uri: str
    table: str | None = None

    def __str__(self) -> str:
        what = f"table {self.table} does" if self.table else "the data does"
        return f"{what} not fit into the free memory of the store {self.uri}"


@dataclass(eq=False)
class TooFewWorkers(RetryableError):
    """A file cannot be written in as many copies as asked for."""

    uri: str

    def __str__(self) -> str:
        return (
            f"the store {self.uri} has fewer live workers, on different hosts, than the copies that store.replication "
            "asks for; start more"
        )


@dataclass(eq=False)
class StoreDataLost(RetryableError):
    uri: str
    table: str | None = None

    def __str__(self) -> str:
        what = f"table {self.table}" if self.table else "a table"
        return f"the store {self.uri} lists files of {what} whose contents it has lost; capture it again"


@dataclass(eq=False)
class FileIncomplete(RetryableError):
    """A file that is being written, or whose writer died before it was complete: it has no contents yet."""

    path: str

    def __str__(self) -> str:
        return f"{self.path} in the store is being written, or whoever wrote it died; it cannot be read"


@dataclass(eq=False)
class TableNotInStore(PermanentError):
    table: str

    def __str__(self) -> str:
        return f"table {self.table} is not in the store: no snapshot of it was ever written"


@dataclass(eq=False)
class BranchGone(PermanentError):
    table: str
    branch: str

    def __str__(self) -> str:
        return f"table {self.table}: the run branch {self.branch} is gone, a later try replaced it; run snapshot again"


@dataclass(eq=False)
class BranchChanged(PermanentError):
    table: str
    branch: str

    def __str__(self) -> str:
        return f"table {self.table}: the run branch {self.branch} was changed after its capture; run snapshot again"
