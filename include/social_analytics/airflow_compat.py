"""What this package asks of a running Airflow beyond its public authoring interface: checked on 3.3."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from airflow.sdk import Asset, Connection, get_current_context
from airflow.sdk.exceptions import AirflowException, AirflowNotFoundException
from airflow.sdk.execution_time.timeout import timeout

from include.social_analytics.errors import ErrorCode, JobError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Airflow's own time-out, inside a task that may have one itself: that one goes on afterwards.

    :raises AirflowTaskTimeout: when the block takes longer.
    """
    began, (left, _) = time.monotonic(), signal.getitimer(signal.ITIMER_REAL)
    handler = signal.getsignal(signal.SIGALRM)
    try:
        with timeout(seconds):  # type: ignore[no-untyped-call]
            yield
    finally:
        if left:
            signal.signal(signal.SIGALRM, handler)
            signal.setitimer(signal.ITIMER_REAL, max(left - (time.monotonic() - began), 0.001))


def find_connection(conn_id: str) -> Connection | None:
    """Airflow's connection ``conn_id``, or ``None`` where there is none.

    :raises JobError: ``config_invalid`` when it is set but cannot be read, or its extra is no JSON object.
    """
    try:
        known: Connection = Connection.get(conn_id)
    except AirflowNotFoundException:
        _require_unset(conn_id)
        return None
    try:
        has_object = isinstance(json.loads(known.extra or "{}"), dict)
    except ValueError:
        has_object = False
    if not has_object:
        raise JobError(
            ErrorCode.CONFIG_INVALID,
            f"The extra of the Airflow connection {conn_id!r} must be a JSON object, "
            'such as {"name": "value"}.',
        )
    return known


def _require_unset(conn_id: str) -> None:
    """Airflow also says "not found" about a connection that it cannot read: tell the two apart.

    :raises JobError: ``config_invalid`` when a secrets backend has a value that is not a connection;
        ``unexpected`` when it does not answer. Without Airflow's own words, which may show the password.
    """
    from airflow.sdk.execution_time.secrets import ExecutionAPISecretsBackend
    from airflow.sdk.execution_time.supervisor import ensure_secrets_backend_loaded

    for backend in ensure_secrets_backend_loaded():
        # The API server gives no reason for what it cannot read.
        if isinstance(backend, ExecutionAPISecretsBackend):
            continue
        try:
            if (found := backend.get_connection(conn_id)) is not None:
                found.get_uri()
        except (ValueError, TypeError, LookupError, AttributeError, AirflowException):
            raise JobError(
                ErrorCode.CONFIG_INVALID,
                f"The Airflow connection {conn_id!r} is set but cannot be read: write it as JSON, or "
                "percent-encode the special characters in its URI, for example # as %23.",
            ) from None
        except Exception as error:
            raise JobError(
                ErrorCode.UNEXPECTED,
                f"{type(backend).__name__} cannot be asked for the Airflow connection {conn_id!r}: "
                f"{type(error).__name__}.",
            ) from None


def current_context() -> Any:
    """The context of the task that is executing; its types differ between Airflow's versions."""
    return get_current_context()


def first_try() -> int:
    """The number of the task's first try in the run or since it was cleared."""
    ti = current_context()["ti"]
    return int(ti.max_tries) - (ti.task.retries or 0) + 1


def is_first_start() -> bool:
    """Whether this is the task's first start in the run or since it was cleared.

    A retry has a higher try number; a start after a wait for quota has the same one.
    """
    context = current_context()
    return bool(context["ti"].try_number == first_try() and context.get("task_reschedule_count", 0) == 0)


def is_last_try() -> bool:
    """Whether Airflow does not retry the task after this try."""
    ti = current_context()["ti"]
    return bool(ti.try_number > ti.max_tries)


def emit_partition(asset: Asset, key: str, extra: Mapping[str, Any]) -> None:
    """Emit an event of one of the task's outlets when the task succeeds: a partition, and what is said of it.

    An event with a partition starts only DAGs with a ``PartitionedAssetTimetable``.
    """
    event = current_context()["outlet_events"][asset]
    event.extra = dict(extra)
    event.add_partitions(key)


def emit_nothing() -> None:
    """Emit no event when the task succeeds. Else Airflow emits one for each outlet, without a partition."""
    current_context()["ti"].task.outlets.clear()


def task_states(*task_ids: str) -> dict[str, str]:
    """The states of this run's tasks. A task without a state is absent.

    :returns: task id -> state. A mapped task's key is its id, an underscore and the map index.
    """
    ti = current_context()["ti"]
    states: dict[str, dict[str, str]] = ti.get_task_states(
        dag_id=ti.dag_id, task_ids=list(task_ids), run_ids=[ti.run_id]
    )
    return states.get(ti.run_id, {})


def task_state_in(dag_id: str, task_id: str, run_ids: Sequence[str]) -> dict[str, str | None]:
    """The states of an unmapped task, by run id. A run that does not exist is absent."""
    states: dict[str, dict[str, str | None]] = current_context()["ti"].get_task_states(
        dag_id=dag_id, task_ids=[task_id], run_ids=list(run_ids)
    )
    return {run_id: of_run.get(task_id) for run_id, of_run in states.items()}


def has_ended(dag_id: str, run_id: str) -> bool:
    """Whether a DAG's run has ended, or does not exist any more. Asked from a task."""
    ti = current_context()["ti"]
    return not ti.get_dr_count(dag_id, run_ids=[run_id], states=_ACTIVE)


def ended_runs(dag_id: str, run_ids: Collection[str]) -> set[str]:
    """Those of a DAG's runs that have ended, or do not exist any more. Asked from the API server."""
    # Tasks may not import these.
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        active = session.scalars(
            select(DagRun.run_id).where(
                DagRun.dag_id == dag_id, DagRun.run_id.in_(run_ids), DagRun.state.in_(_ACTIVE)
            )
        )
        return set(run_ids) - set(active)


class RunState(StrEnum):
    """The state of a DAG's run for a logical date."""

    QUEUED = "queued"
    RUNNING = "running"
    ENDED = "ended"
    MISSING = "missing"


_ACTIVE = ["queued", "running"]

# In lifecycle order, so that a run which moves on between two questions is still found.
_ASKED: Sequence[tuple[RunState, list[str]]] = (
    (RunState.QUEUED, ["queued"]),
    (RunState.RUNNING, ["running"]),
    (RunState.ENDED, ["success", "failed"]),
)


def run_state(dag_id: str, logical_date: datetime) -> RunState:
    """Ask Airflow for the state of the run of ``dag_id`` with this logical date."""
    ti = current_context()["ti"]
    for found, states in _ASKED:
        if ti.get_dr_count(dag_id, logical_dates=[logical_date], states=states):
            return found
    return RunState.MISSING
