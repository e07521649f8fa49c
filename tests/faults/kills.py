"""The faults of the matrix: what is killed, and what an operator or a supervisor then starts again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from local_stack.stack import Stack
from tests.faults import processes
from tests.faults.ledger import Ledger
from tests.faults.processes import Driver


@dataclass
class Scene:
    """What a fault acts on: all services, the source, and the driver that waits at the point."""

    stack: Stack
    ledger: Ledger
    driver: Driver
    reading: bool
    """Whether the driver reads the source at this point."""
    orphans: list[int] = field(default_factory=list)
    """Processes that outlive what was killed, and that nobody else will end."""


@dataclass(frozen=True)
class Fault:
    """``strike`` kills; ``restore`` starts again what does not come back by itself, once the driver goes on.

    ``store_down``: whether readers may meet an error meanwhile.
    """

    name: str
    strike: Callable[[Scene], None]
    restore: Callable[[Scene], None]
    store_down: bool = False

    def __str__(self) -> str:
        return self.name


def _nothing(scene: Scene) -> None:
    """Airflow's next try replaces what was killed."""


def _kill_driver(scene: Scene) -> None:
    processes.kill(*scene.driver.processes)


def _kill_airflow_worker(scene: Scene) -> None:
    """The worker's process alone: task and driver live on, and nobody hears of them."""
    processes.kill(scene.driver.worker)


def _kill_airflow_host(scene: Scene) -> None:
    """As when a container is killed: the worker, its task and the driver at once."""
    processes.kill(scene.driver.worker, scene.driver.task, *scene.driver.processes)


def _kill_scheduler(scene: Scene) -> None:
    scheduler = scene.stack.airflow.services["scheduler"].pid
    assert scheduler is not None
    # Its executor's workers go on with what they do, and afterwards wait for ever for work from nobody.
    scene.orphans += [pid for pid in processes.descendants(scheduler) if processes.is_airflow_worker(pid)]
    processes.kill(scheduler)


def _start_scheduler(scene: Scene) -> None:
    scene.stack.airflow.launch()


def _kill_alluxio(server: str) -> Callable[[Scene], None]:
    def kill(scene: Scene) -> None:
        pid = scene.stack.alluxio.services[server].pid
        assert pid is not None
        processes.kill(pid)

    return kill


def _start_alluxio(scene: Scene) -> None:
    scene.stack.alluxio.start()


def _terminate(which: str) -> Callable[[Scene], None]:
    def terminate(scene: Scene) -> None:
        if scene.reading:
            assert scene.ledger.terminate(which) > 0  # type: ignore[arg-type]
        else:
            # Nothing reads any more: the source stays away until the run has ended, which must not need it.
            scene.ledger.admit(False)
            scene.ledger.terminate("all")

    return terminate


FAULTS = (
    Fault("Spark driver", _kill_driver, _nothing),
    Fault("Airflow worker", _kill_airflow_worker, _nothing),
    Fault("Airflow worker with its tasks", _kill_airflow_host, _nothing),
    Fault("scheduler", _kill_scheduler, _start_scheduler),
    Fault("Alluxio worker", _kill_alluxio("worker"), _start_alluxio, store_down=True),
    Fault("Alluxio master", _kill_alluxio("master"), _start_alluxio, store_down=True),
    Fault("connection of the holder", _terminate("holder"), _nothing),
    Fault("connection of a split", _terminate("splits"), _nothing),
)
