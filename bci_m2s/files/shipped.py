"""The folders of pipelines, models and benchmarks that come with bci_m2s, and what is in them by name.

In a checkout they are folders of these names beside the package; in an installed wheel they are inside
it. Nothing is ever written there.
"""

from __future__ import annotations

from pathlib import Path

from bci_m2s.errors import UsageError, nearest


def folder(kind: str) -> Path:
    """Folder of the shipped "pipelines", "models" or "benchmarks"."""
    package = Path(__file__).resolve().parents[1]
    inside = package / "shipped" / kind
    return inside if inside.is_dir() else package.parent / kind


def names(kind: str, suffix: str) -> list[str]:
    """Names of what is shipped, without the suffix."""
    return sorted(path.name.removesuffix(suffix) for path in folder(kind).glob(f"*{suffix}"))


def find_training(name: str, near: Path) -> Path:
    """A training file by path (relative to `near`), else a shipped one by name. Raises UsageError."""
    return find(name, near, "pipelines/train", ".yaml", "training file")


def find(name: str, near: Path, kind: str, suffix: str, word: str) -> Path:
    """A file by path (relative to `near`), else a shipped one of this kind by name.

    Raises
    ------
    UsageError
        There is neither; `word` says what it should have been.
    """
    path = near / name
    if path.is_file():
        return path
    shipped = folder(kind) / (Path(name).name.removesuffix(suffix) + suffix)
    if len(Path(name).parts) == 1 and shipped.is_file():
        return shipped
    hint = nearest(name, names(kind, suffix))
    raise UsageError(f"{word} {name!r}: no such file, and none of that name is shipped{hint}")
