"""The case files: one module for each provider, with its ``CASE``."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from tests.connectors.case import Case

CASES: dict[str, type[Case]] = {
    case.provider: case
    for case in (import_module(f"{__name__}.{module.name}").CASE for module in iter_modules(__path__))
}
