"""The dashboards of include/deploy/grafana: each query runs as analytics_reader on a filled database.

Grafana's macros and variables are expanded here as its documentation of the PostgreSQL data source says.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

import psycopg
import pytest
import yaml

from include.sandbox.local_airflow import PROJECT
from tests.support.filled import READER, filled

GRAFANA = PROJECT / "include/deploy/grafana"
BOARDS = {path.stem: json.loads(path.read_text()) for path in sorted(GRAFANA.glob("dashboards/*.json"))}
PANELS = [(name, panel) for name, board in BOARDS.items() for panel in board["panels"]]
#: Panels that are empty while nothing is wrong.
QUIET = {"Waits for quota and quota failures", "Refused by the APIs"}


@pytest.fixture(scope="module")
def database(postgres, analytics_template) -> Iterator[str]:
    with filled(postgres, analytics_template) as name:
        yield name


@pytest.fixture(scope="module")
def reader(postgres, database) -> Iterator[psycopg.Connection]:
    """As the data source connects."""
    with psycopg.connect(
        f"host={postgres.socket_directory} user={READER} dbname={database}", autocommit=True
    ) as connection:
        yield connection


def quoted(value: str | list[str]) -> str:
    """``${name:sqlstring}``: quoted, with quotes doubled; several with commas between."""
    values = [value] if isinstance(value, str) else value
    return ",".join("'" + one.replace("'", "''") + "'" for one in values)


def expanded(text: str, variables: dict[str, str | list[str]], days: int = 30) -> str:
    """A query as Grafana sends it, for the last ``days``."""
    now = datetime.now(UTC).replace(microsecond=0)
    begin, end = (f"'{moment:%Y-%m-%dT%H:%M:%SZ}'" for moment in (now - timedelta(days=days), now))
    text = re.sub(r"\$__timeFilter\(([^)]*)\)", rf"\1 BETWEEN {begin} AND {end}", text)
    text = text.replace("$__timeFrom()", begin).replace("$__timeTo()", end)
    text = re.sub(r"\$\{(\w+):sqlstring\}", lambda found: quoted(variables[found[1]]), text)
    assert "$" not in text, text
    return text


def choices(reader: psycopg.Connection, board: dict[str, Any]) -> Iterator[dict[str, str | list[str]]]:
    """Each combination of the values that the dashboard's variables offer. "All" is a list of all."""

    def add(chosen: dict[str, Any], variables: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        if not variables:
            yield chosen
            return
        first, *others = variables
        values = [row[-1] for row in reader.execute(expanded(first["query"], chosen)).fetchall()]
        assert values, first["query"]
        for value in [values, *values] if first["multi"] else values:
            yield from add({**chosen, first["name"]: value}, others)

    yield from add({}, board["templating"]["list"])


@pytest.mark.parametrize(
    ("name", "panel"), PANELS, ids=[f"{name}: {panel['title']}" for name, panel in PANELS]
)
def test_each_panels_query_answers_for_each_choice(reader, name, panel):
    [target] = panel["targets"]
    found = False
    for chosen in choices(reader, BOARDS[name]):
        cursor = reader.execute(expanded(target["rawSql"], chosen))
        rows = cursor.fetchall()
        found |= bool(rows)
        columns = [(one.name, one.type_display) for one in cursor.description]
        assert len({column for column, _ in columns}) == len(columns)
        if target["format"] == "time_series":
            # First the time, then perhaps the name of the series; the rest are numbers, sorted by time.
            assert columns[0] == ("time", "timestamp")
            assert all(kind == "text" for column, kind in columns[1:] if column == "metric")
            assert {kind for column, kind in columns[1:] if column != "metric"} <= {
                "numeric",
                "int8",
                "float8",
            }
            assert [row[0] for row in rows] == sorted(row[0] for row in rows)
    assert found is (panel["title"] not in QUIET)


def test_a_figure_that_misses_something_is_a_gap_and_no_zero(reader):
    [panel] = [panel for _, panel in PANELS if panel["title"] == "$metric by provider"]
    [target] = panel["targets"]
    chosen = {"organization": "acme", "provider": ["facebook"], "metric": "views"}
    values = [row[2] for row in reader.execute(expanded(target["rawSql"], chosen)).fetchall()]
    assert values.count(None) == 2
    assert 0 not in values
    assert panel["fieldConfig"]["defaults"]["custom"]["spanNulls"] is False


def test_the_quota_and_what_apis_refuse_are_shown_when_there_is_some(reader, postgres, database):
    with psycopg.connect(postgres.dsn(database), autocommit=True) as connection:
        connection.execute(
            "INSERT INTO analytics.unsupported_metric"
            " VALUES ('facebook', 'v25.0', 'page_fans', now(), now(), 'It is no valid insights metric')"
        )
        connection.execute(
            "UPDATE analytics.ingest_job SET error_code = 'rate_limited', status = 'queued'"
            " WHERE status = 'failed'"
        )
        for _, panel in PANELS:
            if panel["title"] in QUIET:
                query = expanded(panel["targets"][0]["rawSql"], {"provider": ["facebook", "threads"]})
                assert reader.execute(query).fetchall(), panel["title"]
        connection.execute(
            "DELETE FROM analytics.unsupported_metric;"
            "UPDATE analytics.ingest_job SET status = 'failed' WHERE status = 'queued'"
        )


def test_a_hostile_id_in_a_variable_stays_a_value(reader):
    hostile = "x'; DROP VIEW analytics.freshness; --"
    for _, panel in PANELS:
        query = panel["targets"][0]["rawSql"]
        if "${organization:sqlstring}" in query:
            chosen = {"organization": hostile, "provider": ["it's"], "metric": "views"}
            assert reader.execute(expanded(query, chosen)).fetchall() == []


def test_each_variable_is_quoted_by_grafana():
    """Not $name, which Grafana puts in as it is."""
    for _, panel in PANELS:
        query = re.sub(r"\$\{\w+:sqlstring\}|\$__\w+", "", panel["targets"][0]["rawSql"])
        assert "$" not in query, panel["title"]


def test_the_panels_ask_the_data_source_that_is_provisioned():
    [source] = yaml.safe_load((GRAFANA / "provisioning/datasources/analytics.yaml").read_text())[
        "datasources"
    ]
    used = {"type": source["type"], "uid": source["uid"]}
    assert source["user"] == READER
    for board in BOARDS.values():
        asking = [*board["templating"]["list"], *board["panels"]]
        asking += [target for panel in board["panels"] for target in panel["targets"]]
        assert [one["datasource"] for one in asking] == [used] * len(asking)


def test_the_dashboards_have_their_own_ids_and_their_panels_do_not_overlap():
    assert len({board["uid"] for board in BOARDS.values()}) == len(BOARDS) == 2
    for board in BOARDS.values():
        assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
        places = [panel["gridPos"] for panel in board["panels"]]
        cells = [
            cell
            for at in places
            for cell in product(range(at["x"], at["x"] + at["w"]), range(at["y"], at["y"] + at["h"]))
        ]
        assert len(set(cells)) == len(cells)
        assert max(x for x, _ in cells) < 24


def test_the_compose_file_mounts_what_grafana_reads():
    service = yaml.safe_load((PROJECT / "docker-compose.yaml").read_text())["services"]["grafana"]
    mounts = dict(volume.split(":")[:2] for volume in service["volumes"] if volume.startswith("./"))
    inside = {target: PROJECT / source for source, target in mounts.items()}
    assert inside == {"/grafana": GRAFANA}
    provisioning = service["environment"]["GF_PATHS_PROVISIONING"]
    assert provisioning == "/grafana/provisioning"
    [provider] = yaml.safe_load((GRAFANA / "provisioning/dashboards/dashboards.yaml").read_text())[
        "providers"
    ]
    assert provider["options"]["path"] == "/grafana/dashboards"
    source = (GRAFANA / "provisioning/datasources/analytics.yaml").read_text()
    asked = set(re.findall(r"\$(\w+)", source))
    assert asked == {"ANALYTICS_READER_PASSWORD"} <= set(service["environment"])
