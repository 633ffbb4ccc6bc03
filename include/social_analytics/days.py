"""Which day a run covers, when a day has ended and when its run is due. Only this module computes it.

A day is a calendar day. Each provider declares its time zone (``Provider.timezone``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from zoneinfo import ZoneInfo

from include.social_analytics.connectors import providers
from include.social_analytics.dag_ids import DAILY_DAG
from include.social_analytics.errors import ErrorCode, JobError
from include.social_analytics.settings import PREFIX, Settings

_ONE_DAY = timedelta(days=1)


#: For so long after a day's end, a value that exists only as of now still counts for the day.
_ON_TIME = timedelta(hours=36)
_AFTER_MIDNIGHT = timedelta(minutes=1)


def day_ended_at(day: date, zone: tzinfo) -> datetime:
    """The moment, in UTC, at which ``day`` ends in ``zone``."""
    return datetime.combine(day + _ONE_DAY, time.min, zone).astimezone(UTC)


def day_ended_everywhere_at(day: date) -> tuple[datetime, ZoneInfo]:
    """When ``day`` ends for the last of the providers, in UTC; and in which zone that is."""
    zones = (provider.timezone for provider in providers().values())
    return max(((day_ended_at(day, zone), zone) for zone in zones), key=lambda end: end[0])


def is_on_time(day: date, zone: ZoneInfo, read_at: datetime) -> bool:
    """Whether a value as of now, such as the number of followers, still counts for ``day``."""
    return read_at < day_ended_at(day, zone) + _ON_TIME


def until_quota_returns(now: datetime, zone: ZoneInfo) -> timedelta:
    """How long a spent quota of the day lasts: until midnight in ``zone``.

    A minute longer, because the provider's clock is not ours. A call that comes too early is still refused,
    and that would look like the new day's quota: nobody would call for another day.

    :param now: aware.
    """
    return day_ended_at(now.astimezone(zone).date(), zone) + _AFTER_MIDNIGHT - now


def label_of(day: date) -> datetime:
    """The logical date of the run that covers ``day``: 00:00 UTC, for every provider's zone."""
    return datetime.combine(day, time.min, UTC)


def backfill_command(first: date, last: date) -> str:
    """The command that backfills these days. Without the offset, Airflow reads a date in its default zone."""
    days = (label_of(day).isoformat(timespec="minutes") for day in (first, last))
    return "airflow backfill create --dag-id {} --from-date {} --to-date {}".format(DAILY_DAG, *days)


@dataclass(frozen=True)
class DaySchedule:
    """Every day has one run: at the first ``run_at`` in ``timezone`` after the day has ended everywhere."""

    timezone: ZoneInfo
    run_at: time

    def run_time(self, day: date) -> datetime:
        """The moment, in UTC, at which the run for ``day`` is due; always later than for the day before.

        If a clock change skips ``run_at``, it moves forward by as much as the clock. If ``run_at`` comes
        twice, the first one that is not before the day's end counts.
        """
        due = self._first_run_at(day_ended_everywhere_at(day)[0])
        # If the two zones change their clocks differently, two days can be due at the same moment.
        # Airflow names backfill runs by this moment, and would drop the second.
        if due == self._first_run_at(day_ended_everywhere_at(day - _ONE_DAY)[0]):
            due += timedelta(seconds=1)
        return due

    def latest_due_day(self, moment: datetime) -> date:
        """The latest day whose run time is not after ``moment``."""
        # East of UTC a day ends before its UTC date does.
        day = moment.astimezone(UTC).date()
        while self.run_time(day) > moment:
            day -= _ONE_DAY
        return day

    def day_meant_by(self, logical_date: datetime) -> date:
        """The day that a manual run's logical date means.

        Midnight in UTC, a provider's zone, ``timezone`` or Airflow's default zone means the day that begins
        then. Any other moment means the latest day due at that moment.
        """
        begun = _day_begun_at(logical_date, self._zones())
        return self.latest_due_day(logical_date) if begun is None else begun

    def day_meant_by_end(self, end: datetime) -> date | None:
        """The day that an end of a backfill means, if it is midnight in some zone.

        Airflow's UI sends midnight in the browser's zone as a moment in UTC. If that is midnight in no zone
        of :meth:`day_meant_by`, the nearest midnight in UTC tells the day. Only more than 12 hours from UTC,
        as in Auckland's summer, that is the day before.
        """
        begun = _day_begun_at(end, [end.tzinfo or UTC, *self._zones()])
        # Every zone's midnight is at a quarter of an hour.
        if begun is None and end.minute % 15 == end.second == end.microsecond == 0:
            return (end.astimezone(UTC) + timedelta(hours=12)).date()
        return begun

    def _zones(self) -> list[tzinfo]:
        """The zones in which people write days.

        Midnight in two zones that are 24 hours apart begins two different days. The first zone counts.
        """
        # Not at the top: parsing the DAG file does not need it.
        from airflow.sdk import timezone

        of_providers = [provider.timezone for provider in providers().values()]
        of_airflow = timezone.parse("2000-01-01").tzinfo or UTC
        return [UTC, *of_providers, self.timezone, of_airflow]

    def _first_run_at(self, moment: datetime) -> datetime:
        """The first occurrence of ``run_at`` at or after ``moment``, in UTC."""
        local_date = moment.astimezone(self.timezone).date()
        while True:
            for occurrence in self._occurrences(local_date):
                if occurrence >= moment:
                    return occurrence
            local_date += _ONE_DAY

    def _occurrences(self, local_date: date) -> list[datetime]:
        # In UTC, because Python compares datetimes with the same tzinfo by their wall clocks.
        first, second = (
            datetime.combine(local_date, self.run_at.replace(fold=fold), self.timezone).astimezone(UTC)
            for fold in (0, 1)
        )
        # second > first: the time comes twice. second < first: it is skipped, and fold=0 moves it forward.
        return [first, second] if second > first else [first]


