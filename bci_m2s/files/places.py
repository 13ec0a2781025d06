"""Where in a file the key stands that a check names from somewhere inside."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from bci_m2s.errors import ContractError
from bci_m2s.files.annotations import bare, parts_of
from bci_m2s.files.yaml_file import KeyPath


def line_of(lines: Mapping[KeyPath, int], place: KeyPath) -> int:
    """Return the line of a place, of the innermost part of it that has one; 1 where none has.

    lines : as ``read_yaml`` returns them
    """
    return next((lines[place[:n]] for n in range(len(place), 0, -1) if place[:n] in lines), 1)


def with_line(path: Path, lines: Mapping[KeyPath, int], text: str) -> str:
    """File and line before a message that begins with a key ("split.folds: got 5 ...").

    lines : as ``read_yaml`` returns them
    """
    place: KeyPath = tuple(text.split(":", 1)[0].split("."))
    return f"{path}:{line_of(lines, place)}: {text}" if place[:1] in lines else f"{path}: {text}"


def place_of(model: Any, values: Any, problem: ContractError) -> KeyPath:
    """The place of the field that a ContractError names, as seen from the part that raised it.

    Parameters
    ----------
    model : what refused
    values : all that it refused; the part is the innermost that is refused alone for the same reason
    """
    part, inside = _refused_part(model, values, problem)
    field: KeyPath = tuple(problem.field.split("."))
    if part[-1:] == field[:1] and not _has(inside, field[:1]):  # a part may name itself
        field = field[1:]
    found = [place for place in _places(inside) if tuple(map(str, place[-len(field) :])) == field]
    if not _has(inside, field[:1]) and found:
        field = next((place for place in found if _holds(_at(inside, place), problem.got)), found[0])
    return (*part, *field, *_entry(_at(inside, field), problem.got))


def _refused_part(model: Any, values: Any, problem: ContractError) -> tuple[KeyPath, Any]:
    for key, annotation, value in parts_of(bare(model), values):
        if _reason(annotation, value) == str(problem):
            place, inside = _refused_part(annotation, value, problem)
            return (key, *place), inside
    return (), values


def _reason(annotation: Any, value: Any) -> str:
    """Why a part is refused alone, "" where it is not, or for what pydantic finds itself."""
    if not isinstance(value, Mapping | list | tuple):
        return ""
    try:
        TypeAdapter(annotation).validate_python(value)
    except ContractError as problem:
        return str(problem)
    except ValidationError:
        pass
    return ""


def _places(values: Any, place: KeyPath = ()) -> Iterator[KeyPath]:
    """Every place inside a value, the shallow ones first."""
    items = values.items() if isinstance(values, Mapping) else ()
    yield from ((*place, key) for key, _ in items)
    for key, value in items:
        yield from _places(value, (*place, key))


def _at(values: Any, place: KeyPath) -> Any:
    """What is at a place; None where nothing is."""
    for part in place:
        values = values.get(part) if isinstance(values, Mapping) else None
    return values


def _has(values: Any, place: KeyPath) -> bool:
    return isinstance(values, Mapping) and place[0] in values


def _holds(value: Any, got: object) -> bool:
    """Whether a value is what a message got, or has it among its keys or entries."""
    return str(got) in (str(value), repr(value)) or bool(_entry(value, got))


def _entry(value: Any, got: object) -> KeyPath:
    """The key or position of what a message got inside a mapping or list; () where it is not in there."""
    if isinstance(value, Mapping):
        return next(((key,) for key in value if str(got) in (str(key), repr(key))), ())
    if isinstance(value, list | tuple):
        return next(((n,) for n, entry in enumerate(value) if str(got) in (str(entry), repr(entry))), ())
    return ()
