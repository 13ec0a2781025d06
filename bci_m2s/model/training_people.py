"""Whether a model was trained on the person of a recording: what it gets right there says little."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bci_m2s.files.checksum import file_sha256
from bci_m2s.model.contract import Contract
from bci_m2s.recording.file_names import subject_and_session


def training_remark(contract: Contract, path: Path) -> str:
    """What is to be said beside an agreement or accuracy on a recording; "" where nothing is known.

    The model's training record names its people, and the checksums of recordings in a folder of one's own.
    """
    caution = "agreement with its trials says nothing about new people"
    if is_trained_on(contract, path):
        return f"the model was trained on this recording: {caution}"
    subject, _ = subject_and_session(path.absolute())
    if subject != path.stem and subject in _entries(contract.training.get("subjects"), "train"):
        return f"the model was trained on a person {subject!r}: if it is this one, {caution}"
    return ""


def is_trained_on(contract: Contract, path: Path) -> bool:
    """Whether the model's training record has the checksum of a recording."""
    known = _entries(contract.training.get("recordings"), "train")
    return bool(known) and path.is_file() and file_sha256(path) in known


def _entries(value: Any, part: str) -> list[Any]:
    """A part's list in a record that may come from anyone."""
    entries = value.get(part) if isinstance(value, dict) else None
    return entries if isinstance(entries, list) else []
