"""A session as FIF files for MNE, and as CSV tables for everything else."""

from __future__ import annotations

import re
import secrets
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from bci_m2s.errors import OutputError
from bci_m2s.handover.bids_events import TRIAL_COLUMNS
from bci_m2s.handover.content import Content
from bci_m2s.handover.marks import rating_scales
from bci_m2s.handover.raw import annotated_raw
from bci_m2s.handover.tables import csv_lines, row_blocks, sample_lines, seconds, write_csv
from bci_m2s.review.facts import RecordingStream


def write_plain(root: Path, content: Content, kind: str, progress: Callable[[str], None]) -> list[str]:
    """Write a new folder of files, whole or not at all. kind : "fif" or "csv".

    Returns what is to be said of it.

    Raises
    ------
    OutputError
        The folder is there already and not empty, or cannot be written.
    """
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise OutputError(f"{root}: exists already; nothing is overwritten, choose another folder")
    staged = root.parent / f".{root.name}.{secrets.token_hex(4)}.part"
    try:
        staged.mkdir(parents=True)
        said = (_write_fif if kind == "fif" else _write_csv)(staged, content, progress)
        if root.is_dir():
            root.rmdir()
        staged.replace(root)
    except OSError as problem:
        raise OutputError(f"{root}: cannot be written: {problem.strerror or problem}") from None
    finally:
        shutil.rmtree(staged, ignore_errors=True)
    return [f"left out: {text}" for text in content.left_out] + said


def _write_fif(folder: Path, content: Content, progress: Callable[[str], None]) -> list[str]:
    """One file per stream with a rate, in double precision; markers stand in each."""
    said = []
    for name, stream in _named(content):
        if not stream.is_regular:
            said.append(f"left out: {name} has no sampling rate; --to csv has it")
            continue
        progress(name)
        raw = annotated_raw(content, stream)
        ascii_names = {label: label.encode("ascii", "replace").decode() for label in raw.ch_names}
        if list(ascii_names) != list(ascii_names.values()):  # FIF has no other signs
            raw.rename_channels(ascii_names, allow_duplicates=True, verbose="error")
        raw.save(folder / f"{name}_raw.fif", fmt="double", verbose="error")
    return said


def _write_csv(folder: Path, content: Content, progress: Callable[[str], None]) -> list[str]:
    """One table per stream, and one of the events; times in s from the first sample of the EEG."""
    for name, stream in _named(content):
        progress(name)
        columns = ["time_s", *_labels(stream), "sender_time_s"]
        write_csv(folder / f"{name}.csv", columns, _rows(content, stream))
    scales = [f"rating_{scale}" for scale in rating_scales(content.trials)]
    told = [*TRIAL_COLUMNS, *scales] if content.trials else []
    rows = [
        [
            *("" if text == "n/a" else text for text in (seconds(mark.onset_s), seconds(mark.duration_s))),
            *(mark.kind, mark.text, mark.channel),
            *(mark.told.get(name, "") for name in told),
        ]
        for mark in content.marks
    ]
    columns = ["onset_s", "duration_s", "kind", "text", "channel"]
    write_csv(folder / "events.csv", [*columns, *told], [csv_lines(rows)])
    return []


def _rows(content: Content, stream: RecordingStream) -> Iterator[str]:
    for start, stop in row_blocks(stream.n_samples):
        at = content.axis.at(stream.times_s[start:stop])
        yield sample_lines(at, stream.read(start, stop), stream.times[start:stop], ",", "")


def _labels(stream: RecordingStream) -> list[str]:
    """Labels with their units, each once."""
    info, names = stream.info, list[str]()
    for number, label in enumerate(info.labels):
        unit = info.units[number] if info.units else ""
        name = f"{label or number + 1}" + (f" ({unit})" if unit else "")
        names.append(name if name not in names else f"{name} {number + 1}")
    return names


def _named(content: Content) -> list[tuple[str, RecordingStream]]:
    """Each stream with a name for its file."""
    named: dict[str, RecordingStream] = {}
    leading = [content.leading] if content.leading is not None else []
    for stream in [*leading, *content.eyes, *content.others]:
        kind = "eye" if stream in content.eyes else stream.info.type or stream.info.name
        name = re.sub(r"[^a-z0-9]+", "-", kind.casefold()).strip("-") or "stream"
        named[name if name not in named else f"{name}-{len(named) + 1}"] = stream
    return list(named.items())
