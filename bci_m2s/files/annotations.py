"""Places in a file by the annotations of what it is read into: which part of a model a key leads to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel, JsonValue

from bci_m2s.files.yaml_file import KeyPath

_KIND_OF_JSON: Any = "what a piece of JSON is"


def parts_of(annotation: Any, values: Any) -> Iterator[tuple[str | int, Any, Any]]:
    """Key, annotation and value of each part that a file says of a model, mapping or list."""
    if isinstance(values, Mapping):
        is_mapping = get_origin(annotation) is dict
        known = fields(annotation)
        for key, value in values.items():
            if is_mapping or key in known:
                yield key, _inner(annotation, key), value
    elif isinstance(values, list | tuple) and get_origin(annotation) in (list, tuple):
        for number, value in enumerate(values):
            yield number, _inner(annotation, number), value


def in_file(annotation: Any, location: Sequence[str | int]) -> tuple[KeyPath, Any]:
    """Return the place in the file, and the annotation of what holds its last part.

    pydantic's location also names the members of unions, and says "[key]" behind a key that is wrong.
    """
    holder: Any = Any
    annotation = bare(annotation)
    place: list[str | int] = []
    for part in location:
        members = _members(annotation)
        if annotation is JsonValue:  # its kind comes before every key in it
            annotation = _KIND_OF_JSON
        elif annotation is _KIND_OF_JSON:
            holder, annotation = annotation, JsonValue
            place.append(part)
        elif len(members) > 1:
            annotation = next((member for member in members if _is_called(member, part)), Any)
        elif part != "[key]":
            holder, annotation = annotation, _inner(annotation, part)
            place.append(part)
    return tuple(place), holder


def _inner(annotation: Any, part: str | int) -> Any:
    """Annotation of what a part of the place leads to."""
    arguments = [argument for argument in get_args(annotation) if argument is not Ellipsis]
    if get_origin(annotation) is dict:
        return bare(arguments[1])
    if get_origin(annotation) in (list, tuple):
        number = part if isinstance(part, int) and part < len(arguments) else 0
        return bare(arguments[number])
    return bare(fields(annotation).get(str(part), Any))


def bare(annotation: Any) -> Any:
    """Return an annotation without its notes and without "or None"."""
    while True:
        members = _members(annotation)
        if get_origin(annotation) is Annotated:
            annotation = get_args(annotation)[0]
        elif get_origin(annotation) in (Union, UnionType) and len(members) == 1:
            annotation = members[0]
        else:
            return annotation


def _members(annotation: Any) -> list[Any]:
    """Members of a union, None apart; [] for anything else."""
    if get_origin(annotation) not in (Union, UnionType):
        return []
    return [bare(member) for member in get_args(annotation) if member is not NoneType]


def _is_called(member: Any, name: str | int) -> bool:
    """Whether pydantic calls a member of a union so: by the value of its tag, or by its class."""
    kinds = fields(member).values()
    tags = [tag for kind in kinds if get_origin(kind) is Literal for tag in get_args(kind)]
    return name == getattr(member, "__name__", "") or name in tags


def fields(annotation: Any) -> dict[str, Any]:
    """Return annotations of the keys that a model or dataclass has; {} for anything else."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return {name: field.annotation for name, field in annotation.model_fields.items()}
    return _hints(annotation) if isinstance(annotation, type) and is_dataclass(annotation) else {}


@cache
def _hints(dataclass: type) -> dict[str, Any]:
    return get_type_hints(dataclass)
