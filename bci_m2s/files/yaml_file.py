"""Reading YAML that a stranger may have written, remembering on which line each key stands.

Refused before anything is built: files over 1 MiB, anchors and aliases (nobody needs them here, and
they make bombs), tags such as ``!!python/object``, duplicate keys, keys that are not text, nesting
deeper than 20.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from bci_m2s.errors import ConfigurationError
from bci_m2s.text import printable

LARGEST_BYTES = 1 << 20
DEEPEST = 20
PLAIN_TAGS = {f"tag:yaml.org,2002:{name}" for name in ("map", "seq", "str", "int", "float", "bool", "null")}

KeyPath = tuple[str | int, ...]


def read_yaml(path: Path) -> tuple[dict[str, Any], dict[KeyPath, int]]:
    """Read a mapping.

    Returns
    -------
    values : the mapping
    lines : line number (from 1) of each place, a place being the keys and positions that lead to it

    Raises
    ------
    ConfigurationError
        With file and line, for anything that cannot be read or is not allowed.
    """
    text = _read_text(path)
    try:
        root = _Plain(path, text).get_single_node()
    except yaml.MarkedYAMLError as problem:
        what = problem.problem or problem.context or "cannot be read"
        if "'\\t'" in what:
            what = "got a tabulator, expected blanks before a key"
        raise _wrong(
            path, problem.problem_mark or problem.context_mark, f"not valid YAML: {what}"
        ) from None
    except (yaml.YAMLError, RecursionError) as problem:
        raise ConfigurationError(f"{path}: not valid YAML: {printable(problem, 200)}") from None
    if not isinstance(root, yaml.MappingNode):
        raise ConfigurationError(f"{path}: got {_kind(root)}, expected a mapping (key: value)")
    lines: dict[KeyPath, int] = {}
    _check(path, root, (), lines)
    try:
        return yaml.SafeLoader("").construct_document(root), lines
    except (yaml.YAMLError, ValueError) as problem:  # a date or number that looks right and is none
        raise ConfigurationError(f"{path}: not valid YAML: {printable(problem, 200)}") from None


class _Plain(yaml.SafeLoader):
    """Composes a document; an alias, an anchor or deep nesting ends it where it stands."""

    def __init__(self, path: Path, text: str) -> None:
        super().__init__(text)
        self._path, self._depth = path, 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event = self.peek_event()
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise _wrong(self._path, event.start_mark, "anchors and aliases are not allowed")
        nested = isinstance(event, yaml.CollectionStartEvent)
        self._depth += nested
        if self._depth > DEEPEST:
            raise _wrong(self._path, event.start_mark, f"nested deeper than {DEEPEST}")
        node = super().compose_node(parent, index)
        self._depth -= nested
        return node


def _read_text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            raw = file.read(LARGEST_BYTES + 1)
    except OSError as problem:
        raise ConfigurationError(f"{path}: cannot be read: {problem.strerror}") from None
    if len(raw) > LARGEST_BYTES:
        raise ConfigurationError(f"{path}: size: got over {LARGEST_BYTES} bytes, expected at most that")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        raise ConfigurationError(
            f"{path}: byte {problem.start}: got something else, expected UTF-8 text"
        ) from None


def _check(path: Path, node: yaml.Node, place: KeyPath, lines: dict[KeyPath, int]) -> None:
    lines.setdefault(place, node.start_mark.line + 1)
    if node.tag not in PLAIN_TAGS:
        raise _wrong(
            path, node.start_mark, f"tag {node.tag!r} is not allowed; write plain values (quote a date)"
        )
    if isinstance(node, yaml.SequenceNode):
        for number, child in enumerate(node.value):
            _check(path, child, (*place, number), lines)
    if isinstance(node, yaml.MappingNode):
        for key, child in node.value:
            if key.tag != "tag:yaml.org,2002:str":
                raise _wrong(path, key.start_mark, f"key {key.value!r}: expected text; quote it")
            if (*place, key.value) in lines:
                raise _wrong(path, key.start_mark, f"key {key.value!r} occurs twice")
            lines[(*place, key.value)] = key.start_mark.line + 1
            _check(path, child, (*place, key.value), lines)


def _kind(node: yaml.Node | None) -> str:
    if node is None:
        return "an empty file"
    return "a list" if isinstance(node, yaml.SequenceNode) else "a single value"


def _wrong(path: Path, mark: Any, what: str) -> ConfigurationError:
    line = f":{mark.line + 1}" if mark is not None else ""
    return ConfigurationError(f"{path}{line}: {printable(what)}")
