"""What providers refuse (table ``unsupported_metric``), shared by all channels of a provider."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from include.social_analytics.connectors.reading import UnsupportedMetric
from include.social_analytics.databases import Database

# In a fixed order against deadlocks, because all integrations of a provider share these rows.
_RECORD = """
INSERT INTO analytics.unsupported_metric AS known
    (provider, api_version, metric, first_seen_at, last_seen_at, reason)
SELECT DISTINCT ON (api_version, metric)
       %(provider)s, api_version, metric, %(observed_at)s, %(observed_at)s, reason
FROM unnest(%(api_versions)s::text[], %(metrics)s::text[], %(reasons)s::text[])
     AS new (api_version, metric, reason)
ORDER BY api_version, metric
ON CONFLICT (provider, api_version, metric) DO UPDATE
SET last_seen_at = excluded.last_seen_at, reason = excluded.reason
WHERE known.last_seen_at <= excluded.last_seen_at
"""

# Only a refusal that was seen renews last_seen_at. So what is not asked for is asked for again after a week.
_LATELY = """
SELECT api_version, metric, reason
FROM analytics.unsupported_metric
WHERE provider = %s AND last_seen_at > clock_timestamp() - interval '7 days'
"""


def record(
    analytics: Database, provider: str, refused: Sequence[UnsupportedMetric], observed_at: datetime
) -> None:
    """Record what a reading was refused. Part of the transaction that stores it."""
    if refused:
        analytics.execute(
            _RECORD,
            {
                "provider": provider,
                "observed_at": observed_at,
                "api_versions": [one.api_version for one in refused],
                "metrics": [one.source_metric for one in refused],
                "reasons": [one.reason for one in refused],
            },
        )


def lately(analytics: Database, provider: str) -> tuple[UnsupportedMetric, ...]:
    """What the provider refused in the last week. Read before each reading, so that the first channel that
    asks again after a week spares the later ones."""
    return tuple(UnsupportedMetric(*row) for row in analytics.execute(_LATELY, [provider]))
