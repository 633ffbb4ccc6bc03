"""Airflow masks a batch's tokens, with and without the setting that takes them all at once."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from include.sandbox.local_airflow import PROJECT

SCRIPT = """
import airflow.settings
from airflow.sdk.log import redact
from include.social_analytics.masking import mask

airflow.settings.initialize()
mask(["token-of-one", "token-of-two", "token|of(three"])
print(redact("a token-of-one, token-of-two, token|of(three, token-of-four"))
"""


@pytest.mark.parametrize("adapter", ["", "include.social_analytics.masking.each_token"])
def test_each_token_of_a_batch_is_masked_with_the_adapter_and_without(adapter, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env={
            **os.environ,
            "AIRFLOW_HOME": str(tmp_path),
            "PYTHONPATH": str(PROJECT),
            "AIRFLOW__LOGGING__SECRET_MASK_ADAPTER": adapter,
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.splitlines()[-1:] == ["a ***, ***, ***, token-of-four"], done.stderr