def _day_begun_at(moment: datetime, zones: Iterable[tzinfo]) -> date | None:
    """The day that begins at ``moment`` in one of the zones: in the first, if in several."""
    for zone in zones:
        local = moment.astimezone(zone)
        # A clock change may skip midnight, and then the day begins at 01:00.
        if local.time() == time.min or day_ended_at(local.date() - _ONE_DAY, zone) == moment:
            return local.date()
    return None


def latest_due_day(moment: datetime, settings: Settings) -> date:
    """The latest day whose run time is not after ``moment``."""
    return DaySchedule(settings.timezone, settings.run_at).latest_due_day(moment)


def day_of_run(
    *,
    run_type: str,
    logical_date: datetime | None,
    run_after: datetime,
    params: Mapping[str, object],
    conf: Mapping[str, object] | None,
    now: datetime,
    settings: Settings,
) -> date:
    """Which day a DAG run covers.

    A scheduled or backfill run: the day of its logical date. It equals the data interval's start,
    except where a backfill reprocesses a manual run: then only the logical date is right.
    Any other run: the param ``date``; else the day that its logical date means, or ``run_after`` if it has
    none (see :meth:`DaySchedule.day_meant_by`). Never its data interval: the command line infers that from
    the time of the call.

    :param run_type: ``DagRun.run_type`` as it is: scheduled, backfill, manual, … Not its ``str()``,
        which in a worker is ``DagRunType.BACKFILL``.
    :param params: the run's params, ``conf`` already merged in.
    :param conf: the run's own configuration.
    :raises JobError: ``config_invalid`` when the day is malformed or has not ended everywhere; when a run
        that is neither scheduled nor a backfill asks for a day before the start date; when a backfill's
        configuration has ``date``.
    """
    if run_type in {"scheduled", "backfill"} and logical_date is not None:
        if run_type == "backfill" and (conf or {}).get("date") is not None:
            raise _invalid(
                "date must not be in the configuration of a backfill: each of its runs covers its own day, "
                "from --from-date to --to-date."
            )
        day = logical_date.astimezone(UTC).date()
        require_ended(day, now, "logical date")
        return day

    schedule = DaySchedule(settings.timezone, settings.run_at)
    if params.get("date") is not None:
        field, day = "date", _parse_day(params["date"])
    elif logical_date is not None:
        field, day = "logical date", schedule.day_meant_by(logical_date)
    else:
        field, day = "run after", schedule.latest_due_day(run_after)
    require_ended(day, now, field)
    if day < settings.start_date:
        raise _invalid(
            f"{field} asks for {day}, which is before {PREFIX}START_DATE ({settings.start_date}): "
            f"use `{backfill_command(day, day)}` for earlier days."
        )
    return day


def require_ended(day: date, now: datetime, field: str) -> None:
    """Refuse a day that has not ended everywhere by ``now``.

    :param field: where the day comes from, for the error text.
    :raises JobError: ``config_invalid``.
    """
    ended, zone = day_ended_everywhere_at(day)
    if ended > now:
        raise _invalid(
            f"{field} asks for {day}, which has not ended: it ends at {ended:%Y-%m-%d %H:%M} UTC, "
            f"midnight in {zone}."
        )


def _parse_day(value: object) -> date:
    try:
        day = date.fromisoformat(str(value))
    except ValueError:
        day = None
    # Python also reads 20261101 and 2026-W44-7. Here, as in Airflow's form, only 2026-11-01 is valid.
    if day is None or day.isoformat() != value:
        raise _invalid(f"date must be a day such as 2026-11-01, not {value!r}.")
    return day


def _invalid(sentence: str) -> JobError:
    return JobError(ErrorCode.CONFIG_INVALID, sentence)
