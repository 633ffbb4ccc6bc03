"""Airflow's timetable of the daily run: when it is due, and which day it covers."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pendulum
from airflow.timetables.base import DagRunInfo, DataInterval, TimeRestriction, Timetable
from airflow.utils.types import DagRunType

from include.social_analytics.days import DaySchedule, label_of
from include.social_analytics.reports.period import ending_on

_ONE_DAY = timedelta(days=1)

#: The UI fills in the browser's time as the logical date.
_CLOCKS_DIFFER = timedelta(minutes=10)


class CalendarDayTimetable(Timetable):
    """One run for every day, labelled with the day and due once the day has ended for every provider.

    Day D's logical date is D 00:00 UTC and its data interval [D 00:00 UTC, D+1 00:00 UTC). The run is
    due at the first ``run_at`` in ``timezone`` at or after D's end in the last of the providers' zones.
    The ends of a backfill may be midnight in any zone.

    :param first_day: where catch-up begins. Airflow's own ``start_date`` will not do: a manual run before it
        would have no tasks, and succeed.
    """

    def __init__(self, timezone: ZoneInfo, run_at: time, first_day: date) -> None:
        self._schedule = DaySchedule(timezone, run_at)
        self._first_day = first_day
        self.description = (
            f"Every day, at the first {self._clock_time} in {timezone} "
            "after the day has ended for every provider"
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CalendarDayTimetable) and self.serialize() == other.serialize()

    def __hash__(self) -> int:
        return hash(self._schedule)

    @property
    def summary(self) -> str:
        """What the lists of DAGs show as the schedule."""
        return f"Daily, {self._clock_time} {self._schedule.timezone}"

    @property
    def _clock_time(self) -> str:
        return self._schedule.run_at.isoformat().removesuffix(":00")

    def serialize(self) -> dict[str, Any]:
        """What :meth:`deserialize` needs, as JSON."""
        return {
            "timezone": self._schedule.timezone.key,
            "run_at": self._schedule.run_at.isoformat(),
            "first_day": self._first_day.isoformat(),
        }

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> CalendarDayTimetable:
        """The timetable that :meth:`serialize` described."""
        return cls(
            ZoneInfo(data["timezone"]),
            time.fromisoformat(data["run_at"]),
            date.fromisoformat(data["first_day"]),
        )

    def next_dagrun_info(
        self, *, last_automated_data_interval: DataInterval | None, restriction: TimeRestriction
    ) -> DagRunInfo | None:
        """The run of the day after the last one, within the restriction.

        Without catch-up, not before the latest due day.
        """
        # Only a backfill has an end, and it may begin before the first day.
        is_backfill = restriction.latest is not None
        candidates = [] if is_backfill else [self._first_day]
        if last_automated_data_interval is not None:
            candidates.append(_utc_date(last_automated_data_interval.start) + _ONE_DAY)
        if restriction.earliest is not None:
            meant = self._schedule.day_meant_by_end(restriction.earliest) if is_backfill else None
            candidates.append(meant or _first_day_from(restriction.earliest))
        if not restriction.catchup:
            candidates.append(self._schedule.latest_due_day(datetime.now(UTC)))
        if not candidates:
            return None
        day = max(candidates)
        if restriction.latest is not None:
            last = self._schedule.day_meant_by_end(restriction.latest) or _utc_date(restriction.latest)
            if day > last:
                return None
        return DagRunInfo(
            run_after=pendulum.instance(self._schedule.run_time(day)), data_interval=_interval(day)
        )

    def infer_manual_data_interval(self, *, run_after: pendulum.DateTime) -> DataInterval:
        """The interval of a manual run with this logical date.

        For display only: the command line passes the time of the call, not the logical date, so no code
        may rely on a manual run's interval (see ``days.day_of_run``).

        :param run_after: the logical date.
        :raises ValueError: when it lies in the future. Airflow's API and UI answer with the message.
        """
        if run_after > datetime.now(UTC) + _CLOCKS_DIFFER:
            raise ValueError(
                f"The logical date {run_after.isoformat()} is in the future: its run would wait until then, "
                "and keep other runs waiting. Leave it empty, and give the day as `date`."
            )
        return _interval(self._schedule.day_meant_by(run_after))

    def generate_run_id(
        self,
        *,
        run_type: DagRunType,
        run_after: pendulum.DateTime,
        data_interval: DataInterval | None,
        **extra: Any,
    ) -> str:
        """Name a scheduled run after its day, not after the moment it is due: ``scheduled__2026-11-22``.

        This is unique: a day has at most one scheduled run. Manual runs keep Airflow's names: a day may
        have many, and their params are not known here. Airflow does not call this for backfills: it names
        their runs after the moment they are due.
        """
        if run_type == DagRunType.SCHEDULED and data_interval is not None:
            return run_type.generate_run_id(suffix=_utc_date(data_interval.start).isoformat())
        return super().generate_run_id(
            run_type=run_type, run_after=run_after, data_interval=data_interval, **extra
        )


class PeriodEndTimetable(CalendarDayTimetable):
    """As :class:`CalendarDayTimetable`, only for the days on which a week or a month ends."""

    def __init__(self, timezone: ZoneInfo, run_at: time, first_day: date) -> None:
        super().__init__(timezone, run_at, first_day)
        self.description = f"With the run of the last day of each week and month: {self.description}"

    @property
    def summary(self) -> str:
        """What the lists of DAGs show as the schedule."""
        return f"Weekly and monthly, {self._clock_time} {self._schedule.timezone}"

    def next_dagrun_info(
        self, *, last_automated_data_interval: DataInterval | None, restriction: TimeRestriction
    ) -> DagRunInfo | None:
        """The next run on the last day of a week or month, within the restriction."""
        while True:
            found = super().next_dagrun_info(
                last_automated_data_interval=last_automated_data_interval, restriction=restriction
            )
            if (
                found is None
                or found.data_interval is None
                or ending_on(_utc_date(found.data_interval.start))
            ):
                return found
            last_automated_data_interval = found.data_interval


def _interval(day: date) -> DataInterval:
    return DataInterval(pendulum.instance(label_of(day)), pendulum.instance(label_of(day + _ONE_DAY)))


def _utc_date(moment: datetime) -> date:
    return moment.astimezone(UTC).date()


def _first_day_from(moment: datetime) -> date:
    """The first day whose logical date is not before ``moment``."""
    day = _utc_date(moment)
    return day if label_of(day) == moment else day + _ONE_DAY
