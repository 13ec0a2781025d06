"""Pipeline files: every wrong one is refused in one line that names file, line, key, got, expected."""

import pytest

from bci_m2s.errors import ConfigurationError
from bci_m2s.files.shipped import folder, names
from bci_m2s.session.setup.config import BaselineSettings, load_pipeline
from bci_m2s.sources.streams import LslStream, ReplayStream

GOOD = """
model: demo
streams:
  eeg: {name: cap, type: EEG, wait_s: 3, rename: {A1: TP9}}
  eye: {source: replay, file: x.xdf, loops: 2}
markers: {type: Markers}
device: cuda:1
threads: 2
baseline: {start: marker, marker: go}
outlet: {enabled: false}
"""


def load(tmp_path, text):
    path = tmp_path / "p.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return load_pipeline(path)


def test_a_good_file(tmp_path):
    made = load(tmp_path, GOOD)
    assert made.streams["eeg"] == LslStream(name="cap", type="EEG", wait_s=3.0, rename={"A1": "TP9"})
    assert made.streams["eye"] == ReplayStream(source="replay", file="x.xdf", loops=2)
    assert made.markers is not None
    assert made.baseline.marker == "go"
    assert not made.outlet.enabled
    assert (made.modality, made.back_after_s) == ("each", 2.0)
    chosen = load(tmp_path, GOOD + "modality: fused\nback_after_s: 1.5")
    assert (chosen.modality, chosen.back_after_s) == ("fused", 1.5)
    assert list(chosen.streams) == ["eeg", "eye"]  # the order of preference


