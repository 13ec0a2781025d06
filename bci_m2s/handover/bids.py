"""A session as part of a BIDS data set: written beside it, and moved into it when all is there."""

from __future__ import annotations

import contextlib
import secrets
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from bci_m2s import __version__
from bci_m2s.errors import OutputError
from bci_m2s.handover.bids_eeg import DESCRIPTION, need_bids, write_eeg
from bci_m2s.handover.bids_events import Screen, write_events, write_self_reports
from bci_m2s.handover.bids_physio import write_eyes, write_physio
from bci_m2s.handover.content import Content
from bci_m2s.handover.gaze import CUSTOM
from bci_m2s.handover.names import Names
from bci_m2s.handover.tables import write_json, write_tsv

BIDS_VERSION = "1.11.1"
REPLACED = (".dat", ".ds", ".eeg", ".fdt")  # by mne-bids, wherever they are in the path of what it copies
SHARED = (DESCRIPTION, "README", "README.md", "participants.tsv", "participants.json")
SCREEN_SAID = (
    "gaze is in coordinates of its own (SampleCoordinateSystem: custom): give the screen with "
    "--screen-distance M --screen-size WxH (metres) --screen-resolution WxH (pixels)"
)


def write_bids(
    root: Path, content: Content, names: Names, screen: Screen | None, progress: Callable[[str], None]
) -> list[str]:
    """Add a session to the data set at `root`, which is made where there is none.

    Returns what is to be said of it.

    Raises
    ------
    OutputError
        The run is there already, `root` is something else, or cannot be written.
    """
    need_bids()
    _check(root, names)
    staged = root.parent / f".{secrets.token_hex(4)}.part"
    is_replaced = any(part in str(staged.resolve()) for part in REPLACED)
    try:
        (staged / "new").mkdir(parents=True)
        shared = _take_shared(root, staged / "new", names)
        with tempfile.TemporaryDirectory(dir=None if is_replaced else staged) as scratch:
            said = _write(staged / "new", Path(scratch), content, names, screen, progress)
        _check(root, names)
        _move(staged / "new", root, shared)
    except OSError as problem:
        raise OutputError(f"{root}: cannot be written: {problem.strerror or problem}") from None
    finally:
        shutil.rmtree(staged, ignore_errors=True)
    return said


def _check(root: Path, names: Names) -> None:
    if root.exists() and not root.is_dir():
        raise OutputError(f"{root}: is a file, expected the folder of a data set")
    if root.is_dir() and any(root.iterdir()) and not (root / DESCRIPTION).is_file():
        raise OutputError(
            f"{root}: holds files but no {DESCRIPTION}: no BIDS data set, choose another folder"
        )
    there = sorted((root / names.folder).glob(f"*/{names.prefix}_*"))
    if there:
        raise OutputError(f"{root}: has {names.prefix} already; nothing is overwritten, give another --run")


def _write(
    new: Path,
    scratch: Path,
    content: Content,
    names: Names,
    screen: Screen | None,
    progress: Callable[[str], None],
) -> list[str]:
    said = [f"left out: {text}" for text in content.left_out]
    said += [content.axis.note] if content.axis.note else []
    _describe(new, content)
    kind = "eeg" if content.leading is not None else "beh"
    folder = new / names.folder / kind
    if content.leading is not None:
        progress("EEG")
        said += write_eeg(new, names, content, scratch)
    else:
        folder.mkdir(parents=True)
        _write_people(new, names)
        said.append("no EEG: everything is in beh/")
    progress("events")
    write_events(folder / f"{names.prefix}_events.tsv", content, screen)
    progress("eye tracking and physiology")
    systems = write_eyes(folder, names.prefix, content.eyes, content.axis, screen is not None)
    said += [SCREEN_SAID] if CUSTOM in systems else []
    write_physio(folder, names.prefix, content.others, content.axis)
    if content.trials:
        (new / names.folder / "beh").mkdir(exist_ok=True)
        write_self_reports(new / names.folder / "beh" / f"{names.prefix}_beh.tsv", content)
    return said


# ---- what a data set's recordings share ----


def _take_shared(root: Path, new: Path, names: Names) -> list[Path]:
    """Copy the files to which a recording adds lines; returns all such files, there or not."""
    scans = names.folder / f"sub-{names.subject}_ses-{names.session}_scans.tsv"
    shared = [Path(name) for name in SHARED] + [scans]
    for name in shared:
        if (root / name).is_file():
            (new / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(root / name, new / name)
    return shared


def _describe(new: Path, content: Content) -> None:
    """Description and README of a data set that has none yet."""
    if not (new / DESCRIPTION).exists():
        about = {
            "Name": "Sessions of bci_m2s",
            "BIDSVersion": BIDS_VERSION,
            "DatasetType": "raw",
            "GeneratedBy": [{"Name": "bci_m2s", "Version": __version__}],
        }
        write_json(new / DESCRIPTION, about)
    if not any((new / name).exists() for name in ("README", "README.md")):
        made_up = content.facts.simulated
        first = f"SIMULATED ({' and '.join(made_up)}): says nothing about people.\n\n" if made_up else ""
        (new / "README").write_text(first + README, "utf-8")


README = """Recorded over LSL and exported by bci_m2s.

EEG is BrainVision in float32, microvolts as they were received; nothing is filtered or referred anew. Where
samples are missing there is a straight line, marked BAD_gap in events.tsv. Eye tracking and physiology are
at their own rates: the column timestamp is in seconds from the first EEG sample, sender_time is the stamp
that the sender gave. Positions of electrodes were not measured and are not stated. Participants' answers
are in beh/, and as columns of events.tsv.
"""


def _write_people(new: Path, names: Names) -> None:
    """The participant, of a recording without EEG: mne-bids adds the others'."""
    path, label = new / "participants.tsv", f"sub-{names.subject}"
    lines = path.read_text("utf-8").splitlines() if path.exists() else ["participant_id"]
    if label not in [line.split("\t")[0] for line in lines]:
        lines.append("\t".join([label] + ["n/a"] * lines[0].count("\t")))
    rows = [line.split("\t") for line in lines]
    write_tsv(path, rows[0], rows[1:])


def _move(new: Path, root: Path, shared: list[Path]) -> None:
    """Into the data set: the recording's own files first, those that others share in one step each."""
    files = sorted(path.relative_to(new) for path in new.rglob("*") if path.is_file())
    moved: list[Path] = []
    try:
        for name in sorted(files, key=lambda name: name in shared):
            target = root / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if name not in shared:
                moved.append(target)
            (new / name).replace(target)
    except OSError:
        for target in moved:
            with contextlib.suppress(OSError):
                target.unlink(missing_ok=True)
        raise
