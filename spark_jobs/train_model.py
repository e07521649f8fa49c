"""Trains the late departures model as of a date: ``train_model.py <TrainJob as JSON>``."""

from __future__ import annotations

import sys

from pyspark.sql import SparkSession
from warehouse.answers import run_job
from warehouse.late_departures import train
from warehouse.train_spec import TrainJob, TrainResult
from warehouse.training import run_training


def train_model(session: SparkSession, job: TrainJob) -> TrainResult:
    """Answer ``job`` with the model of late departures."""
    return run_training(session, job, train)


if __name__ == "__main__":
    sys.exit(run_job(TrainJob, sys.argv, train_model))
