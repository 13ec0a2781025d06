"""One line for what pydantic refuses: file and line, key, what was given, what is expected, nearest.

Pipelines, training files, contracts and recorded sessions are all explained by this module.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import is_dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel, ValidationError

from bci_m2s.errors import ConfigurationError, ContractError, nearest
from bci_m2s.files.yaml_file import KeyPath
from bci_m2s.text import printable, quoted

EXPECTED = {
    "missing": "a value: this key is required",
    "model_attributes_type": "a mapping (key: value)",
    "model_type": "a mapping (key: value)",
    "dict_type": "a mapping (key: value)",
    "list_type": "a list",
    "tuple_type": "a list",
    "string_type": "text",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "float_type": "a number",
    "float_parsing": "a number",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "string_too_short": "at least {min_length} characters",
    "string_too_long": "at most {max_length} characters",
    "too_short": "at least {min_length} of these",
    "too_long": "at most {max_length} of these",
}
# What pydantic puts before the words that say what it expects.
LEAD = re.compile(r"^(Input should be |Value error, |Assertion failed, )")
KINDS = {str: "text", int: "a whole number", float: "a number", list: "a list", dict: "a mapping"}
YAML_WORDS = "; yes, no, on and off are true and false in YAML: quote text"
YAML_NUMBER = "; YAML reads 1e-3 as text, write 1.0e-3"
YAML_TEXT = "; quote it: '{value}'"
PLAIN = ("float_type", "int_type", "literal_error")
UNKNOWN_KEY = ("extra_forbidden", "unexpected_keyword_argument")
MOST = 400  # characters of what is expected


def explain(problem: ValidationError, model: type[BaseModel], *, yaml: bool = False) -> tuple[KeyPath, str]:
    """Where the first thing is that a model refuses, and in words what is wrong with it.

    Parameters
    ----------
    model : what refused
    yaml : the values were read from YAML, which may have taken them for something else

    Returns
    -------
    place : the keys and positions that lead there, as the file has them
    words : "got X, expected Y", or "unknown key; nearest: ..."
    """
    # A misspelt key also makes the right one "missing": the misspelling says more.
    errors = problem.errors(include_url=False)
    error: Any = min(errors, key=lambda error: error["type"] not in UNKNOWN_KEY)
    place, holder = _in_file(model, error["loc"])
    if error["type"] in UNKNOWN_KEY:
        return place, f"unknown key{nearest(str(place[-1]), _fields(holder))}"
    if error["type"] == "explained":  # by a validator that asked this function
        return place, str(error["msg"])
    if error["type"] == "union_tag_invalid":
        name, tag = error["ctx"]["discriminator"].strip("'"), error["ctx"]["tag"]
        tags = error["ctx"]["expected_tags"]
        return (*place, name), f"got {quoted(tag)}, expected a {name}: {tags}{_hint(tag, tags)}"
    # of a union of plain values each member says what it expects
    alike = [
        other for other in errors if other["type"] in PLAIN and _in_file(model, other["loc"])[0] == place
    ]
    words = " or ".join(_expected(one, yaml) for one in (alike if error in alike else [error]))
    return place, f"got {_got(error)}, expected {words}"


def describe(problem: ValidationError, model: type[BaseModel]) -> str:
    """``explain`` as "key: words"; "as a whole" where no key is to blame."""
    place, words = explain(problem, model)
    return f"{_key(place) or 'as a whole'}: {words}"


def refused(
    path: Path,
    lines: Mapping[KeyPath, int],
    problem: ValidationError | ContractError,
    model: type[BaseModel],
    start: KeyPath = (),
    values: Mapping[str, Any] | None = None,
) -> ConfigurationError:
    """The error for a YAML file that a model refuses: file, line, key, got and expected in one line.

    Parameters
    ----------
    lines : as ``read_yaml`` returns them
    model : what refused the part of the file that lies at `start`
    values : what the file says, to tell keys of the same name apart
    """
    if isinstance(problem, ContractError):
        line = _line_of(lines, start, problem, values or {})
        return ConfigurationError(f"{path}:{line}: {printable(problem)}")
    inner, words = explain(problem, model, yaml=True)
    place = (*start, *inner)
    line = next((lines[place[:n]] for n in range(len(place), 0, -1) if place[:n] in lines), 1)
    key = _key(place)
    return ConfigurationError(f"{path}:{line}: {f'{key}: ' if key else ''}{words}")


def with_line(path: Path, lines: Mapping[KeyPath, int], text: str) -> str:
    """File and line before a message that begins with a key ("split.folds: got 5 ...").

    lines : as ``read_yaml`` returns them
    """
    place: KeyPath = tuple(text.split(":", 1)[0].split("."))
    line = next((lines[place[:n]] for n in range(len(place), 0, -1) if place[:n] in lines), None)
    return f"{path}:{line}: {text}" if line else f"{path}: {text}"


def _line_of(
    lines: Mapping[KeyPath, int], start: KeyPath, problem: ContractError, values: Mapping[str, Any]
) -> int:
    """The line of a field that a message names from somewhere inside; that of its part if there are two."""
    parts = tuple(problem.field.split("."))
    found = [
        place
        for place in lines
        if place[: len(start)] == start and tuple(map(str, place[-len(parts) :])) == parts
    ]
    if len(found) > 1:  # the one that holds what is wrong
        found = [place for place in found if _holds(values, place, problem.got)] or found
    if len(found) == 1:
        return lines[found[0]]
    return lines.get((*start, *parts[:1]), lines.get(start, 1))


def _holds(values: Any, place: KeyPath, got: object) -> bool:
    """Whether the value at a place is what a message got, or has it among its keys or entries."""
    for part in place:
        try:
            values = values[part]
        except (KeyError, IndexError, TypeError):
            return False
    inside = values if isinstance(values, dict | list | tuple) else ()
    return any(str(got) in (str(value), repr(value)) for value in (values, *inside))


def _key(place: KeyPath) -> str:
    return printable(".".join(str(part) for part in place), MOST)


# ---- where ----


def _in_file(annotation: Any, location: Sequence[str | int]) -> tuple[KeyPath, Any]:
    """The place in the file, and the annotation of what holds its last part.

    pydantic's location also names the members of unions, and says "[key]" behind a key that is wrong.
    """
    annotation, holder = _bare(annotation), Any
    place: list[str | int] = []
    for part in location:
        members = _members(annotation)
        if len(members) > 1:
            annotation = next((member for member in members if _is_called(member, part)), Any)
        elif part != "[key]":
            holder, annotation = annotation, _inner(annotation, part)
            place.append(part)
    return tuple(place), holder


def _inner(annotation: Any, part: str | int) -> Any:
    """Annotation of what a part of the place leads to."""
    arguments = [argument for argument in get_args(annotation) if argument is not Ellipsis]
    if get_origin(annotation) is dict:
        return _bare(arguments[1])
    if get_origin(annotation) in (list, tuple):
        number = part if isinstance(part, int) and part < len(arguments) else 0
        return _bare(arguments[number])
    return _bare(_fields(annotation).get(str(part), Any))


def _bare(annotation: Any) -> Any:
    """An annotation without its notes and without "or None"."""
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
    return [_bare(member) for member in get_args(annotation) if member is not NoneType]


def _is_called(member: Any, name: str | int) -> bool:
    """Whether pydantic calls a member of a union so: by the value of its tag, or by its class."""
    kinds = _fields(member).values()
    tags = [tag for kind in kinds if get_origin(kind) is Literal for tag in get_args(kind)]
    return name == getattr(member, "__name__", "") or name in tags


def _fields(annotation: Any) -> dict[str, Any]:
    """Annotations of the keys that a model or dataclass has; {} for anything else."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return {name: field.annotation for name, field in annotation.model_fields.items()}
    return get_type_hints(annotation) if is_dataclass(annotation) else {}


