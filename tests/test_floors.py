"""Modules import downward only, and heavy packages are loaded only where they are needed."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "bci_m2s"
FLOORS = {
    **dict.fromkeys(("__init__", "types", "errors", "loading", "colours"), 0),
    **dict.fromkeys(("ring", "filters", "windows", "quality", "smoothing", "normalise", "tally"), 1),
    **dict.fromkeys(("history", "orders"), 1),
    **dict.fromkeys(("features", "networks", "simulator", "tensorfile", "yaml_file", "recording"), 1),
    **dict.fromkeys(("contract_schema", "contract_stream", "contract", "predictor", "sources", "sinks"), 2),
    **dict.fromkeys(("control", "control_line", "rendezvous"), 2),
    **dict.fromkeys(("attribution",), 2),
    **dict.fromkeys(("stages", "failover", "pipeline", "sender", "sender_process"), 3),
    **dict.fromkeys(
        (
            "workers",
            "feed",
            "acquisition",
            "health",
            "inference",
            "observer",
            "engine",
            "commands",
            "evidence",
            "evaluate",
            "baseline_file",
            "training",
        ),
        4,
    ),
    **dict.fromkeys(("lsl_setup", "config", "shipped", "build", "connect", "recorded_session"), 5),
    **dict.fromkeys(("verify",), 5),
    **dict.fromkeys(("panel", "panel_process", "detached"), 5),
    **dict.fromkeys(("session_facts", "session_signals", "session_answers", "session_picture"), 5),
    **dict.fromkeys(
        ("terminal", "live", "take_folders", "takes", "beside", "play", "session", "playback", "demo"), 6
    ),
    **dict.fromkeys(("show_command",), 6),
    **dict.fromkeys(("doctor", "soak", "record_command", "verify_command", "recover_command"), 6),
    **dict.fromkeys(("cli", "__main__"), 6),
}
# Packages that only these modules may import at all, function bodies included.
ALLOWED = {
    "pylsl": {
        "sources.lsl",
        "doctor.lsl",
        "sources.lsl_network",
        "sources.published",
        "panel.session_inlet",
        "sinks.outlet",
        "sinks.status",
        "sinks.evidence_outlet",
        "sender",
        "sender_process",
        "soak.fault_sender",
    },
    "torch": {"networks", "contract", "attribution", "predictor", "training"},
    "mne": {"sources.mne_raw", "simulator.montage"},
    "pyxdf": {"sources.xdf"},
    "PyQt6": {"panel"},
    "pyqtgraph": {"panel"},
    "rich": {
        "terminal",
        "live",
        "beside",
        "play",
        "session",
        "playback",
        "demo",
        "doctor",
        "record_command",
        "verify_command",
        "recover_command",
        "show_command",
        "soak",
        "training",
    },
    "typer": {"cli"},
}
FILES = sorted(PACKAGE.rglob("*.py"))


def module_of(path):
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__") or "__init__"


def is_module(name):
    return (PACKAGE / f"{name}.py").is_file() or (PACKAGE / name).is_dir()


def imports_of(path, functions=True):
    """Names of the modules that a file imports; without `functions` only those loaded at once."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = []

    def visit(node, inside_function):
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test):
                continue
            deeper = inside_function or isinstance(
                child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
            )
            if functions or not deeper:
                if isinstance(child, ast.Import):
                    found.extend(alias.name for alias in child.names)
                elif isinstance(child, ast.ImportFrom):
                    assert child.level == 0, f"{path}: relative import"
                    found.append(child.module)
                    if child.module == "bci_m2s":
                        found.extend(
                            f"bci_m2s.{alias.name}" for alias in child.names if is_module(alias.name)
                        )
            visit(child, deeper)

    visit(tree, False)
    return found


def floor_of(module):
    return FLOORS[module.removeprefix("bci_m2s").lstrip(".").split(".")[0] or "__init__"]


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_imports_go_down(path):
    own = floor_of(module_of(path))
    at_once = path == PACKAGE / "__init__.py"  # what it hands out comes from above, when asked
    for name in imports_of(path, functions=not at_once):
        if name.split(".")[0] == "bci_m2s":
            assert floor_of(name) <= own, f"{module_of(path)} (floor {own}) imports {name}"


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_each_package_has_its_place(path):
    module = module_of(path)
    for name in imports_of(path):
        places = ALLOWED.get(name.split(".")[0])
        if places is not None:
            assert any(module == place or module.startswith(f"{place}.") for place in places), (
                module,
                name,
            )


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_nothing_live_imports_training(path):
    if not module_of(path).startswith("training"):
        # A command for training loads it when it is called, the package when its estimator is asked for.
        at_once = module_of(path) in ("cli", "__init__")
        names = imports_of(path, functions=not at_once)
        assert not any(name.startswith("bci_m2s.training") for name in names)


def test_help_loads_nothing_heavy():
    code = (
        "import sys\nfrom bci_m2s.cli import app\nfrom typer.testing import CliRunner\n"
        "assert CliRunner().invoke(app, ['--help']).exit_code == 0\n"
        "heavy = ('torch', 'mne', 'pylsl', 'scipy', 'numpy', 'PyQt6', 'pydantic')\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    out = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert out.stdout.strip() == "[]"
