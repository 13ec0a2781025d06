"""Every function that reads a file which a stranger may have made, with sound files to begin from.

A loader may return or raise one of its ``allowed`` errors in one line; anything else is a bug.
"""

from __future__ import annotations

import atexit
import gzip
import io
import json
import pickle
import shutil
import tempfile
import warnings
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from bci_m2s.errors import (
    BciM2sError,
    ConfigurationError,
    ContractError,
    ModelError,
    RecordingError,
    UsageError,
)


@dataclass(frozen=True)
class Seed:
    """A sound file to damage: `content` is mutated, wrapped, and written as `name` beside `files`."""

    name: str
    content: bytes
    wrap: Callable[[bytes], bytes] = bytes
    files: dict[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True)
class Loader:
    """seeds : made in a folder of their own; load : given the path of the main file"""

    main: str
    seeds: Callable[[Path], list[Seed]]
    load: Callable[[Path], object]
    allowed: tuple[type[BciM2sError], ...]
    share: int = 70  # examples of every run of the tests


# ---- recordings ----


def xdf_content(folder: Path, seed: int, rounds: int = 3) -> tuple[bytes, bytes]:
    """An XDF file of our writer and its checksums: numbers, texts, offsets, boundaries, footers."""
    from bci_m2s.recording.xdf_writer import XdfWriter
    from bci_m2s.types import StreamInfo

    rng = np.random.default_rng(seed)
    path = folder / f"made-{seed}.xdf"
    writer = XdfWriter(path)
    kinds = ("float32", "int16", "string") if seed else ("double64", "string")
    streams = [
        writer.add_stream(StreamInfo(f"s{k}", "EEG", rate_hz=100.0 * (kind != "string"), labels=("a", "b"),
                                     units=("uV", ""), channel_format=kind))
        for k, kind in enumerate(kinds)
    ]  # fmt: skip
    for number in range(rounds):
        for stream, kind in zip(streams, kinds, strict=True):
            times = number + np.arange(4) / 100
            values = rng.integers(-100, 100, (4, 2))
            samples = values.astype(object) if kind == "string" else values.astype(
                kind.replace("double64", "float64"))  # fmt: skip
            writer.samples(stream, times, samples)
        writer.clock_offset(streams[0], 5.0 + number, 0.5)
        writer.boundary()
    writer.close()
    sums = path.with_name(path.name + ".sums")
    made = path.read_bytes(), sums.read_bytes()
    path.unlink()
    sums.unlink()
    return made


def xdf_seeds(folder: Path) -> list[Seed]:
    return [Seed("f.xdf", xdf_content(folder, seed)[0]) for seed in (0, 1)]


def recover_seeds(folder: Path) -> list[Seed]:
    found = []
    for seed in (0, 1):
        data, sums = xdf_content(folder, seed)
        found += [
            Seed("f.xdf", data),
            Seed("f.xdf", data, files={"f.xdf.sums": sums}),
            Seed("f.xdf.sums", sums, files={"f.xdf": data}),
        ]
    return found


def read_recording(path: Path) -> None:
    """Open a recording and read all samples of all streams."""
    from bci_m2s.recording.recorded import open_recording

    recording = open_recording(path)
    for stream in recording.streams:
        n = stream.n_samples
        assert len(stream.times) == n
        assert stream.read(0, n).shape == (n, stream.info.n_channels)
        assert len(stream.offsets_s()) == n
    assert not any("\n" in warning for warning in recording.warnings)


def recover_and_read(path: Path) -> None:
    """Recover; the copy must open without a warning and hold what the report says."""
    from bci_m2s.recording.recorded import open_recording
    from bci_m2s.recording.recovery import recover

    out = path.with_name("copy.xdf")
    before = path.read_bytes()
    report = recover(path, out, overwrite=True)
    assert path.read_bytes() == before
    assert not any("\n" in line for line in report.lines())
    recording = open_recording(report.out or path)
    kept = {stream.number: stream.samples for stream in report.streams}
    assert sum(kept.values()) == sum(stream.n_samples for stream in recording.streams)
    assert len(kept) == len(recording.streams)


def edf_seeds(_folder: Path) -> list[Seed]:
    from support.raw_files import edf

    values = np.arange(80).reshape(40, 2)
    return [
        Seed("f.edf", edf(["EEG Fp1", "ECG ECG"], values, 20)),
        Seed("f.edf", edf(["Fp1", "EDF Annotations"], values, 20)),
    ]


