"""Asks for insights, and does without what the API refuses."""

from __future__ import annotations

from collections.abc import Iterable

import structlog

from include.social_analytics.connectors.reading import UnsupportedMetric, Window, as_sentence
from include.social_analytics.errors import ErrorCode, JobError
from include.social_analytics.graph_api.client import GraphClient
from include.social_analytics.graph_api.paging import items_of
from include.social_analytics.json_values import objects

log = structlog.get_logger(__name__)

#: Each of the API's metrics in one answer, as it came.
Items = dict[str, dict[str, object]]


class Asking:
    """Asks for the same metrics again and again: of a profile on several days, or of several posts.

    If a call fails that may be one metric's fault, each metric is asked for alone. A metric that fails alone
    is not asked for again in this reading, unless only this post refuses it.
    """

    def __init__(
        self, client: GraphClient, metrics: Iterable[str], window: Window, *, whose: str = ""
    ) -> None:
        """:param whose: names the metrics apart from a profile's in the ledger: "of posts"."""
        self._client = client
        self._suffix = f" {whose}" if whose else ""
        lately = {
            one.source_metric: one
            for one in window.refused
            if one.api_version == client.api_version and _is_about_every_account(one.reason)
        }
        asked = tuple(metrics)
        #: Lately refused, so not asked for now.
        self.withheld = tuple(one for metric in asked if (one := lately.get(metric + self._suffix)))
        #: What is asked for.
        self.metrics = tuple(metric for metric in asked if metric + self._suffix not in lately)
        #: What failed alone.
        self.failed: dict[str, JobError] = {}
        #: Whether asking for each metric alone may help.
        self._may_split = True

    @property
    def unsupported(self) -> tuple[UnsupportedMetric, ...]:
        """What the API refused in this reading."""
        return tuple(
            UnsupportedMetric(self._client.api_version, metric + self._suffix, error.reason)
            for metric, error in self.failed.items()
            if error.code is ErrorCode.REQUEST_INVALID
        )

    @property
    def missing(self) -> tuple[str, ...]:
        """What failed otherwise, as sentences."""
        return tuple(
            f"The metric {metric}{self._suffix} could not be read: {as_sentence(error.reason)}"
            for metric, error in self.failed.items()
            if error.code is not ErrorCode.REQUEST_INVALID
        )

    def ask(self, *path: str, **params: str | int) -> Items:
        """The metrics by name; absent is what the API left out, and what failed alone.

        :raises JobError: for a failure that is not one metric's; when each metric fails alone.
        """
        if not self.metrics:
            return {}
        try:
            return self._request(self.metrics, path, params)
        except JobError as error:
            if not _may_be_one_metric(error) or len(self.metrics) == 1 or not self._may_split:
                raise
            log.warning("insights refused, asking metric by metric", reason=error.reason)
        found: Items = {}
        failed: dict[str, JobError] = {}
        for metric in self.metrics:
            try:
                found |= self._request((metric,), path, params)
            except JobError as error:
                if not _may_be_one_metric(error):
                    raise
                failed[metric] = error
        if len(failed) == len(self.metrics):
            self._may_split = False
            raise next(iter(failed.values()))
        self.failed |= {
            metric: error for metric, error in failed.items() if not self._is_about_this_post(error)
        }
        self.metrics = tuple(metric for metric in self.metrics if metric not in self.failed)
        return found

    def _is_about_this_post(self, error: JobError) -> bool:
        is_refusal = error.code is ErrorCode.REQUEST_INVALID
        return bool(self._suffix) and is_refusal and not _is_about_every_account(error.reason)

    def _request(
        self, metrics: tuple[str, ...], path: tuple[str, ...], params: dict[str, str | int]
    ) -> Items:
        # Never follow paging.next: it is always there, and leads into the future.
        body = self._client.get(*path, metric=",".join(metrics), **params)
        found: Items = {}
        for item in objects(items_of(body)):
            if (name := str(item.get("name"))) in metrics:
                found.setdefault(name, item)
        return found


def _may_be_one_metric(error: JobError) -> bool:
    """Whether the call may work without one of its metrics.

    Threads answers code 1, HTTP 500, to metrics that it does not have, and when it is down for one account.
    """
    return error.code is ErrorCode.REQUEST_INVALID or (
        error.code is ErrorCode.API_UNAVAILABLE and error.provider_code == "1"
    )


def _is_about_every_account(reason: str) -> bool:
    """Whether a refusal lists the metrics that there are. Then no profile has the refused one."""
    return "must be one of" in reason
