"""What may be named in a file, and where its code is: built-in entries, and those of installed packages.

Each extension folder has a registry. A package adds to it by an entry point of the registry's group, for
instance in its ``pyproject.toml``::

    [project.entry-points."bci_m2s.features"]
    alpha = "my_package.alpha:AlphaPower"

A file only ever names an entry: code comes from bci_m2s and from installed packages alone. An entry of a
package is loaded when it is used for the first time, so a broken package never stops a session that does
not use it; what its code raises later is told apart from errors of bci_m2s by ``blame``. Where a package
has a built-in entry's name the built-in one is used, and a notice says so; where two packages share a name
neither is used, because nobody can tell which one a file means.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

from bci_m2s.errors import ExtensionError, nearest

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

_used: dict[str, str] = {}  # by top-level module of a loaded entry: the package with its version


def load_class(registry: Mapping[str, str], name: str) -> Any:
    """Return the class that a registry ("name": "module:class") has under `name`."""
    module, _, attribute = registry[name].partition(":")
    return getattr(import_module(module), attribute)


@cache
def installed(group: str) -> dict[str, tuple[EntryPoint, ...]]:
    """Entry points of a group, by name; looked up once per process."""
    from importlib.metadata import entry_points

    found: dict[str, tuple[EntryPoint, ...]] = defaultdict(tuple)
    for entry in entry_points(group=group):
        found[entry.name] += (entry,)
    return dict(found)


class Registry(Mapping[str, Any]):
    """The entries of one kind, by name; each is loaded when it is looked up.

    Iterating gives the names without loading anything.

    Parameters
    ----------
    kind : what an entry is, in one word, for messages
    group : of the entry points by which packages add entries
    builtin : name → the entry, or where it is ("module:attribute")
    needs : attributes that an entry must have
    """

    def __init__(
        self, kind: str, group: str, builtin: Mapping[str, Any], needs: Sequence[str] = ()
    ) -> None:
        self.kind, self.group, self._builtin, self.needs = kind, group, builtin, tuple(needs)
        self._loaded: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        """Return an entry. Raises KeyError, or ExtensionError when a package's entry cannot be loaded."""
        if name not in self._loaded:
            self._loaded[name] = self._load(name)
        return self._loaded[name]

    def __iter__(self) -> Iterator[str]:
        yield from self._builtin
        yield from (name for name in sorted(installed(self.group)) if name not in self._builtin)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __contains__(self, name: object) -> bool:
        return name in self._builtin or name in installed(self.group)

    def unknown(self, name: str) -> str:
        """Return what to say of a name that is not here: the nearest one, and what is not installed."""
        return f"{nearest(name, self)}; no installed package has it in the group {self.group!r}"

    def _load(self, name: str) -> Any:
        entries = installed(self.group).get(name, ())
        if name in self._builtin:
            if entries:
                self._notify(f"{self.kind} {name!r}: the built-in one is used, not {_origins(entries)}")
            place = self._builtin[name]
            return load_class({name: place}, name) if isinstance(place, str) else place
        if not entries:
            raise KeyError(name)
        if len(entries) > 1:
            raise ExtensionError(
                f"{self.kind} {name!r}: {len(entries)} packages have this name in the group "
                f"{self.group!r}: {_origins(entries)}; uninstall all but one"
            )
        where = f"{self.kind} {name!r}: cannot be used from {_origins(entries)}, group {self.group!r}"
        (entry_point,) = entries
        try:
            entry = entry_point.load()
        except Exception as problem:  # whatever a package's own code raises
            why = _in_words(problem)
            raise ExtensionError(f"{where}: {why}") from problem
        _used[entry_point.module.partition(".")[0]] = _package(entry_point)
        missing = [attribute for attribute in self.needs if not hasattr(entry, attribute)]
        if missing:
            raise ExtensionError(f"{where}: it has no {', '.join(map(repr, missing))}")
        return entry

    def _notify(self, text: str) -> None:
        print(f"note: {text} (group {self.group!r})", file=sys.stderr)  # once, as entries are kept


def blame(problem: BaseException) -> str:
    """Which package's own code raised this, and where, in one line; "" where it was bci_m2s or nobody's.

    What a library raises was raised by the one of the two that called it.
    """
    found, trace = "", problem.__traceback__
    while trace is not None:
        module = str(trace.tb_frame.f_globals.get("__name__", "")).partition(".")[0]
        if module in _used:
            file = trace.tb_frame.f_code.co_filename
            found = f"{_used[module]}: {_in_words(problem)} ({file}, line {trace.tb_lineno})"
        elif module == __package__:
            found = ""
        trace = trace.tb_next
    return found


def _in_words(problem: BaseException) -> str:
    return " ".join(f"{type(problem).__name__}: {problem}".split())[:300]


def _origins(entries: tuple[EntryPoint, ...]) -> str:
    """The packages and places of entry points, in words."""
    named = (f"{_package(entry)} (entry point {entry.name} = {entry.value})" for entry in entries)
    return " and ".join(sorted(named))


def _package(entry: EntryPoint) -> str:
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist else "a package without a name"
