"""Classes named in the registries of the extension folders, loaded when they are first used."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any


def load_class(registry: Mapping[str, str], name: str) -> Any:
    """Return the class that a registry ("name": "module:class") has under `name`."""
    module, _, attribute = registry[name].partition(":")
    return getattr(import_module(module), attribute)
