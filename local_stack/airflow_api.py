"""The part of Airflow's REST interface (``/api/v2``) that the demo and the tests use."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from local_stack.errors import StackError

Json = dict[str, Any]
FINISHED: Final = ("success", "failed")
_PAGE = 100


class ApiError(StackError):
    """Airflow answered with an error. ``status``: its HTTP code."""

    def __init__(self, method: str, path: str, status: int, detail: str) -> None:
        self.status = status
        super().__init__(f"Airflow answered {method} {path} with {status}: {detail}")


@dataclass(frozen=True)
class Connection:
    """An Airflow connection."""

    connection_id: str
    conn_type: str
    host: str | None = None
    login: str | None = None
    password: str | None = field(default=None, repr=False)


class AirflowApi:
    """A client with one user's token, fetched on first use and again when it has ended."""

    def __init__(self, url: str, user: str, password: str) -> None:
        self._url = url
        self._user = user
        self._password = password
        self._token: str | None = None

    def is_healthy(self) -> bool:
        """Whether the api-server answers and scheduler, dag-processor and triggerer beat."""
        try:
            health = self._send("GET", "/api/v2/monitor/health", None, token=None)
        except (ApiError, OSError):
            return False
        return all(
            (health.get(name) or {}).get("status") == "healthy"
            for name in ("metadatabase", "scheduler", "dag_processor", "triggerer")
        )

    def put_connection(self, connection: Connection) -> None:
        """Create the connection, or replace one of the same id."""
        body = asdict(connection)
        self.call(
            "PATCH",
            "/connections",
            {"actions": [{"action": "create", "entities": [body], "action_on_existence": "overwrite"}]},
        )

    def dag_ids(self) -> set[str]:
        """The DAGs that Airflow knows now."""
        return {dag["dag_id"] for dag in self._all("/dags", "dags")}

    def import_errors(self) -> list[Json]:
        """Broken DAG files, each with ``filename`` and ``stack_trace``."""
        return self._all("/importErrors", "import_errors")

    def set_paused(self, dag_id: str, paused: bool) -> None:
        """Pause or unpause a DAG."""
        self.call("PATCH", f"/dags/{dag_id}", {"is_paused": paused})

    def trigger(
        self,
        dag_id: str,
        *,
        logical_date: str | None = None,
        partition_key: str | None = None,
        params: Json | None = None,
    ) -> Json:
        """Start a run; dates as ISO 8601."""
        body: Json = {"logical_date": logical_date, "conf": params or {}}
        if partition_key is not None:
            body["partition_key"] = partition_key
        return self.call("POST", f"/dags/{dag_id}/dagRuns", body)

    def create_backfill(
        self, dag_id: str, first: str, last: str, *, reprocess: str = "completed", max_active_runs: int = 3
    ) -> Json:
        """Backfill the intervals that start on ``first`` to ``last``, both included.

        :param first: ISO 8601 with zone, as ``last``.
        :param reprocess: ``none``, ``failed`` or ``completed``: which existing runs to run again.
        """
        return self.call(
            "POST",
            "/backfills",
            {
                "dag_id": dag_id,
                "from_date": first,
                "to_date": last,
                "reprocess_behavior": reprocess,
                "max_active_runs": max_active_runs,
                "run_backwards": False,
            },
        )

    def cancel_backfills(self, dag_id: str) -> None:
        """Cancel what an interrupted caller left unfinished: Airflow allows one active backfill of a DAG."""
        for backfill in self._all("/backfills", "backfills", dag_id=dag_id):
            if backfill["completed_at"] is None:
                self.call("PUT", f"/backfills/{backfill['id']}/cancel")

    def changed_tasks(self, since: str) -> list[Json]:
        """Task instances of any run that changed after the moment ``since``, ISO 8601 with zone."""
        return self._all("/dags/~/dagRuns/~/taskInstances", "task_instances", updated_at_gte=since)

    def backfill(self, backfill_id: int) -> Json:
        """One backfill; ``completed_at`` is set when all its runs have ended."""
        return self.call("GET", f"/backfills/{backfill_id}")

    def runs(self, dag_id: str) -> list[Json]:
        """All runs of a DAG, oldest first."""
        return self._all(f"/dags/{dag_id}/dagRuns", "dag_runs", order_by="run_after")

    def run(self, dag_id: str, run_id: str) -> Json:
        """One run."""
        return self.call("GET", f"/dags/{dag_id}/dagRuns/{_quoted(run_id)}")

    def task_instances(self, dag_id: str, run_id: str) -> list[Json]:
        """The tasks of a run, in their last try."""
        return self._all(f"/dags/{dag_id}/dagRuns/{_quoted(run_id)}/taskInstances", "task_instances")

    def clear(self, dag_id: str, run_id: str, *task_ids: str) -> Json:
        """Run tasks of a run again, with all that follows them; without ids, the whole run."""
        body: Json = {"dry_run": False, "dag_run_id": run_id, "only_failed": False, "include_downstream": True}
        if task_ids:
            body["task_ids"] = list(task_ids)
        return self.call("POST", f"/dags/{dag_id}/clearTaskInstances", body)

    def xcom(self, dag_id: str, run_id: str, task_id: str, key: str = "return_value") -> Any:
        """A value that a task returned."""
        path = f"/dags/{dag_id}/dagRuns/{_quoted(run_id)}/taskInstances/{task_id}/xcomEntries/{key}"
        return self.call("GET", path)["value"]

    def task_log(self, dag_id: str, run_id: str, task_id: str, attempt: int) -> str:
        """The log of one try, one event a line, with the text of an exception where there is one."""
        path = f"/dags/{dag_id}/dagRuns/{_quoted(run_id)}/taskInstances/{task_id}/logs/{attempt}"
        lines = []
        for entry in self.call("GET", path)["content"]:
            if isinstance(entry, str):
                lines.append(entry)
                continue
            lines.append(" ".join(filter(None, [entry.get("timestamp"), entry.get("level"), entry.get("event")])))
            lines += [f"{error['exc_type']}: {error['exc_value']}" for error in entry.get("error_detail") or []]
        return "\n".join(lines)

    def asset_events(self) -> list[Json]:
        """All asset events, oldest first, each with its ``extra`` and ``source_run_id``."""
        return self._all("/assets/events", "asset_events", order_by="timestamp")

    def wait_run(self, dag_id: str, run_id: str, timeout: float = 300) -> Json:
        """The run, once it has ended.

        :raises StackError: it has not ended in ``timeout`` seconds.
        """
        deadline = time.monotonic() + timeout
        while (run := self.run(dag_id, run_id))["state"] not in FINISHED:
            if time.monotonic() > deadline:
                raise StackError(f"{dag_id} {run_id} has not ended in {timeout:.0f} s: it is {run['state']}")
            time.sleep(0.5)
        return run

    def call(self, method: str, path: str, body: Json | None = None) -> Json:
        """Any request under ``/api/v2``.

        :raises ApiError: Airflow refused it.
        :raises OSError: nobody answers.
        """
        try:
            return self._send(method, f"/api/v2{path}", body, token=self._token or self._login())
        except ApiError as error:
            if error.status != 401:  # noqa: PLR2004 - "unauthorized": the token has ended
                raise
            return self._send(method, f"/api/v2{path}", body, token=self._login())

    def _all(self, path: str, key: str, **query: str) -> list[Json]:
        items: list[Json] = []
        while True:
            parameters = urllib.parse.urlencode({"limit": _PAGE, "offset": len(items), **query})
            page = self.call("GET", f"{path}?{parameters}")
            items += page[key]
            if not page[key] or len(items) >= page["total_entries"]:
                return items

    def _login(self) -> str:
        body = {"username": self._user, "password": self._password}
        token: str = self._send("POST", "/auth/token", body, token=None)["access_token"]
        self._token = token
        return token

    def _send(self, method: str, path: str, body: Json | None, *, token: str | None) -> Json:
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._url + path, data=data, headers=headers, method=method)  # noqa: S310
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - our own http address
                answered: Json = json.loads(answer.read() or b"{}")
                return answered
        except urllib.error.HTTPError as error:
            raise ApiError(method, path, error.code, error.read().decode(errors="replace")[:500]) from error


def _quoted(run_id: str) -> str:
    return urllib.parse.quote(run_id, safe="")
