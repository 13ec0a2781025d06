"""Files from strangers: nothing in them is run, and nothing is written outside the output folder.

Every payload would create a *canary* file, and one test shows that an ordinary reader does create it. What
single readers refuse stands with their own tests; here every reader gets every payload.
"""

import io
import json
import os
import pickle
import zipfile

import numpy as np
import pytest
import yaml
from support.model_files import contract_fields, raw_model
from support.nightly import often
from typer.testing import CliRunner

from bci_m2s.commands.cli import app
from bci_m2s.errors import BciM2sError
from bci_m2s.lsl.configuration import read_settings
from bci_m2s.model.model_file import load_model_file
from bci_m2s.pipeline.baseline_file import adopt_baseline
from bci_m2s.recording.recorded import open_recording
from bci_m2s.recording.recovery import recover
from bci_m2s.recording.xdf_writer import XdfWriter
from bci_m2s.session.setup.config import load_pipeline
from bci_m2s.training.formats.pickles import read_npz, read_pickle
from bci_m2s.training.released.released import import_released
from bci_m2s.training.training_file import load_training
from bci_m2s.types import StreamInfo


class Canary:
    """Unpickling this creates a folder."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def zipped(canary):
    """A zip archive as torch.save writes them, with the payload as its pickle."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(Canary(canary), 2))
        archive.writestr("archive/version", "3\n")
    return file.getvalue()


def npz(canary):
    """An array of objects, which numpy reads by unpickling."""
    file = io.BytesIO()
    np.savez(file, data=np.array([Canary(canary)], dtype=object))
    return file.getvalue()


PAYLOADS = {
    "pickle 2": lambda canary: pickle.dumps(Canary(canary), 2),
    "pickle 5": lambda canary: pickle.dumps(Canary(canary), 5),
    "text pickle": lambda canary: pickle.dumps(Canary(canary), 0),
    "torch zip": zipped,
    "npz of objects": npz,
    "YAML call": lambda canary: f"a: !!python/object/apply:os.mkdir ['{canary}']\n".encode(),
    "YAML call at the top": lambda canary: f"!!python/object/apply:os.mkdir ['{canary}']\n".encode(),
    "JSON with a class": lambda canary: json.dumps({"py/reduce": ["os.mkdir", [str(canary)]]}).encode(),
    "shell": lambda canary: f"$(mkdir {canary})\n`mkdir {canary}`\n; mkdir {canary}\n".encode(),
    "XDF and a pickle": lambda canary: b"XDF:" + pickle.dumps(Canary(canary), 5),
}
READERS = {
    "model": (".safetensors", load_model_file),
    "pipeline": (".yaml", load_pipeline),
    "training": (".yaml", load_training),
    "baseline": (".json", lambda path: adopt_baseline(path, None)),
    "LSL configuration": (".cfg", read_settings),
    "data set pickle": (".pkl", read_pickle),
    "data set npz": (".npz", lambda path: read_npz(path, ["data"])),
    "released checkpoint": (".pt", lambda path: import_released(path, path.with_suffix(".safetensors"))),
    "damaged recording": (".xdf", recover),
    **{f"{kind} recording": (f".{kind}", open_recording) for kind in ("xdf", "edf", "bdf", "fif", "vhdr")},
}

LENIENT = ("LSL configuration",)  # any line with an equals sign is a setting, also by chance


def refusal_of(read, path):
    """The refusal of a file, "" when it was read."""
    try:
        read(path)
    except BciM2sError as problem:
        return str(problem)
    return ""


@pytest.mark.parametrize("reader", READERS)
def test_refused_and_never_run(tmp_path, reader):
    suffix, read = READERS[reader]
    for number, (payload, make) in enumerate(PAYLOADS.items()):
        folder = tmp_path / str(number)
        folder.mkdir()
        path = folder / f"from-a-stranger{suffix}"
        path.write_bytes(make(folder / "canary"))
        message = refusal_of(read, path)
        assert message, f"{reader}: {payload} was read"
        assert "\n" not in message, f"{reader}: {payload}"
        assert [file.name for file in folder.iterdir()] == [path.name], (
            f"{reader}: {payload} made something"
        )