def csv_seeds(_folder: Path) -> list[Seed]:
    lines = ["time,TP9 (uV),gaze_x,label,note"]
    lines += [f"{1.7e9 + n / 8},{n},{n}.5,{'calm' if 8 < n < 20 else ''},x" for n in range(40)]
    iso = ["Time;Fp1"] + [f"2026-05-04T10:00:{n:02d}+02:00;{n},5" for n in range(20)]
    return [Seed("f.csv", "\n".join(one).encode()) for one in (lines, iso)]


def parquet_seeds(folder: Path) -> list[Seed]:
    import pyarrow
    from pyarrow import parquet

    columns = {"time": np.arange(40) / 8, "TP9": np.arange(40.0), "label": ["a"] * 20 + [""] * 20}
    parquet.write_table(pyarrow.table(columns), folder / "seed.parquet", row_group_size=20)
    return [Seed("f.parquet", (folder / "seed.parquet").read_bytes())]


def e4_seeds(_folder: Path) -> list[Seed]:
    """Every file of a small export."""
    from support.e4_files import e4_texts

    files = {name: text.encode() for name, text in e4_texts(seconds=2).items()}
    return [Seed(name, content, files=files) for name, content in files.items() if name != "info.txt"]


def e4_zip_seeds(_folder: Path) -> list[Seed]:
    from support.e4_files import e4_texts

    return [Seed("f.zip", _zipped({name: text.encode() for name, text in e4_texts(seconds=2).items()}))]


def bids_seeds(folder: Path) -> list[Seed]:
    """What stands beside an EDF: each file of it damaged in turn."""
    from support.bids_files import write_bids

    path = write_bids(folder / "bids")
    beside = {one.name: one.read_bytes() for one in path.parent.iterdir()}
    beside["task-x_eeg.json"] = (folder / "bids" / "task-x_eeg.json").read_bytes()
    content = beside.pop(path.name)
    files = {path.name: content, **beside}
    return [Seed(name, kept, files=files) for name, kept in beside.items()]


def read_with_events(path: Path) -> None:
    """Read a recording; what is not used of the files beside it is said, and counts as refused here."""
    from bci_m2s.recording.recorded import open_recording

    read_recording(path)
    for warning in open_recording(path).warnings:
        if "not used" in warning:
            raise RecordingError(warning)


def bdf_seeds(_folder: Path) -> list[Seed]:
    from support.raw_files import edf

    made = []
    for labels in (["Fp1", "Status"], ["EEG Cz", "BDF Annotations"]):
        content = edf(labels, np.zeros((20, 2)), 10)
        head = b"\xffBIOSEMI" + content[8 : 256 * 3].replace(b"-32768", b"-8388608"[:6])
        body = b"".join(int(k % 50).to_bytes(3, "little") for k in range(40))
        made.append(Seed("f.bdf", head + body))
    return made


def fif_seeds(folder: Path) -> list[Seed]:
    import mne

    made = []
    for kinds in (["eeg", "stim"], ["ecg", "eeg"]):
        raw = mne.io.RawArray(np.ones((2, 30)) * 1e-5, mne.create_info(["a", "b"], 50.0, kinds),
                              verbose="error")  # fmt: skip
        raw.set_annotations(mne.Annotations([0.1], [0.0], ["go"]))
        raw.save(folder / "m_raw.fif", overwrite=True, verbose="error")
        made.append(Seed("f_raw.fif", (folder / "m_raw.fif").read_bytes()))
        (folder / "m_raw.fif").unlink()
    return made


def fif_gz_seeds(folder: Path) -> list[Seed]:
    plain = fif_seeds(folder)
    packed = Seed("f_raw.fif.gz", gzip.compress(plain[0].content, mtime=0))
    return [
        packed,
        *(Seed("f_raw.fif.gz", one.content, lambda data: gzip.compress(data, 1)) for one in plain),
    ]


