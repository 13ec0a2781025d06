"""What a model refuses is explained with the key as the file has it, whatever the model is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bci_m2s.errors import ContractError
from bci_m2s.files.explain import describe, explain, refused


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Dog(Part):
    kind: Literal["dog"]
    barks: bool = True


class Fish(Part):
    kind: Literal["fish"]
    depth_m: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0


class Zoo(Part):
    name: Annotated[str, Field(max_length=8)]
    animals: dict[str, Annotated[Dog | Fish, Field(discriminator="kind")]] = {}
    hours: Annotated[list[int], Field(min_length=1)] = [9]
    size: tuple[float, float] | None = None
    price: int | str = 0


CASES = {
    "missing": ({}, "name: got nothing, expected a value: this key is required"),
    "too long": ({"name": "n" * 9}, "name: got 'nnnnnnnnn', expected at most 8 characters"),
    "misspelt": ({"nam": "a"}, "nam: unknown key; nearest: 'name'"),
    "in a member of a union": (
        {"name": "a", "animals": {"rex": {"kind": "dog", "bark": 1}}},
        "animals.rex.bark: unknown key; nearest: 'barks'",
    ),
    "a key like a member's name": (
        {"name": "a", "animals": {"dog": {"kind": "fish", "depth_m": "deep"}}},
        "animals.dog.depth_m: got 'deep' (text), expected a number",
    ),
    "no such member": (
        {"name": "a", "animals": {"rex": {"kind": "dof"}}},
        "animals.rex.kind: got 'dof', expected a kind: 'dog', 'fish'; nearest: 'dog'",
    ),
    "a wrong key": (
        {"name": "a", "animals": {3: {"kind": "dog"}}},
        "animals.3: got 3 (a whole number), expected text",
    ),
    "in a list": ({"name": "a", "hours": [9, 1.5]}, "hours.1: got 1.5 (a number), expected a whole number"),
    "an empty list": ({"name": "a", "hours": []}, "hours: got [], expected at least 1 of these"),
    "in a union of plain types": ({"name": "a", "price": []}, "price: got [] (a list), expected a whole"),
    "control characters": ({"name": 3, "\x1b": 1}, "?: unknown key"),
    "not a number": (
        {"name": "a", "animals": {"f": {"kind": "fish", "depth_m": float("nan")}}},
        "animals.f.depth_m: got nan, expected a finite number",
    ),
}


def problem_with(values: Any) -> ValidationError:
    with pytest.raises(ValidationError) as caught:
        Zoo.model_validate(values)
    return caught.value


@pytest.mark.parametrize("case", CASES)
def test_key_got_and_expected(case):
    values, words = CASES[case]
    assert describe(problem_with(values), Zoo).startswith(words)


def test_what_is_wrong_as_a_whole():
    assert describe(problem_with([]), Zoo) == "as a whole: got [] (a list), expected a mapping (key: value)"


def test_settings_may_be_a_dataclass():
    @dataclass
    class Cage:
        width_m: float = 1.0

    class Ship(BaseModel):
        model_config = ConfigDict(extra="forbid")  # goes for dataclasses inside too
        cages: list[Cage]

    with pytest.raises(ValidationError) as caught:
        Ship.model_validate({"cages": [{}, {"with_m": 2.0}]})
    assert describe(caught.value, Ship) == "cages.1.with_m: unknown key; nearest: 'width_m'"


def test_what_yaml_takes_for_something_else_is_said_for_yaml_only():
    problem = problem_with({"name": True})
    assert explain(problem, Zoo, yaml=True)[1].endswith("in YAML: quote text")
    assert explain(problem, Zoo)[1] == "got true, expected text"
    problem = problem_with({"name": 7})
    assert explain(problem, Zoo, yaml=True)[1] == "got 7 (a whole number), expected text; quote it: '7'"
    assert explain(problem, Zoo)[1] == "got 7 (a whole number), expected text"


def test_the_line_is_the_innermost_that_is_known(tmp_path):
    path, lines = tmp_path / "zoo.yaml", {(): 1, ("animals",): 3, ("animals", "rex"): 4}
    problem = problem_with({"name": "a", "animals": {"rex": {"kind": "dog", "bark": 1}}})
    assert str(refused(path, lines, problem, Zoo)).startswith(f"{path}:4: animals.rex.bark: ")
    inner = {("zoo", *place): line + 10 for place, line in lines.items()}
    assert str(refused(path, inner, problem, Zoo, ("zoo",))).startswith(
        f"{path}:14: zoo.animals.rex.bark: "
    )


def test_two_fields_that_disagree_are_reported_where_the_field_stands(tmp_path):
    path = tmp_path / "zoo.yaml"
    lines = {(): 1, ("a",): 2, ("a", "x"): 3, ("b",): 4, ("b", "y"): 5, ("c", "y"): 6}
    for field, line in (("a.x", 3), ("b.z", 4), ("z", 1)):
        refusal = refused(path, lines, ContractError("zoo", field, 1, 2), Zoo)
        assert str(refusal) == f"{path}:{line}: {field}: got 1, expected 2"