def test_the_canary_is_alive(tmp_path):
    """Ordinary readers do run these payloads: the tests above can fail."""
    numbers = {name: tmp_path / str(number) for number, name in enumerate(PAYLOADS)}
    for name in ("pickle 2", "pickle 5", "text pickle"):
        pickle.loads(PAYLOADS[name](numbers[name]))
    pickle.loads(PAYLOADS["XDF and a pickle"](numbers["XDF and a pickle"])[4:])
    for name in ("YAML call", "YAML call at the top"):
        yaml.load(PAYLOADS[name](numbers[name]), Loader=yaml.UnsafeLoader)
    path = tmp_path / "file"
    path.write_bytes(PAYLOADS["npz of objects"](numbers["npz of objects"]))
    with np.load(path, allow_pickle=True) as arrays:
        assert arrays["data"][0] is None  # what os.mkdir returned
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("0", PAYLOADS["torch zip"](numbers["torch zip"]))
    with zipfile.ZipFile(path) as archive, archive.open("0") as inner, zipfile.ZipFile(inner) as torch_file:
        pickle.loads(torch_file.read("archive/data.pkl"))
    run = {name for name, canary in numbers.items() if canary.exists()}
    assert run == set(PAYLOADS) - {"JSON with a class", "shell"}


@pytest.mark.parametrize(
    "place",
    [
        ("modalities", "eeg", "feature", "name"),
        ("modalities", "eeg", "normaliser", "name"),
        ("modalities", "eeg", "smoothing", "name"),
        ("modalities", "eeg", "network", "name"),
    ],
)
def test_a_model_cannot_name_a_class_of_its_own(tmp_path, place):
    for name in ("os:mkdir", "posix:mkdir", "../../canary", "__import__('os').mkdir('x')"):
        fields = contract_fields()
        part = fields
        for key in place[:-1]:
            part = part[key]
        part[place[-1]] = name
        part["params"] = {"path": str(tmp_path / "canary")}
        assert refusal_of(load_model_file, raw_model(tmp_path / "m.safetensors", fields)), name
        assert not (tmp_path / "canary").exists(), name


def test_names_that_become_file_names_are_plain(tmp_path):
    """Modalities and heads stand in names of files that training writes."""
    for name in ("../../canary", "/canary", "a/b", "a\\b", "..", "eeg.\n", "con:", "e\0g"):
        for key in ("modalities", "heads"):
            fields = contract_fields()
            fields[key][name] = next(iter(fields[key].values()))
            assert refusal_of(load_model_file, raw_model(tmp_path / "m.safetensors", fields)), (key, name)


HOSTILE = (
    "../../canary",
    "/canary",
    "..\\..\\canary",
    "$(touch canary)",
    "`touch canary`; touch canary",
    "{{ canary }} {0.__class__} %s %n",
    "a' or '1'='1",
    "!!python/object/apply:os.mkdir [canary]",
    "<!ENTITY x SYSTEM 'file:///canary'>&x;",
    "\x1b[2J\x1b]0;canary\x07",
    "[bold]canary[/bold]",
    "canary" * 200,
)
OF_EVERY_RUN = ("../../canary", "$(touch canary)", "\x1b[2J\x1b]0;canary\x07", "canary" * 200)


@pytest.mark.parametrize("hostile", often(HOSTILE, OF_EVERY_RUN))
def test_names_in_a_recording_stay_text(tmp_path, monkeypatch, hostile):
    """Names, labels, units, ids and markers of a recording: replayed, they create nothing."""
    work = tmp_path / "a" / "b" / "work"
    work.mkdir(parents=True)
    monkeypatch.chdir(work)
    shown = "".join(sign for sign in hostile if sign >= " ")  # XML has no control characters
    labels = ("TP9", "AF7", "AF8", "TP10", shown)
    eeg = StreamInfo(
        shown, "EEG", shown, rate_hz=256.0, labels=labels, units=("microvolts",) * 4 + (shown,)
    )
    text = StreamInfo(shown, "Markers", shown, labels=(shown,), units=("",), channel_format="string")
    writer = XdfWriter(work / "x.xdf")
    for info in (eeg, text):
        writer.add_stream(info)
    times = np.arange(2560) / 256.0
    signal = np.random.default_rng(1).normal(0, 10, (2560, 5)).astype(np.float32)
    writer.samples(1, times, signal)
    writer.samples(
        2, np.array([1.0, 2.0]), np.array([[hostile], ["baseline/start" + hostile]], dtype=object)
    )
    for stream in (1, 2):
        writer.footer(stream)
    writer.close()
    before = set(tmp_path.rglob("*"))
    done = CliRunner().invoke(app, ["replay", "x.xdf", "--pipeline", "muse", "--output", "out"])
    assert done.exit_code == 0, done.output
    made = set(tmp_path.rglob("*")) - before
    assert made
    assert all(path == work / "out" or path.parent == work / "out" for path in made)
    assert not any("canary" in path.name for path in made)
    assert "\x1b" not in done.output
    session = yaml.safe_load((work / "out" / "session.yaml").read_text(encoding="utf-8"))
    assert session["streams"]["eeg"]["name"] == shown.strip()
    events = [json.loads(line) for line in (work / "out" / "events.jsonl").read_text("utf-8").splitlines()]
    first = next(event["message"] for event in events if event["kind"] == "marker")
    assert first == hostile[:1000]
