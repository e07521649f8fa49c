"""Telling people: the notifiers of Airflow that the manifest names, for failed tasks and for what the monitor finds.

A notifier is a class of some provider (mail, chat, pager) that reaches its service through an Airflow connection. It is
made anew for each message, since rendering its templates changes it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseNotifier
from airflow.sdk.exceptions import AirflowException
from warehouse.failures import PermanentError

from logical_warehouse.manifest import Notifier

if TYPE_CHECKING:
    from airflow.sdk import Context

PROBLEM = "warehouse_problem"
"""Variable of the notifiers' templates: what is the case and what to do, one sentence."""

_log = logging.getLogger(__name__)


def make_notifier(configured: Notifier) -> BaseNotifier:
    """The notifier that the manifest means.

    :raises PermanentError: there is no such class, it is no notifier, or it does not take these arguments.
    """
    module, _, name = configured.notifier.rpartition(".")
    try:
        notifier_class: Any = getattr(import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise PermanentError(
            f"The notifier {configured.notifier} of the manifest (notify) cannot be imported: {error}; install its "
            "provider where Airflow runs, or correct its name."
        ) from error
    if not (isinstance(notifier_class, type) and issubclass(notifier_class, BaseNotifier)):
        raise PermanentError(f"{configured.notifier} of the manifest (notify) is not a notifier of Airflow.")
    try:
        return notifier_class(**configured.arguments)
    except TypeError as error:
        raise PermanentError(
            f"The notifier {configured.notifier} does not take its arguments in the manifest (notify): {error}."
        ) from error


def problems_of(configured: Iterable[Notifier]) -> Iterator[str]:
    """What is wrong with the manifest's notifiers, a sentence for each that is of no use."""
    for one in configured:
        try:
            make_notifier(one)
        except PermanentError as error:
            yield str(error)


def tell(configured: Iterable[Notifier], context: Context, problem: str) -> bool:
    """Tell every notifier; whether all were reached. One that fails does not keep the others from being told."""
    reached = True
    for one in configured:
        try:
            make_notifier(one)({**context, PROBLEM: problem})
        except Exception as error:  # noqa: BLE001  # of whatever service it talks to
            # Not its text: that may hold an address or a token.
            _log.warning("The notifier %s could not be reached (%s): %s", one.notifier, type(error).__name__, problem)
            reached = False
    return reached


def on_failure(configured: tuple[Notifier, ...], *, of_own: bool = True) -> list[Callable[[Context], None]]:
    """Callbacks of a task that has failed for good; none without notifiers.

    :param of_own: also of failures with a sentence of this package; else only of what nobody has foreseen.
    """

    def callback(context: Context) -> None:
        if not of_own and isinstance(context.get("exception"), AirflowException):
            return
        tell(configured, context, failure_sentence(context))

    return [callback] if configured else []


def failure_sentence(context: Any) -> str:
    """What failed: the sentence of this package's own failures; of any other only its kind, for it may hold a value."""
    ti, error = context["ti"], context.get("exception")
    reason = str(error) if isinstance(error, AirflowException) else f"it ended with {type(error).__name__}"
    return f"{ti.dag_id}.{ti.task_id} has failed in run {ti.run_id}: {reason}"