# ---- what ----


def _got(error: Any) -> str:
    value, kind = error["input"], error["type"]
    if kind == "missing" or value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    name = KINDS.get(type(value))
    return f"{quoted(value)} ({name})" if name and kind.endswith("_type") else quoted(value)


def _expected(error: Any, yaml: bool) -> str:
    kind, value, context = error["type"], error["input"], error.get("ctx", {})
    words = EXPECTED[kind].format_map(context) if kind in EXPECTED else LEAD.sub("", str(error["msg"]))
    if kind == "literal_error":
        words += _hint(value, context["expected"])
    if yaml and isinstance(value, bool):
        words += YAML_WORDS
    if yaml and kind in ("float_type", "int_type") and _is_number(value):
        words += YAML_NUMBER
    if yaml and kind == "string_type" and isinstance(value, (int, float)) and not isinstance(value, bool):
        words += YAML_TEXT.format(value=value)
    return printable(words, MOST)


def _hint(value: Any, options: str) -> str:
    """The option nearest to a value, of "'a', 'b' or 'c'"; "" where none is near."""
    near = nearest(str(value), re.findall(r"'([^']*)'", options))
    return near if near.startswith("; nearest") else ""


def _is_number(text: Any) -> bool:
    try:
        float(text)
    except (TypeError, ValueError):
        return False
    return isinstance(text, str)
