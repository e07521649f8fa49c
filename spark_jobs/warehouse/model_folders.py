"""Names of what a training leaves below its ``model_path``: pure, so that both sides know a training's folder by it."""

from __future__ import annotations

import re
import secrets

from warehouse.run_spec import RunSpec

POINTER = "current.json"
"""File that names the ``folder`` that counts, and the one ``before``, which readers may still have open."""
INPUTS = "inputs.json"

_FOLDER = re.compile(r"(?P<key>[a-z0-9_]*_[0-9a-f]{8})-try\d+(-[0-9a-f]{8})?")


def new_folder(run: RunSpec) -> str:
    """A folder that nobody has, for the model of a try: Airflow may ask one try twice, and both may be writing."""
    return f"{run.key}-try{run.attempt}-{secrets.token_hex(4)}"


def run_key_of(folder: str) -> str | None:
    """``RunSpec.key`` of the run whose model a folder holds; None for a folder that no training made."""
    found = _FOLDER.fullmatch(folder)
    return found["key"] if found else None