def brainvision_seeds(_folder: Path) -> list[Seed]:
    header = (
        "Brain Vision Data Exchange Header File Version 1.0\n\n[Common Infos]\nCodepage=UTF-8\n"
        "DataFile=b.eeg\nMarkerFile=b.vmrk\nDataFormat=BINARY\nDataOrientation=MULTIPLEXED\n"
        "NumberOfChannels=2\nSamplingInterval=10000\n\n[Binary Infos]\nBinaryFormat=INT_16\n\n"
        "[Channel Infos]\nCh1=Cz,,0.5,µV\nCh2=Pz,,0.5,µV\n"
    )
    marks = (
        "Brain Vision Data Exchange Marker File, Version 1.0\n\n[Common Infos]\nCodepage=UTF-8\n"
        "DataFile=b.eeg\n\n[Marker Infos]\nMk1=Stimulus,S  7,11,1,0\nMk2=Stimulus,S  8,15,1,0\n"
    )
    files = {
        "b.vhdr": header.encode(),
        "b.vmrk": marks.encode(),
        "b.eeg": np.arange(40, dtype="<i2").tobytes(),
    }
    return [Seed(name, content, files=files) for name, content in files.items()]


# ---- models ----


@cache
def _model() -> tuple[Any, Any]:
    from support.model_files import small_contract, small_tensors

    contract = small_contract()
    return contract, small_tensors(contract)


def model_seeds(folder: Path) -> list[Seed]:
    from bci_m2s.model.model_file import save_model

    path = folder / "made.safetensors"
    save_model(path, *_model(), overwrite=True)
    whole = path.read_bytes()
    path.unlink()
    end = 8 + int.from_bytes(whole[:8], "little")

    def with_length(header: bytes) -> bytes:
        return len(header).to_bytes(8, "little") + header + whole[end:]

    return [Seed("m.safetensors", whole), Seed("m.safetensors", whole[8:end], with_length)]


def load_and_ask_model(path: Path) -> None:
    """Read a model file; what is read must be able to answer."""
    from bci_m2s.model.model_file import load_model_file
    from bci_m2s.model.predictor import Predictor

    Predictor(*load_model_file(path), "cpu", None).warm_up()


def released_seeds(_folder: Path) -> list[Seed]:
    import torch

    from support.released_checkpoints import finetuned, released

    made = io.BytesIO()
    torch.save(finetuned(*released(2, n_eeg=4, n_eye=3, bands=2, embedding=4, ffn=3, depth=1)), made)
    whole = made.getvalue()
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    (inner,) = (name for name in members if name.endswith("data.pkl"))
    return [
        Seed("c.pt", whole),
        Seed("c.pt", members[inner], lambda data: _zipped({**members, inner: data})),
    ]


def _zipped(members: dict[str, bytes]) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return made.getvalue()


def import_checkpoint(path: Path) -> None:
    """Import a released checkpoint; what comes out must be a model file."""
    from bci_m2s.model.model_file import load_model_file
    from bci_m2s.training.released.released import import_released

    out = path.with_name("imported.safetensors")
    import_released(path, out, overwrite=True)
    load_model_file(out)


def checkpoint_seeds(folder: Path) -> list[Seed]:
    from bci_m2s.training.methods.checkpoint import Progress, save_checkpoint

    model, optimiser = _trainee()
    path = folder / "made.ckpt"
    save_checkpoint(path, model, {"adam": optimiser}, Progress(3, [{"loss": 1.5}], {"seed": 1}))
    whole = path.read_bytes()
    path.unlink()
    end = 8 + int.from_bytes(whole[:8], "little")
    return [
        Seed("c.safetensors", whole),
        Seed("c.safetensors", whole[8:end],
             lambda header: len(header).to_bytes(8, "little") + header + whole[end:]),
    ]  # fmt: skip


def _trainee() -> tuple[Any, Any]:
    import torch

    from bci_m2s.training.methods.adam import Adam

    torch.manual_seed(0)
    model = torch.nn.Linear(3, 2)
    optimiser = Adam(model.parameters())
    model(torch.ones(1, 3)).sum().backward()
    optimiser.step()
    return model, optimiser


def resume_checkpoint(path: Path) -> None:
    """Read a checkpoint of a training in progress into a model of its kind."""
    from bci_m2s.training.methods.checkpoint import load_checkpoint

    model, optimiser = _trainee()
    load_checkpoint(path, model, {"adam": optimiser})


# ---- configuration ----

