"""Finding the pipelines and models that come with bci_m2s, and pipelines of the current folder.

In a checkout they are the folders ``pipelines/`` and ``models/`` beside the package; in an installed
wheel they are inside it. Nothing is ever written there.
"""

from __future__ import annotations

from pathlib import Path

from bci_m2s.errors import ConfigurationError, UsageError, nearest
from bci_m2s.files.yaml_file import read_yaml
from bci_m2s.files.yaml_kind import kind_of


def folder(kind: str) -> Path:
    """Folder of the shipped "pipelines" or "models"."""
    package = Path(__file__).resolve().parents[2]
    inside = package / "shipped" / kind
    return inside if inside.is_dir() else package.parent / kind


def names(kind: str, suffix: str) -> list[str]:
    """Names of what is shipped, without the suffix."""
    return sorted(path.name.removesuffix(suffix) for path in folder(kind).glob(f"*{suffix}"))


def own_pipelines() -> list[Path]:
    """Pipelines of the current folder, by their keys, and whatever is in its ``pipelines/``."""
    return [*filter(_is_pipeline, sorted(Path().glob("*.yaml"))), *sorted(Path("pipelines").glob("*.yaml"))]


def _is_pipeline(path: Path) -> bool:
    try:
        return kind_of(read_yaml(path)[0]) == "pipeline"
    except ConfigurationError:
        return False


def find_pipeline(name: str) -> Path:
    """A pipeline by path, else a shipped one by name. Raises UsageError."""
    return _find(name, Path(), "pipelines", ".yaml", "pipeline")


def find_protocol(name: str) -> Path:
    """A protocol by path, else a shipped one by name. Raises UsageError."""
    return _find(name, Path(), "pipelines/protocols", ".yaml", "protocol")


def find_study(name: str) -> Path:
    """A study by path, else a shipped one by name. Raises UsageError."""
    return _find(name, Path(), "pipelines/studies", ".yaml", "study")


def find_training(name: str, near: Path) -> Path:
    """A training file by path (relative to `near`), else a shipped one by name. Raises UsageError."""
    return _find(name, near, "pipelines/train", ".yaml", "training file")


def find_model(name: str, near: Path | None = None) -> Path:
    """A model by path (relative to `near`), else a shipped one by name. Raises UsageError."""
    return _find(name, near or Path(), "models", ".safetensors", "model")


def shipped_model(file_name: str) -> Path | None:
    """The shipped model of this file name, None where there is none."""
    path = folder("models") / Path(file_name).name
    return path if path.is_file() else None


def _find(name: str, near: Path, kind: str, suffix: str, word: str) -> Path:
    path = near / name
    if path.is_file():
        return path
    shipped = folder(kind) / (Path(name).name.removesuffix(suffix) + suffix)
    if len(Path(name).parts) == 1 and shipped.is_file():
        return shipped
    hint = nearest(name, names(kind, suffix))
    raise UsageError(f"{word} {name!r}: no such file, and none of that name is shipped{hint}")
