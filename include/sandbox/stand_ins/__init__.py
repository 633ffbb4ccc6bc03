"""The stand-ins for the providers' APIs: each package in this folder declares one as its ``STAND_IN``.

Looking one up imports no web server: a declaration names what serves it, which is imported on use.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from include.sandbox.stand_ins.base import StandIn


@cache
def stand_ins() -> Mapping[str, StandIn]:
    """All stand-ins by their provider's name, in the order of these names."""
    packages = [module.name for module in iter_modules(__path__) if module.ispkg]
    found: list[StandIn] = [import_module(f"{__name__}.{name}").STAND_IN for name in packages]
    return {one.provider: one for one in sorted(found, key=lambda one: one.provider)}
