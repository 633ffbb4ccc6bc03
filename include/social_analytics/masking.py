"""Keeping tokens out of logs, many at a time. Imports nothing: Airflow loads it before everything else."""

from __future__ import annotations

from collections.abc import Sequence

#: Between tokens that are masked together; it stands in no token.
_SEPARATOR = "\x1e"


def each_token(secret: str) -> list[str]:
    """What else is secret in ``secret``, for ``[logging] secret_mask_adapter``.

    Airflow compiles all that it masks into one expression, anew for each secret, in the task and in its
    supervisor; what this returns for one secret it takes in at once.
    """
    return secret.split(_SEPARATOR)


def mask(tokens: Sequence[str]) -> None:
    """Have Airflow mask ``tokens`` in all that task and supervisor log from now on."""
    from airflow.configuration import conf
    from airflow.sdk.log import mask_secret

    if conf.getimport("logging", "secret_mask_adapter") is each_token:
        mask_secret(_SEPARATOR.join(tokens))
    else:
        mask_secret([*tokens])
