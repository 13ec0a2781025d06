"""Imports go strictly to a lower floor, no circle inside a folder, heavy packages in their rooms."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "bci_m2s"

# A module imports from floors below its own folder's; a file at the root is a folder of one.
FLOORS = (
    ("types", "errors", "registry", "colours", "text", "__init__"),
    ("files", "lsl", "signal", "simulator", "networks"),
    ("features", "recording"),
    ("model", "sources", "sinks"),
    ("pipeline",),
    ("engine", "training"),
    ("session",),
    ("review",),
    ("handover",),
    ("doctor", "soak"),
    ("panel",),
    ("commands",),
    ("__main__",),
)
FLOOR = {room: number for number, floor in enumerate(FLOORS) for room in floor}
# Packages that only these places import at all, function bodies included.
ALLOWED = {
    "pylsl": ("lsl", "sources", "sinks", "panel.client", "doctor.lsl", "soak.fault_sender"),
    "torch": ("networks", "model", "training"),
    "mne": ("recording.read_mne", "recording.as_raw", "simulator.montage", "handover"),
    "pyxdf": ("recording.read_xdf",),
    "PyQt6": ("panel",),
    "pyqtgraph": ("panel",),
    "rich": ("session", "commands", "doctor", "soak", "training"),
    "typer": (
        "commands.bench_cli",
        "commands.cli",
        "commands.options",
        "commands.recording_cli",
        "commands.study_cli",
        "commands.training_cli",
        "commands.handover_cli",
    ),
}
LOADS_ON_CALL = (
    "commands.cli",
    "commands.recording_cli",
    "commands.study_cli",
    "commands.training_cli",
    "commands.calibrate",
    "commands.handover_cli",
    "commands.check",
    "__init__",
)  # inside a function only
MOST_FOLDERS, MOST_FILES = 20, 8


def module_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__") or "__init__"


FILES = {module_of(path): path for path in sorted(PACKAGE.rglob("*.py"))}


@cache
def imports_of(module: str) -> list[tuple[str, bool]]:
    """Each imported module, and whether it is loaded at once (not inside a function)."""
    path = FILES[module]

    def visit(node: ast.AST, at_once: bool) -> Iterator[tuple[str, bool]]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.expr | ast.expr_context | ast.arguments):
                continue  # an import is a statement
            if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test):
                continue
            if isinstance(child, ast.Import):
                yield from ((alias.name, at_once) for alias in child.names)
            elif isinstance(child, ast.ImportFrom):
                assert child.level == 0, f"{path}: relative import"
                for alias in child.names:
                    name = f"{child.module}.{alias.name}"
                    is_module = name.removeprefix("bci_m2s.") in FILES
                    yield (name if is_module else str(child.module)), at_once
            function = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef)
            yield from visit(child, at_once and not function)

    return list(visit(ast.parse(path.read_text(encoding="utf-8")), True))


def own_imports(module: str, *, functions: bool = True) -> set[str]:
    """Modules of this package that a module imports, without the package's name."""
    found = {name for name, at_once in imports_of(module) if functions or at_once}
    own = {name for name in found if name.split(".")[0] == "bci_m2s"}
    return {name.removeprefix("bci_m2s").lstrip(".") or "__init__" for name in own} - {module}


def room(module: str) -> str:
    return module.split(".")[0]


def test_imports_go_to_a_lower_floor():
    wrong = [
        f"{module} (floor {FLOOR[room(module)]}) imports {name} (floor {FLOOR[room(name)]})"
        for module in FILES
        # What the package itself hands out comes from above, when asked.
        for name in own_imports(module, functions=module != "__init__")
        if room(name) != room(module)
        and FLOOR[room(name)] >= FLOOR[room(module)]
        # The words of the house are one room.
        and not (FLOOR[room(name)] == FLOOR[room(module)] == 0)
    ]
    assert wrong == []


def test_inside_a_folder_there_is_no_circle():
    circles = []
    for folder in {room(module) for module in FILES}:
        inside = {module for module in FILES if room(module) == folder}
        graph = {module: own_imports(module) & inside for module in inside}
        try:
            TopologicalSorter(graph).prepare()
        except CycleError as error:
            circles.append(" -> ".join(error.args[1]))
    assert circles == []


def test_heavy_packages_stay_in_their_rooms():
    wrong = [
        f"{module} imports {name}"
        for module in FILES
        for name, _ in imports_of(module)
        for places in [ALLOWED.get(name.split(".")[0])]
        if places is not None and not any(f"{module}.".startswith(f"{place}.") for place in places)
    ]
    assert wrong == []


def test_nothing_live_imports_training():
    # A command for training loads it when it is called, the package when its estimator is asked for.
    wrong = [
        module
        for module in FILES
        if room(module) != "training"
        and any(
            room(name) == "training" for name in own_imports(module, functions=module not in LOADS_ON_CALL)
        )
    ]
    assert wrong == []


def test_every_folder_says_what_lives_there():
    folders = {path.parent for path in FILES.values()} - {PACKAGE}
    silent = [
        str(folder.relative_to(PACKAGE))
        for folder in folders
        if not ast.get_docstring(ast.parse((folder / "__init__.py").read_text(encoding="utf-8")))
    ]
    assert silent == []


def test_the_root_stays_small():
    entries = [path for path in PACKAGE.iterdir() if path.name != "__pycache__"]
    assert sum(path.is_dir() for path in entries) <= MOST_FOLDERS
    assert sum(path.is_file() for path in entries) <= MOST_FILES


def test_help_loads_nothing_heavy():
    code = (
        "import sys\nfrom bci_m2s.commands.cli import app\nfrom typer.testing import CliRunner\n"
        "assert CliRunner().invoke(app, ['--help']).exit_code == 0\n"
        "heavy = ('torch', 'mne', 'pylsl', 'scipy', 'numpy', 'PyQt6', 'pydantic')\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    out = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=240
    )
    assert out.stdout.strip() == "[]"
