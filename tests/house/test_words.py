"""One word, one thing: shared constants have one owner, and callbacks the names of the glossary."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[2] / "bci_m2s"
FILES = {path.relative_to(PACKAGE).as_posix(): path for path in sorted(PACKAGE.rglob("*.py"))}
OWNERS = ("types.py", "lsl/formats.py", "signal/blocks.py")
SPEECH = {"say", "says", "tell", "told", "ask", "hear", "heard"}


def tree(name: str) -> ast.Module:
    return ast.parse(FILES[name].read_text(encoding="utf-8"))


def constants(name: str) -> set[str]:
    """Names in capitals that a file gives a value to."""
    assigned = [node for node in tree(name).body if isinstance(node, ast.Assign | ast.AnnAssign)]
    return {
        part.id
        for node in assigned
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        for part in ast.walk(target)
        if isinstance(part, ast.Name) and part.id.isupper()
    }


def callbacks(function: ast.FunctionDef) -> Iterator[str]:
    """Parameters of a function that can be called, and functions inside it."""
    every = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
    for argument in every:
        if argument.annotation is not None and "Callable" in ast.unparse(argument.annotation):
            yield argument.arg
    yield from (node.name for node in ast.walk(function) if isinstance(node, ast.FunctionDef))


def test_what_all_share_has_one_owner():
    owned = {constant: owner for owner in OWNERS for constant in constants(owner)}
    again = [
        f"{name}: {constant} belongs to {owned[constant]}"
        for name in FILES
        for constant in constants(name) & owned.keys()
        if name != owned[constant]
    ]
    assert again == []


def test_callbacks_are_not_named_by_verbs_of_speech():
    wrong = [
        f"{name}: {function.name}: {callback}"
        for name in FILES
        for function in ast.walk(tree(name))
        if isinstance(function, ast.FunctionDef)
        for callback in callbacks(function)
        if callback in SPEECH and callback != function.name
    ]
    assert wrong == []
