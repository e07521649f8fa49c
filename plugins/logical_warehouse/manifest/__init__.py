"""The table manifest: as written (``*Config``), checked and resolved (:class:`Manifest` and what it holds)."""

from logical_warehouse.manifest.columns import Columns
from logical_warehouse.manifest.history import History
from logical_warehouse.manifest.load import LoadedManifest, load_manifest
from logical_warehouse.manifest.manifest import Group, Manifest
from logical_warehouse.manifest.monitor import Monitor, Notifier
from logical_warehouse.manifest.problems import Problem
from logical_warehouse.manifest.source import Source
from logical_warehouse.manifest.spark import Spark
from logical_warehouse.manifest.store import Store
from logical_warehouse.manifest.table import Checks, Retention, Split, Table
from logical_warehouse.manifest.training import Training, TrainingInput

__all__ = [
    "Checks",
    "Columns",
    "Group",
    "History",
    "LoadedManifest",
    "Manifest",
    "Monitor",
    "Notifier",
    "Problem",
    "Retention",
    "Source",
    "Spark",
    "Split",
    "Store",
    "Table",
    "Training",
    "TrainingInput",
    "load_manifest",
]
