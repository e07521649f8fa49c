"""``spark-submit clean_store.py '<CleanJob as JSON>'``: list or remove what nothing in the store needs."""

from __future__ import annotations

import sys

from warehouse.answers import run_command
from warehouse.clean_spec import CleanJob
from warehouse.store_cleaning import clean_store

if __name__ == "__main__":
    sys.exit(run_command(CleanJob, sys.argv, clean_store))
