"""One line for what pydantic refuses: file and line, key, what was given, what is expected, nearest.

Pipelines, training files, contracts and recorded sessions are all explained by this module.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from bci_m2s.errors import ConfigurationError, ContractError, nearest
from bci_m2s.files.annotations import fields, in_file
from bci_m2s.files.places import line_of, place_of
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
    "path_type": "a path",
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
    place, holder = in_file(model, error["loc"])
    if error["type"] in UNKNOWN_KEY:
        return place, f"unknown key{nearest(str(place[-1]), fields(holder))}"
    if error["type"] == "explained":  # by a validator that asked this function
        return place, str(error["msg"])
    if error["type"] == "union_tag_invalid":
        name, tag = error["ctx"]["discriminator"].strip("'"), error["ctx"]["tag"]
        tags = error["ctx"]["expected_tags"]
        return (*place, name), f"got {quoted(tag)}, expected a {name}: {tags}{_hint(tag, tags)}"
    # of a union of plain values each member says what it expects
    alike = [
        other for other in errors if other["type"] in PLAIN and in_file(model, other["loc"])[0] == place
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
    values : what `model` refused, for a ContractError: it tells which of several parts is meant
    """
    if isinstance(problem, ContractError):
        inner = place_of(model, values or {}, problem)
        words = f"got {problem.got}, expected {problem.expected}"
    else:
        inner, words = explain(problem, model, yaml=True)
    place = (*start, *inner)
    key = _key(place)
    return ConfigurationError(
        f"{path}:{line_of(lines, place)}: {f'{key}: ' if key else ''}{printable(words)}"
    )


def _key(place: KeyPath) -> str:
    return printable(".".join(str(part) for part in place), MOST)


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
