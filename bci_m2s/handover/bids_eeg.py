"""The EEG of a session in BIDS, by mne-bids: BrainVision in float32, so that microvolts stay exact."""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from bci_m2s import __version__
from bci_m2s.errors import OutputError
from bci_m2s.handover.content import Content
from bci_m2s.handover.names import Names
from bci_m2s.handover.raw import annotated_raw
from bci_m2s.handover.tables import MISSING, write_json, write_tsv
from bci_m2s.recording.as_raw import VOLTAGES
from bci_m2s.recording.bids.files import read_texts

DESCRIPTION = "dataset_description.json"
BLOCK_SAMPLES = 50_000


def need_bids() -> None:
    """Raise OutputError where mne-bids or pybv is not installed."""
    try:
        import mne_bids  # noqa: F401
        import pybv  # noqa: F401
    except ImportError as problem:
        raise OutputError(
            f"--to bids: {problem.name} is not installed; pip install 'bci_m2s[bids]' brings it"
        ) from None


def write_eeg(root: Path, names: Names, content: Content, scratch: Path) -> list[str]:
    """EEG, channels, participants, scans and the data set's description, into a data set.

    scratch : an empty folder for what mne-bids copies. Returns what is to be said.
    """
    from mne_bids import BIDSPath, write_raw_bids

    assert content.leading is not None
    raw, said = annotated_raw(content, content.leading), []
    if content.leading.info.channel_format == "double64":
        said.append("samples were double64 and are float32 now: exact to 7 digits")
    with _quiet():
        copied = _brainvision(raw, scratch)
        path = BIDSPath(
            subject=names.subject,
            session=names.session,
            task=names.task,
            run=names.run,
            datatype="eeg",
            root=root,
        )
        write_raw_bids(copied, path, overwrite=True, verbose="error")
    _complete(root, root / names.folder / "eeg" / f"{names.prefix}_eeg.json", content)
    return said


def _brainvision(raw: Any, folder: Path) -> Any:
    """The samples as a BrainVision file in microvolts, opened."""
    import mne
    from pybv import write_brainvision

    kinds, rate_hz = raw.get_channel_types(), float(raw.info["sfreq"])
    write_brainvision(  # the header; pybv would need all samples at once, several times over
        data=np.zeros((len(kinds), 1)),
        sfreq=rate_hz,
        ch_names=raw.ch_names,
        fname_base="recording",
        folder_out=str(folder),
        resolution=1.0,
        unit=["µV" if kind in VOLTAGES else "n/a" for kind in kinds],
        fmt="binary_float32",
        meas_date=raw.info["meas_date"],
    )
    factors = np.array([1e6 if kind in VOLTAGES else 1.0 for kind in kinds])[:, None]
    with (folder / "recording.eeg").open("wb") as file:
        for start in range(0, raw.n_times, BLOCK_SAMPLES):
            block = raw.get_data(start=start, stop=min(start + BLOCK_SAMPLES, raw.n_times)) * factors
            file.write(np.ascontiguousarray(block.T, "<f4").data)
    opened = mne.io.read_raw_brainvision(folder / "recording.vhdr", verbose="error")
    opened.set_channel_types(dict(zip(raw.ch_names, kinds, strict=True)), on_unit_change="ignore")
    opened.set_annotations(None)
    if raw.info["meas_date"] is not None:
        opened.set_meas_date(raw.info["meas_date"])
    return opened


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the remarks of the libraries: on what they do not know of a live stream."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _complete(root: Path, path: Path, content: Content) -> None:
    """What mne-bids cannot know of the EEG; and what it takes from the file's format is put right.

    root : of the data set; path : of ``eeg.json``
    """
    assert content.leading is not None
    info, about = content.leading.info, json.loads(path.read_text("utf-8"))
    about |= {
        "Manufacturer": "n/a",
        "EEGReference": info.reference or "n/a",
        "SoftwareVersions": f"bci_m2s {__version__}",
        "TaskDescription": _task(content),
    }
    if math.isfinite(content.leading.rate_hz):  # JSON has no NaN
        about["SamplingFrequencyEffective"] = round(content.leading.rate_hz, 4)
    write_json(path, about)
    channels = path.with_name(path.name.replace("_eeg.json", "_channels.tsv"))
    table = read_texts(channels)
    unknown = {name: [MISSING] * len(table["name"]) for name in ("low_cutoff", "high_cutoff")}
    table |= {name: cells for name, cells in unknown.items() if name in table}
    write_tsv(channels, list(table), zip(*table.values(), strict=True))
    description = json.loads((root / DESCRIPTION).read_text("utf-8"))
    if "[Unspecified1]" in description.get("Authors", []):
        del description["Authors"]
        write_json(root / DESCRIPTION, description)


def _task(content: Content) -> str:
    made_up = content.facts.simulated
    text = "A session of bci_m2s, recorded over LSL."
    return f"SIMULATED ({' and '.join(made_up)}): says nothing about people. {text}" if made_up else text
