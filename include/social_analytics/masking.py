"""Keeping tokens out of logs, many at a time. It imports nothing of ours: Airflow loads it first."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Lock

#: Separates tokens that are masked together. No token contains it.
_SEPARATOR = "\x1e"
_ONE_AT_A_TIME = Lock()


def each_token(secret: str) -> list[str]:
    """The tokens that are joined in ``secret``, for ``[logging] secret_mask_adapter``.

    For each new secret, Airflow compiles one expression of all secrets, in the task and in its supervisor.
    It takes in at once what this returns for one secret.
    """
    return secret.split(_SEPARATOR)


def mask(tokens: Sequence[str]) -> None:
    """Mask ``tokens`` in everything that the task and its supervisor log from now on. Thread-safe."""
    from airflow.configuration import conf
    from airflow.sdk.log import mask_secret

    takes_all_at_once = conf.getimport("logging", "secret_mask_adapter") is each_token
    # Airflow goes through its set of all secrets for each new one.
    with _ONE_AT_A_TIME:
        mask_secret(_SEPARATOR.join(tokens) if takes_all_at_once else [*tokens])