PIPELINES = (
    "model: demo\nstreams:\n  eeg: {name: cap, type: EEG, wait_s: 3, rename: {A1: TP9}}\n"
    "  eye: {source: replay, file: x.xdf, loops: 2}\nmarkers: {type: Markers}\ndevice: cuda:1\nthreads: 2\n"
    "baseline: {start: marker, marker: go}\noutlet: {enabled: false}\n",
    "# a comment\nmodel: 'muse-4ch'\nstreams:\n  eeg:\n    type: EEG\n    wait_s: 1.5\n",
)


def pipeline_seeds(_folder: Path) -> list[Seed]:
    return [Seed("p.yaml", text.encode()) for text in PIPELINES]


def load_pipeline_file(path: Path) -> None:
    from bci_m2s.session.setup.config import load_pipeline

    load_pipeline(path)


def training_seeds(_folder: Path) -> list[Seed]:
    import yaml

    from support.small_pairs import contract_values

    base = {"contract": contract_values(), "pair": ["eeg", "eye"], "data": {"format": "simulated"}}
    return [
        Seed("t.yaml", yaml.safe_dump({**base, **more}, sort_keys=False).encode())
        for more in ({}, {"preset": "released-seed", "seeds": [1, 2], "pretrain": {"epochs": 3}})
    ]


def load_training_file(path: Path) -> None:
    from bci_m2s.training.training_file import load_training

    load_training(path)


@cache
def _rested() -> Any:
    from bci_m2s.types import Chunk
    from support.small_sessions import eeg, pipeline

    made = pipeline()
    made.push("eeg", Chunk.of(*eeg(20)))
    return made


def baseline_seeds(folder: Path) -> list[Seed]:
    from bci_m2s.pipeline.baseline_file import save_baseline

    path = folder / "made.json"
    assert save_baseline(path, _rested(), "small")
    content = path.read_bytes()
    path.unlink()
    values = json.loads(content)
    values["modalities"]["eeg"]["mean"][0] = None
    return [Seed("b.json", content), Seed("b.json", json.dumps(values, indent=1).encode())]


def adopt_baseline_file(path: Path) -> None:
    from bci_m2s.pipeline.baseline_file import adopt_baseline

    adopt_baseline(path, _rested())


LSL_SETTINGS = (
    b"[ports]\nIPv6 = disable\n[multicast]\nResolveScope = machine\n[lab]\nSessionID = a\n",
    b"; a comment\n[lab]\nKnownPeers = {10.0.0.1, b.local}\r\n\n[log]\nlevel = -3\n",
)


def lsl_seeds(_folder: Path) -> list[Seed]:
    return [Seed("lsl_api.cfg", content) for content in LSL_SETTINGS]


def read_lsl_settings(path: Path) -> None:
    """Read LSL's configuration and make the one of a session from it, which must be well formed too."""
    from bci_m2s.lsl.configuration import read_settings, with_session_id

    read_settings(path)
    made = path.with_name("made.cfg")
    made.write_text(
        with_session_id(path.read_bytes().decode("utf-8", "replace"), "fresh"), encoding="utf-8"
    )
    assert read_settings(made)["lab.SessionID"] == "fresh"


# ---- data sets ----

PLAIN = {"data": {0: np.arange(6.0).reshape(2, 3), 1: np.ones((1, 3))}, "label": [1, 2, "a"]}


def pickle_seeds(_folder: Path) -> list[Seed]:
    return [Seed("d.pkl", pickle.dumps(PLAIN, protocol=protocol)) for protocol in (2, 4, 5)]


def load_pickle(path: Path) -> None:
    from bci_m2s.training.formats.pickles import read_pickle

    read_pickle(path)


def npz_seeds(_folder: Path) -> list[Seed]:
    made = io.BytesIO()
    np.savez(made, data=pickle.dumps(PLAIN), label=np.arange(5, dtype=">i4"))
    with zipfile.ZipFile(made) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    return [
        Seed("d.npz", made.getvalue()),
        *(
            Seed("d.npz", content, lambda data, name=name: _zipped({**members, name: data}))
            for name, content in members.items()
        ),
    ]


def load_npz(path: Path) -> None:
    from bci_m2s.training.formats.pickles import read_npz

    read_npz(path, ("data", "label"))


