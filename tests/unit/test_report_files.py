"""Where reports go, whatever the ids are."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from airflow.sdk import ObjectStoragePath

from include.social_analytics.reports.period import PeriodKind, latest
from include.social_analytics.tasks.reports import file_of

WEEK = latest(PeriodKind.WEEK, date(2026, 11, 22))


@pytest.mark.parametrize("hostile", ["..", ".", "../../etc", "/etc", "a/b", "a\\b", "%2e%2e", "ä ö"])
def test_an_id_leads_to_one_folder_below_the_reports(hostile, tmp_path):
    file = Path(str(file_of(ObjectStoragePath(str(tmp_path)), [hostile, hostile], WEEK)))
    assert file.name == "2026-W47.html"
    assert file.resolve().parents[2] == tmp_path.resolve()