STREAM = "model: a\nstreams:\n  eeg: "
BAD = {
    "number as text": (
        STREAM + "{wait_s: 1e-3}",
        3,
        "streams.eeg.wait_s: got '1e-3' (text), expected a number; YAML",
    ),
    "unknown key": (STREAM + "{typ: EEG}", 3, "streams.eeg.typ: unknown key; nearest: 'type'"),
    "unknown key of a replay": (STREAM + "{source: replay, fil: x}", 3, "nearest: 'file'"),
    "unknown key at the top": (
        "model: a\nstream:\n  eeg: {}",
        2,
        "stream: unknown key; nearest: 'streams'",
    ),
    "unknown key deeper": (
        "model: a\nstreams: {eeg: {}}\nbaseline:\n  begin: x",
        4,
        "baseline.begin: unknown key",
    ),
    "no as text": (
        "model: no\nstreams: {eeg: {}}",
        1,
        "got false, expected text; yes, no, on and off are",
    ),
    "duplicate key": ("model: a\nmodel: b", 2, "key 'model' occurs twice"),
    "python object": (
        "a: !!python/object:os.system x",
        1,
        "tag 'tag:yaml.org,2002:python/object:os.system'",
    ),
    "alias bomb": ("a: &x [1]\nb: *x", 1, "anchors and aliases are not allowed"),
    "unknown source": (
        STREAM + "{source: lls}",
        3,
        "streams.eeg.source: got 'lls', expected a source: 'lsl', 'replay', 'simulated'; nearest",
    ),
    "unknown sink": (
        "model: a\nstreams: {eeg: {}}\nsinks:\n  - evnts",
        3,
        "sinks.evnts: got 'evnts', expected a sink: 'outlet', 'table', 'events', 'status'; nearest",
    ),
    "unknown parameter of a sink": (
        "model: a\nstreams: {eeg: {}}\nsinks:\n  table: {colour: red}",
        4,
        "sinks.table.colour: got 'colour', expected a parameter of this sink: none",
    ),
    "not a mapping": (STREAM + "3", 3, "streams.eeg: got 3 (a whole number), expected a mapping"),
    "a list": ("- a", None, "got a list, expected a mapping"),
    "empty": ("", None, "got an empty file, expected a mapping"),
    "NaN": (STREAM + "{wait_s: .nan}", 3, "streams.eeg.wait_s: got nan, expected a finite number"),
    "infinite": (STREAM + "{wait_s: .inf}", 3, "streams.eeg.wait_s"),
    "no rate": (STREAM + "{rate_hz: often}", 3, "rate_hz: got 'often' (text), expected a number or 'auto'"),
    "negative": (STREAM + "{gap_s: -1}", 3, "streams.eeg.gap_s: got -1, expected greater than 0"),
    "broken": ("model: [", 1, "not valid YAML"),
    "tabulator": ("streams:\n\teeg: {}", 2, "got a tabulator, expected blanks before a key"),
    "number as key": ("1: 2", 1, "key '1': expected text; quote it"),
    "no streams": ("model: a\nstreams: {}", 2, "streams: got {}, expected at least 1 of these"),
    "device": (
        "model: a\nstreams: {eeg: {}}\ndevice: gpu",
        3,
        "got 'gpu', expected auto, cpu, cuda or cuda:N",
    ),
    "date": ("model: 2020-01-01", 1, "write plain values (quote a date)"),
    "deep": ("a: " + "[" * 60 + "]" * 60, 1, "nested deeper than 20"),
    "very deep": ("a: " + "[" * 5000, 1, "nested deeper than 20"),
    "required": ("model: a", 1, "streams: got nothing, expected a value: this key is required"),
    "null": ("model:\nstreams: {eeg: {}}", 1, "model: got nothing, expected text"),
    "long text": (f"model: {'a' * 300}\nstreams: {{eeg: {{}}}}", 1, "expected"),
    "not text at all": (b"model: \xff\xfe", None, "expected UTF-8 text"),
    "huge": (b"#" * (1 << 20) + b"\nmodel: a", None, "expected at most that"),
    "boolean": (
        "model: a\nstreams: {eeg: {}}\noutlet: {enabled: 3}",
        3,
        "outlet.enabled: got 3 (a whole number), expected true",
    ),
    "how modalities serve": (
        "model: a\nstreams: {eeg: {}}\nmodality: both",
        3,
        "modality: got 'both', expected 'each', 'auto' or 'fused'",
    ),
    "no wait at all": (
        "model: a\nstreams: {eeg: {}}\nmodality: auto\nback_after_s: 0",
        4,
        "back_after_s: got 0, expected greater than 0",
    ),
    "fraction": (
        "model: a\nstreams: {eeg: {}}\nthreads: 1.5",
        3,
        "threads: got 1.5 (a number), expected a whole number",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_files(tmp_path, case):
    text, line, words = BAD[case]
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path, text)
    message = str(caught.value)
    where = str(tmp_path / "p.yaml") + (f":{line}: " if line else "")
    assert message.startswith(where), message
    assert words in message
    assert "\n" not in message
    assert len(message) < 600


@pytest.mark.parametrize(
    ("settings", "came", "notes"),
    [
        (
            {"marker": "rest"},
            ["Rest ", "7"],
            ["the baseline's marker 'rest' never came; others came: 'Rest ', '7'"],
        ),
        ({"marker": "rest"}, [], ["the baseline's marker 'rest' never came"]),
        (
            {},
            ["7", " Baseline/Start"],
            ["the baseline's marker 'baseline/start' never came; others came: ' Baseline/Start'"],
        ),
        ({"marker": "rest"}, ["a", "rest"], []),
        ({"marker": "rest", "start": "marker"}, ["a"], []),  # estimates wait, and say so
        ({}, ["a"], []),
    ],
)
def test_a_marker_of_the_baseline_that_never_came(settings, came, notes):
    assert BaselineSettings(**settings).unmet(came) == notes


def test_a_missing_file(tmp_path):
    with pytest.raises(ConfigurationError, match=r"nowhere\.yaml: cannot be read: No such file"):
        load_pipeline(tmp_path / "nowhere.yaml")


def test_the_python_object_was_not_made(tmp_path):
    canary = tmp_path / "canary"
    with pytest.raises(ConfigurationError):
        load(tmp_path, f"a: !!python/object/apply:os.mkdir ['{canary}']")
    assert not canary.exists()


@pytest.mark.parametrize("name", names("pipelines", ".yaml"))
def test_every_shipped_pipeline_is_valid(name):
    load_pipeline(folder("pipelines") / f"{name}.yaml")


def test_off_needs_no_quotes(tmp_path):
    file = tmp_path / "pipeline.yaml"
    file.write_text("model: muse-4ch\nstreams: {eeg: {type: EEG}}\ndrift: off\n")
    assert load_pipeline(file).drift == "off"