def mat_seeds(folder: Path) -> list[Seed]:
    from support.dataset_files import save_mat

    made = []
    cells = np.array([[np.arange(3.0)], [np.ones((2, 2))]], dtype=object)
    variables = {
        "a": np.arange(12.0).reshape(3, 4),
        "s": {"x": np.int16([[1, 2]]), "t": "text", "c": cells},
    }
    for compressed in (False, True):
        save_mat(folder / "made.mat", variables, do_compression=compressed)
        made.append(Seed("d.mat", (folder / "made.mat").read_bytes()))
        (folder / "made.mat").unlink()
    return made


def load_mat(path: Path) -> None:
    from bci_m2s.training.formats.matlab import mat_shapes, read_mat

    mat_shapes(path)
    read_mat(path, ("a", "s"))


def session_seeds(folder: Path) -> list[Seed]:
    from bci_m2s.training.data.load import write_features
    from support.small_pairs import corpus

    path = folder / "made.npz"
    write_features(path, corpus()[0])
    whole = path.read_bytes()
    path.unlink()
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    return [
        Seed("s.npz", whole),
        Seed("s.npz", members["about.npy"], lambda data: _zipped({**members, "about.npy": data})),
        Seed("s.npz", members["end_s.npy"], lambda data: _zipped({**members, "end_s.npy": data})),
    ]


def load_session(path: Path) -> None:
    from bci_m2s.training.data.load import read_features

    read_features(path)


def made_below(folder: Path, make: Callable[[Path], object], name: str) -> Seed:
    """A seed of one file of those that `make` writes below a folder."""
    root = folder / "made"
    make(root)
    files = {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}
    shutil.rmtree(root)
    return Seed(name, files[name], files=files)


def read_data_set(root: Path, name: str) -> None:
    """Read all raw samples of a data set; what is left out counts as refused."""
    from bci_m2s.training.datasets import DATASETS

    problems: list[Any] = []
    read = DATASETS[name].read_raw
    assert read is not None
    for segments in read(root, problems.append):
        for segment in segments:
            for stream in segment.streams.values():
                for chunk in stream.chunks():
                    assert len(chunk.times) == len(chunk.samples)
                    assert chunk.samples.shape[1] == stream.info.n_channels
    if left_out := [problem for problem in problems if problem.left_out]:
        raise RecordingError(str(left_out[0]))


def eegmat_seeds(folder: Path) -> list[Seed]:
    from support.raw_files import write_eegmat

    return [made_below(folder, write_eegmat, "Subject00_1.edf")]


def stress_predict_seeds(folder: Path) -> list[Seed]:
    """The table of stretches and each sensor's file, of half a minute behind a baseline."""
    from support.stress_files import write_stress_predict

    def make(root: Path) -> None:
        write_stress_predict(root, (2,), (70, 12, 10), quick=True)

    names = ("trials.csv", "S02_BVP.csv", "S02_EDA.csv", "S02_TEMP.csv")
    return [made_below(folder, make, name) for name in names]


EVENTS = "sub-01_ses-02_task-stim03_desc-fixations.tsv.gz"


def brain_body_behaviour_seeds(_folder: Path) -> list[Seed]:
    """Each table of a recording: what is in it, and as it is packed."""
    from support.event_files import event_texts

    texts = {table: text.encode() for table, text in event_texts(35.0, 2).items()}
    files = {EVENTS.replace("fixations", table): gzip.compress(text, 1) for table, text in texts.items()}
    packed = Seed(EVENTS, files[EVENTS], files=files)
    return [
        packed,
        *(
            Seed(EVENTS.replace("fixations", table), text, lambda data: gzip.compress(data, 1), files)
            for table, text in texts.items()
        ),
    ]


def read_events_below(path: Path) -> None:
    """As other data sets: features as they are distributed, what is left out counts as refused."""
    from bci_m2s.training.datasets import DATASETS

    problems: list[Any] = []
    data_set = DATASETS["brain-body-behaviour"]
    assert data_set.read is not None
    for trial in data_set.read(path.parent, "events", problems.append):
        for name, rows in trial.steps.items():
            assert rows.shape[1] == data_set.modalities[name]
            assert not np.isinf(rows).any()
    if left_out := [problem for problem in problems if problem.left_out]:
        raise RecordingError(str(left_out[0]))


@contextmanager
def small_deap() -> Iterator[None]:
    """DEAP with less of everything."""
    from bci_m2s.training.datasets import deap

    with mock.patch.object(deap, "N_TRIALS", 2), mock.patch.object(deap, "N_SAMPLES", 20):
        yield


