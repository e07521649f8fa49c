"""What a command is asked about: a group, a table or a training, by its name in a manifest."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from warehouse.failures import PermanentError

from logical_warehouse.manifest import load_manifest
from logical_warehouse.manifest.problems import did_you_mean
from logical_warehouse.plan import Plan, SnapshotPlan, TrainingPlan, make_plan

if TYPE_CHECKING:
    from pathlib import Path

    from logical_warehouse.manifest import Manifest, Table


def find_group(manifest: Path, name: str) -> SnapshotPlan:
    """The plan of a group, or of the group of a table.

    :raises PermanentError: the manifest has no healthy one of this name, or cannot be read.
    """
    _, plan = _load(manifest)
    for group in plan.snapshots:
        if name in (group.group, *(table.name for table in group.tables)):
            return group
    raise _unknown(manifest, "group or table", name, (group.group for group in plan.snapshots))


def find_table(manifest: Path, name: str) -> tuple[Manifest, SnapshotPlan, Table]:
    """A table, with the plan of its group and all of the manifest that is healthy.

    :raises PermanentError: the manifest has no healthy one of this name, or cannot be read.
    """
    loaded, plan = _load(manifest)
    for group in plan.snapshots:
        for table in group.tables:
            if table.name == name:
                return loaded, group, table
    raise _unknown(manifest, "table", name, (table.name for group in plan.snapshots for table in group.tables))


def find_training(manifest: Path, name: str) -> TrainingPlan:
    """The plan of a training.

    :raises PermanentError: the manifest has no healthy one of this name, or cannot be read.
    """
    _, plan = _load(manifest)
    for training in plan.trainings:
        if training.training.name == name:
            return training
    raise _unknown(manifest, "training", name, (training.training.name for training in plan.trainings))


def _load(path: Path) -> tuple[Manifest, Plan]:
    loaded = load_manifest(path)
    if loaded.manifest is None:
        raise PermanentError("\n".join(str(problem) for problem in loaded.problems))
    return loaded.manifest, make_plan(loaded.manifest)


def _unknown(path: Path, kind: str, name: str, known: Iterable[str]) -> PermanentError:
    names = sorted(known)
    hint = did_you_mean(name, names)
    return PermanentError(
        f"{path} has no healthy {kind} {name!r}; {hint + ' ' if hint else ''}it has: {', '.join(names) or 'none'}; "
        f"`python -m logical_warehouse lint {path}` says what is wrong with others"
    )
