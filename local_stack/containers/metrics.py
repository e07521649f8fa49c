"""``metrics``: Airflow's StatsD messages (UDP, port 8125) as Prometheus reads them (``/metrics``, port 9102).

Names keep what StatsD has: ``airflow.ti.finish.dag.task.state`` becomes ``airflow_ti_finish_dag_task_state``.
Sources: StatsD's metric types; Prometheus' text format 0.0.4.
"""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

STATSD_PORT = 8125
METRICS_PORT = 9102
MOST_NAMES = 20_000
"""Further names are counted and not kept: names with run ids in them would grow for ever."""
_MESSAGE = re.compile(r"(?P<name>[^:|]+):(?P<value>[-+]?[0-9.eE+-]+)\|(?P<kind>c|g|ms|h|s)(?:\|@(?P<rate>[0-9.]+))?")
_PACKET = 65_535


class Metrics:
    """Counters, gauges, and of timers how many there were and how long they took together (seconds)."""

    def __init__(self) -> None:
        self._counters: dict[str, float] = {}
        self._gauges: dict[str, float] = {}
        self._lock = threading.Lock()
        self.refused = 0

    def receive(self, packet: str) -> None:
        """Take the messages of a packet; what is none is counted as refused."""
        for line in packet.splitlines():
            try:
                taken = (message := _MESSAGE.match(line)) and self._take(*message.groups())
            except (ValueError, ZeroDivisionError):
                taken = False
            if not taken:
                self.refused += 1

    def text(self) -> str:
        """All of it for Prometheus."""
        with self._lock:
            return "\n".join(self._lines()) + "\n"

    def _take(self, name: str, value: str, kind: str, rate: str | None) -> bool:
        """Whether it was taken."""
        name = re.sub(r"[^a-zA-Z0-9_]", "_", name)
        number = float(value)
        with self._lock:
            match kind:
                case "c":
                    return self._add(self._counters, f"{name}_total", number / float(rate or 1))
                case "g":
                    if value[0] not in "+-":  # with a sign it is a change
                        self._gauges.pop(name, None)
                    return self._add(self._gauges, name, number)
                case "ms" | "h":
                    return self._add(self._counters, f"{name}_seconds_sum", number / 1000) and self._add(
                        self._counters, f"{name}_seconds_count", 1
                    )
                case _:
                    return False

    def _add(self, where: dict[str, float], name: str, number: float) -> bool:
        if name not in where and len(self._counters) + len(self._gauges) >= MOST_NAMES:
            return False
        where[name] = where.get(name, 0.0) + number
        return True

    def _lines(self) -> Iterator[str]:
        for kind, values in (("counter", self._counters), ("gauge", self._gauges)):
            for name, value in sorted(values.items()):
                yield f"# TYPE {name} {kind}"
                yield f"{name} {value!r}"
        yield "# TYPE statsd_refused_total counter"
        yield f"statsd_refused_total {self.refused}"


def listen(metrics: Metrics, port: int = STATSD_PORT) -> socket.socket:
    """Receive packets in a thread until the socket that is returned is closed."""
    receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    receiver.bind(("", port))

    def receive() -> None:
        while receiver.fileno() >= 0:
            try:
                packet = receiver.recv(_PACKET)
            except OSError:
                return  # closed
            metrics.receive(packet.decode(errors="replace"))

    threading.Thread(target=receive, daemon=True).start()
    return receiver


def server(metrics: Metrics, port: int = METRICS_PORT) -> ThreadingHTTPServer:
    """The HTTP server of ``/metrics``."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = metrics.text().encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
            """A line for every scrape helps nobody."""

    return ThreadingHTTPServer(("", port), Handler)


def main(arguments: Sequence[str]) -> None:
    """Serve until the container ends."""
    metrics = Metrics()
    with listen(metrics), server(metrics) as serving:
        serving.serve_forever()