def deap_seeds(_folder: Path) -> list[Seed]:
    from support.raw_files import deap_pickle, deap_values

    with small_deap():
        return [Seed("s01.dat", deap_pickle(*deap_values()))]


def read_deap(path: Path) -> None:
    """As the other data sets."""
    with small_deap():
        read_data_set(path.parent, "deap")


def dreamer_seeds(folder: Path) -> list[Seed]:
    from support.raw_files import dreamer_person, write_dreamer

    person = dreamer_person()
    for modality in ("EEG", "ECG"):
        for part in ("baseline", "stimuli"):
            for trial in range(18):
                person[modality][part][trial, 0] = person[modality][part][trial, 0][:3]
    return [made_below(folder, lambda root: write_dreamer(root, [person]), "DREAMER.mat")]


RAW_SEED = "eeg_raw_data/1/1_20150508.mat"


def raw_seed_seeds(folder: Path) -> list[Seed]:
    from support.dataset_files import save_mat
    from support.raw_files import raw_clips

    clips = {name: values[:, :5] for name, values in raw_clips("ab", 24).items()}

    def made(compressed: bool) -> Seed:
        make = lambda root: save_mat(root / RAW_SEED, clips, do_compression=compressed)  # noqa: E731
        return made_below(folder, make, RAW_SEED)

    return [made(False), made(True)]


def recordings_seeds(_folder: Path) -> list[Seed]:
    from support.raw_files import xdf

    stamps, n = 100 + np.arange(256) / 256, 256
    eeg = ("cap", "EEG", 256, ("TP9", "AF7", "AF8", "TP10"), ["uV"] * 4, stamps, np.ones((n, 4)))
    return [Seed("1.xdf", xdf([eeg], [(100.2, "trial/start/neutral"), (100.8, "trial/stop/neutral")]))]


def read_for_contract(path: Path) -> None:
    """Recordings with the streams that a contract wants, as training reads them."""
    from bci_m2s.training.datasets.recordings import find_recordings
    from support.model_files import small_contract

    problems: list[Any] = []
    data = find_recordings(path.parent, small_contract())
    for segments in data.read_raw(path.parent, problems.append):
        for segment in segments:
            for stream in segment.streams.values():
                assert all(len(chunk.times) == len(chunk.samples) for chunk in stream.chunks())
    if left_out := [problem for problem in problems if problem.left_out]:
        raise RecordingError(str(left_out[0]))


# ---- recorded sessions ----


def verify_seeds(folder: Path) -> list[Seed]:
    """A short session; damaged is what its events say of it, as JSON lines, and then the file itself."""
    from bci_m2s.lsl.formats import EVENTS_TYPE
    from bci_m2s.recording.recorded import open_recording
    from bci_m2s.recording.xdf_writer import XdfWriter
    from support.recorded_sessions import chunks_of, record_session
    from support.small_sessions import eeg

    elsewhere = Path(tempfile.mkdtemp(dir=folder.parent))
    path = record_session(elsewhere / "session", {"eeg": chunks_of(*eeg(3))})
    recording = open_recording(path)
    events = next(stream for stream in recording.streams if stream.info.type == EVENTS_TYPE)
    lines = "\n".join(str(row[0]) for row in events.read(0, events.n_samples)).encode()
    model = {"small.safetensors": (path.parent / "small.safetensors").read_bytes()}

    def with_events(content: bytes) -> bytes:
        made = elsewhere / "made.xdf"
        made.unlink(missing_ok=True)
        Path(f"{made}.sums").unlink(missing_ok=True)
        writer = XdfWriter(made)
        for stream in recording.streams:
            number, times = writer.add_stream(stream.info), stream.times
            samples = stream.read(0, stream.n_samples)
            if stream is events:
                rows = content.decode("utf-8", "replace").split("\n")
                samples, times = np.array(rows, object)[:, None], np.arange(float(len(rows)))
            writer.samples(number, times, samples)
        writer.close()
        return made.read_bytes()

    seeds = [Seed("s.xdf", lines, with_events, model), Seed("s.xdf", path.read_bytes(), files=model)]
    atexit.register(shutil.rmtree, elsewhere, ignore_errors=True)
    return seeds


def verify_session(path: Path) -> None:
    """Verify; a difference is an answer too."""
    from bci_m2s.review.verify import verify

    verify(path)


