"""Which interval a run is about: one decision, taken once by ``check`` for all later tasks."""

from __future__ import annotations

from pendulum import DateTime
from warehouse.failures import PermanentError

from logical_warehouse.intervals import Interval, NotAnAsOf, Schedule


def resolve_interval(
    schedule: Schedule,
    *,
    as_of_param: str | None,
    data_interval: tuple[DateTime, DateTime] | None,
    run_after: DateTime,
) -> Interval:
    """Resolve the interval of a run.

    In this order: the param ``as_of``; the run's data interval (scheduled runs, backfills, and manual runs with a
    logical date); the last interval that was complete at ``run_after``, so that clearing an undated run keeps its date.

    :raises PermanentError: ``as_of`` is no as-of date of the schedule, or the data interval is none of its intervals.
    """
    if as_of_param is not None:
        try:
            return schedule.interval_of_label(as_of_param)
        except NotAnAsOf as error:
            raise PermanentError(str(error)) from error
    if data_interval is not None:
        start, end = (moment.in_timezone("UTC") for moment in data_interval)
        try:
            interval = schedule.interval_starting(start)
        except NotAnAsOf as error:
            raise PermanentError(f"The run's data interval is none of the schedule's: {error}.") from error
        if interval.end != end:
            raise PermanentError(
                f"The run's data interval ends at {end.to_iso8601_string()}, but the interval {interval.as_of} of the "
                f"schedule {schedule} ends at {interval.end.to_iso8601_string()}; trigger the run with the param as_of."
            )
        return interval
    return schedule.last_complete(run_after)


def intervals_before(schedule: Schedule, as_of: str, lookback: int, start: DateTime) -> tuple[Interval, ...]:
    """The ``lookback`` intervals before that of ``as_of``, oldest first; fewer where the first lies before ``start``.

    :raises NotAnAsOf: ``as_of`` is not an as-of date.
    """
    *earlier, _ = schedule.window(as_of, lookback + 1)
    return tuple(interval for interval in earlier if interval.start >= start)
