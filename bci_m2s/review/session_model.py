"""Which file is the model of a recorded session: by the path that the recording has, and its checksum.

A recording may come from anyone. Of a path in it only the checksum is taken, of model files alone; a file
is read as a model once its checksum is the session's.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path, PurePath

from bci_m2s.errors import UsageError
from bci_m2s.files.checksum import file_sha256
from bci_m2s.lsl.description import SessionDescription
from bci_m2s.session.setup.shipped import shipped_model
from bci_m2s.text import quoted

SUFFIX = ".safetensors"
MOST_PARENTS = 8


def find_session_model(recording: Path, session: SessionDescription) -> Path:
    """The model of a session that was recorded to `recording`.

    It is looked for under the paths that the recording has (relative to this folder, and to the recording's
    and those above it), beside the recording, and among the shipped ones.

    Raises
    ------
    UsageError
        No such file has the session's checksum; with the path that was recorded.
    """
    model = session.model
    assert model is not None  # the session had one
    others: list[Path] = []
    for path in _candidates(recording, session):
        if not _is_model(path):
            continue
        if _sha256(path, path.stat().st_mtime_ns) == model.sha256:
            return path
        others.append(path)
    recorded = quoted(recorded_path(session), 200)
    if others:
        raise UsageError(
            f"model {others[0]}: is not the one of this session, although it has its name: sha256: got "
            f"{_sha256(others[0], others[0].stat().st_mtime_ns)[:16]}…, expected {model.sha256[:16]}…; the "
            f"session's was {recorded}: give it with --model PATH"
        )
    sha256 = f"sha256 {model.sha256[:16]}…"
    raise UsageError(
        f"{recording}: its model is not found; it was {recorded} ({sha256}): give it with --model PATH"
    )


def recorded_path(session: SessionDescription) -> str:
    """The path of the model as the session knew it."""
    assert session.model is not None
    return session.model.path or _written(session) or session.model.file


def _written(session: SessionDescription) -> str:
    """The model as the pipeline named it; "" where that is not known."""
    value = session.pipeline.values().get("model", "")
    return value if isinstance(value, str) else ""


def _candidates(recording: Path, session: SessionDescription) -> Iterator[Path]:
    """Where the model may be, the likeliest first."""
    assert session.model is not None
    beside = recording.absolute().parent
    bases = [Path(), beside, *list(beside.parents)[:MOST_PARENTS]]
    for text in dict.fromkeys([session.model.path, _written(session)]):
        if text and "\0" not in text:
            yield from (base / PurePath(text.replace("\\", "/")) for base in bases)
    name = PurePath(session.model.file).name
    if name:
        yield beside / name
        if (shipped := shipped_model(name)) is not None:
            yield shipped


def _is_model(path: Path) -> bool:
    try:
        return path.suffix == SUFFIX and path.is_file()
    except (OSError, ValueError):  # a name that no file can have
        return False


@lru_cache(maxsize=64)
def _sha256(path: Path, _changed_ns: int) -> str:
    try:
        return file_sha256(path)
    except OSError:
        return ""