LOADERS = {
    "verify": Loader("s.xdf", verify_seeds, verify_session, (RecordingError, UsageError, ModelError), 30),
    "xdf": Loader("f.xdf", xdf_seeds, read_recording, (RecordingError,), 120),
    "recover": Loader("f.xdf", recover_seeds, recover_and_read, (RecordingError,), 120),
    "edf": Loader("f.edf", edf_seeds, read_recording, (RecordingError,)),
    "csv": Loader("f.csv", csv_seeds, read_recording, (RecordingError,)),
    "parquet": Loader("f.parquet", parquet_seeds, read_recording, (RecordingError,)),
    "e4": Loader("EDA.csv", e4_seeds, read_recording, (RecordingError,)),
    "e4 zip": Loader("f.zip", e4_zip_seeds, read_recording, (RecordingError,), 120),
    "bids": Loader("sub-01_ses-01_task-x_eeg.edf", bids_seeds, read_with_events, (RecordingError,), 50),
    "bdf": Loader("f.bdf", bdf_seeds, read_recording, (RecordingError,)),
    "fif": Loader("f_raw.fif", fif_seeds, read_recording, (RecordingError,), 40),
    "fif.gz": Loader("f_raw.fif.gz", fif_gz_seeds, read_recording, (RecordingError,), 30),
    "brainvision": Loader("b.vhdr", brainvision_seeds, read_recording, (RecordingError,), 50),
    "model": Loader("m.safetensors", model_seeds, load_and_ask_model, (ModelError, ContractError)),
    "released": Loader("c.pt", released_seeds, import_checkpoint, (ModelError,), 50),
    "checkpoint": Loader("c.safetensors", checkpoint_seeds, resume_checkpoint, (ModelError,), 50),
    "pipeline": Loader("p.yaml", pipeline_seeds, load_pipeline_file, (ConfigurationError,)),
    "training": Loader("t.yaml", training_seeds, load_training_file, (ConfigurationError,), 50),
    "baseline": Loader("b.json", baseline_seeds, adopt_baseline_file, (ConfigurationError,), 50),
    "lsl": Loader("lsl_api.cfg", lsl_seeds, read_lsl_settings, (ConfigurationError,), 40),
    "pickle": Loader("d.pkl", pickle_seeds, load_pickle, (RecordingError,)),
    "npz": Loader("d.npz", npz_seeds, load_npz, (RecordingError,)),
    "mat": Loader("d.mat", mat_seeds, load_mat, (RecordingError,)),
    "eegmat": Loader(
        "Subject00_1.edf",
        eegmat_seeds,
        lambda path: read_data_set(path.parent, "eegmat"),
        (RecordingError,),
        40,
    ),
    "stress-predict": Loader(
        "trials.csv",
        stress_predict_seeds,
        lambda path: read_data_set(path.parent, "stress-predict"),
        (RecordingError,),
        40,
    ),
    "brain-body-behaviour": Loader(
        EVENTS, brain_body_behaviour_seeds, read_events_below, (RecordingError,), 40
    ),
    "deap": Loader("s01.dat", deap_seeds, read_deap, (RecordingError,)),
    "dreamer": Loader(
        "DREAMER.mat", dreamer_seeds, lambda path: read_data_set(path.parent, "dreamer"), (RecordingError,)
    ),
    "raw seed": Loader(
        RAW_SEED, raw_seed_seeds, lambda path: read_data_set(path.parents[2], "seed-iv"), (RecordingError,)
    ),
    "recordings": Loader("1.xdf", recordings_seeds, read_for_contract, (RecordingError,)),
    "session": Loader("s.npz", session_seeds, load_session, (RecordingError,), 30),
}


def write_seed(folder: Path, seed: Seed, content: bytes) -> None:
    """Write a seed's files with `content` in the place of the one to damage; leave no other file."""
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    for name, kept in {**seed.files, seed.name: content}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(kept)


def attempt(loader: Loader, folder: Path) -> str:
    """Load what is in `folder`: "" when it was read, else the refusal. Raises what nobody should see."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            loader.load(folder / loader.main)
        except loader.allowed as problem:
            message = str(problem)
            if not message or not message.isprintable() or len(message) > 4000:
                raise AssertionError(f"a refusal is one printable line: {message!r}") from problem
            return message
    return ""
