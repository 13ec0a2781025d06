"""Finding the pipelines and models that come with bci_m2s, and pipelines of the current folder."""

from __future__ import annotations

from pathlib import Path

from bci_m2s.errors import ConfigurationError
from bci_m2s.files.shipped import find, folder
from bci_m2s.files.yaml_file import read_yaml
from bci_m2s.files.yaml_kind import kind_of


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
    return find(name, Path(), "pipelines", ".yaml", "pipeline")


def find_protocol(name: str) -> Path:
    """A protocol by path, else a shipped one by name. Raises UsageError."""
    return find(name, Path(), "pipelines/protocols", ".yaml", "protocol")


def find_study(name: str) -> Path:
    """A study by path, else a shipped one by name. Raises UsageError."""
    return find(name, Path(), "pipelines/studies", ".yaml", "study")


def find_model(name: str, near: Path | None = None) -> Path:
    """A model by path (relative to `near`), else a shipped one by name. Raises UsageError."""
    return find(name, near or Path(), "models", ".safetensors", "model")


def shipped_model(file_name: str) -> Path | None:
    """The shipped model of this file name, None where there is none."""
    path = folder("models") / Path(file_name).name
    return path if path.is_file() else None
