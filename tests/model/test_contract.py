"""What a contract may say, and in which words anything else is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from support.model_files import contract_fields, raw_model, refusal, small_contract

from bci_m2s.errors import ContractError
from bci_m2s.model.contract import Contract
from bci_m2s.model.model_file import load_model_file


def change(fields: dict[str, Any], where: str, value: Any) -> dict[str, Any]:
    """`fields` with the one at the dotted path `where` set, or removed when `value` is ...."""
    *parents, last = where.split(".")
    inner = fields
    for parent in parents:
        inner = inner[parent]
    if value is ...:
        del inner[last]
    else:
        inner[last] = value
    return fields


# Dotted path in the contract, wrong value, and what the message says beside the file's name.
WRONG_TOP = [
    ("format", "other", "contract: format: got 'other', expected 'bci_m2s-model'"),
    ("version", 2, "contract: version 2, this program reads up to 1: update it"),
    ("version", 0, "contract: version: got 0, expected 1"),
    ("version", "1", "contract: version: got '1', expected 1"),
    ("name", "", "contract: name: got ''"),
    ("name", "x" * 257, "contract: name: got 'xxx"),
    ("name", "a\x1b[31mb", r"contract: name: got 'a\x1b[31mb', expected must hold printable"),
    ("name", ..., "contract: name: got nothing"),
    ("simulated", "no", "contract: simulated: got 'no' (text), expected true or false"),
    ("heads", {}, "contract: heads: got {}"),
    ("heads", {"a.b": {"classes": ["x", "y"]}}, "heads.a.b"),
    ("heads", {f"h{i}": {"classes": ["x", "y"]} for i in range(9)}, "contract: heads: got {'h0'"),
    ("heds", {}, "heds: unknown key; nearest: 'heads'"),
    ("heads.emotion.classes", ["one"], "contract: heads.emotion.classes: got ['one']"),
    ("heads.emotion.classes", ["a", "b", "a"], "contract: classes: got 'a' twice"),
    ("heads.emotion.classes", ["a", "unknown"], "contract: classes: got 'unknown', expected names other"),
    ("heads.emotion.classes", "negative", "heads.emotion.classes: got 'negative' (text), expected a list"),
    (
        "heads.emotion.clases",
        [],
        "emotion.clases: unknown key; nearest: 'cl",
    ),
    ("heads.emotion.valence_arousal", {"happy": [0, 0]}, "valence_arousal: got 'happy', expected a known"),
    (
        "heads.emotion.valence_arousal.neutral",
        [0.0, 1.5],
        "neutral.1: got 1.5, expected less than or equal",
    ),
    ("window.steps", 0, "contract: window.steps: got 0, expected greater than or equal to 1"),
    ("window.steps", 10**9, "window.steps: got 1000000000, expected less than"),
    ("window.steps", 5.5, "window.steps: got 5.5"),
    ("window.step", 1, "window.step: unknown key; nearest: 'steps'"),
    ("window.hop_s", 0.3, "contract: window.hop_s: got 0.3, expected 1 s / a whole number"),
    ("window.hop_s", 2.0, "contract: window.hop_s: got 2.0, expected 1 s / a whole number"),
    ("window.hop_s", 0, "window.hop_s: got 0, expected greater than or equal to 0.01"),
    ("modalities", {}, "contract: modalities: got {}"),
    ("modalities", {"a.b": {}}, "modalities.a.b"),
    ("training", {"a": [[[[[[[[[[1]]]]]]]]]]}, "training: got {'a'"),
    ("training", {"a": [0] * 20_001}, "expected must hold at most 20000 values"),
    ("training", {"a\n": 1}, "expected must have printable keys"),
]
# The same inside modalities.eeg.
WRONG_EEG = [
    ("rate_min_hz", 4000.0, "rate_min_hz: got 4000.0, expected at most rate_max_hz (2048)"),
    ("rate_max_hz", 1e9, "modalities.eeg.rate_max_hz: got 1000000000.0, expected less than"),
    ("channels", [], "modalities.eeg.channels: got []"),
    ("channels", ["AF7", "af7", "b", "c"], "contract: channels: got 'af7' twice"),
    ("channels", [str(i) for i in range(1025)], "modalities.eeg.channels: got ["),
    ("chanels", [], "eeg.chanels: unknown key; nearest: 'channels'"),
    ("units", ["microvolts"], "contract: units: got 1, expected one for each of 4"),
    ("max_missing", 1.5, "modalities.eeg.max_missing: got 1.5, expected less than or equal to 1"),
    ("quality", {"rail": 1}, "quality.rail: unknown key; nearest: 'rails'"),
    ("quality", {"limit": 0}, "eeg.quality.limit: got 0, expected greater than 0"),
    (
        "quality",
        {"railed_share": 1.5},
        "eeg.quality.railed_share: got 1.5, expected less than or equal to 1",
    ),
    ("quality", {"rails": [5, -5]}, "contract: quality.rails: got 5 to -5, expected low below high"),
    ("quality", {"noisy_ratio": 0.5}, "contract: quality.noisy_ratio: got 0.5, expected above 1, or 0"),
    ("quality", {"noisy_ratio": -1}, "eeg.quality.noisy_ratio: got -1, expected greater"),
    ("quality", {"sentinels": [0.0] * 17}, "eeg.quality.sentinels: got [0.0"),
    ("quality", {"sentinels": [1e31]}, "eeg.quality.sentinels.0: got 1e+31, expected less than"),
    ("feature.name", "d", "contract: feature.name: got 'd', expected a known name; nearest: 'de'"),
    ("feature.features", 1, "feature.features: unknown key; nearest: 'n_"),
    ("feature.n_features", 10**6, "modalities.eeg.feature.n_features: got 1000000"),
    ("feature.n_features", 21, "m2s-electrode: n_features: got 21, expected a multiple of the 4 channels"),
    ("normaliser.name", "bas", "normaliser.name: got 'bas', expected a known name; nearest: 'baseline'"),
    ("normaliser.params", {"duration": 3}, "got 'duration', expected a parameter of baseline; nearest"),
    ("normaliser.params", {"duration_s": -1}, "params.duration_s: got -1, expected a number above 0"),
    ("normaliser.params", {"duration_s": "10"}, "normaliser.params.duration_s: got '10'"),
    (
        "smoothing.name",
        "kalmann",
        "smoothing.name: got 'kalmann', expected a known name; nearest: 'kalman'",
    ),
    ("smoothing.params", {"steps": 2.5}, "params.steps: got 2.5, expected a whole number above 0"),
    ("smoothing.params", {"steps": True}, "smoothing.params.steps: got True"),
    ("network.name", "m2s-electrod", "got 'm2s-electrod', expected a known network; nearest: 'm2s-el"),
    ("network.parms", 1, "network.parms: unknown key; nearest: 'params'"),
    ("network.params.depth", 10**12, "depth: got 1000000000000, expected a whole number from 1 to 16"),
    ("network.params.dropout", 10**400, "dropout: got 1000"),
    ("rate_max_hz", 10**400, "modalities.eeg.rate_max_hz: got 1000"),
    ("normaliser.params", {"duration_s": 10**400}, "normaliser.params.duration_s: got 1000"),
    ("layout", "row-major", "modalities.eeg.layout: got 'row-major', expected 'channel-major' or 'band-"),
    ("calibration", {"valence": {}}, "modalities.eeg.calibration: got 'valence', expected a known name"),
    ("calibration", {"emotion": {"temperature": 0.0}}, "emotion.temperature: got 0.0, expected greater"),
    ("calibration", {"emotion": {"temperature": 101}}, "emotion.temperature: got 101, expected less"),
    ("calibration", {"emotion": {"unknown_below": 1.5}}, "emotion.unknown_below: got 1.5, expected less"),
    ("calibration", {"emotion": {"ece_after": -0.1}}, "emotion.ece_after: got -0.1, expected greater"),
    ("calibration", {"emotion": {"windows": -1}}, "emotion.windows: got -1, expected greater"),
    (
        "calibration",
        {"emotion": {"temp": 1}},
        "emotion.temp: unknown key; ne",
    ),
    ("network", {"name": "m2s-sequence", "params": {"heads": 3}}, "expected a multiple of the 3 heads"),
]
WRONG_FIELDS = WRONG_TOP + [(f"modalities.eeg.{where}", value, words) for where, value, words in WRONG_EEG]


@pytest.mark.parametrize(("where", "value", "words"), WRONG_FIELDS, ids=lambda value: str(value)[:40])
def test_wrong_field(where: str, value: Any, words: str, tmp_path: Path) -> None:
    message = refusal(raw_model(tmp_path / "m", change(contract_fields(), where, value)))
    assert words in message
    assert message.isprintable()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "contract: not valid JSON"),
        ("[]", "contract: as a whole: got []"),
        ("{", "contract: not valid JSON"),
        ('{"name": "a", "name": "b"}', "contract: not valid JSON: duplicate key 'name'"),
        ('{"name": NaN}', "contract: not valid JSON: NaN is not JSON"),
        ('{"name": ' + "9" * 5000 + "}", "contract: not valid JSON"),
        ("[" * 100_000, "contract: not valid JSON"),
        (json.dumps(contract_fields()).replace("0.5}", "1e999}"), "contract: training: got {"),
    ],
    ids=lambda value: value[:20],
)
def test_wrong_text(text: str, words: str, tmp_path: Path) -> None:
    assert words in refusal(raw_model(tmp_path / "m", text))


def test_defaults_fill_what_is_left_out(tmp_path: Path) -> None:
    fields = change(contract_fields(), "window", ...)
    contract, _ = load_model_file(raw_model(tmp_path / "m", fields))
    assert (contract.window.steps, contract.window.step_s, contract.window.hop_s) == (5, 1.0, 0.25)
    assert contract.modalities["eye"].smoothing.name == "none"
    assert contract.modalities["eye"].max_missing == 0.25


def test_band_major_needs_as_many_bands_for_every_channel() -> None:
    fields = change(contract_fields(), "modalities.eye.layout", "band-major")
    with pytest.raises(ContractError, match="n_features: got 33, expected a multiple of the 5 channels"):
        Contract.model_validate(fields)


def test_the_first_head_and_all_class_names() -> None:
    fields = contract_fields()
    fields["heads"]["arousal"] = {"classes": ["low", "high"]}
    contract = Contract.model_validate(fields)
    assert contract.first_head == "emotion"
    assert contract.class_names == {
        "emotion": ("negative", "neutral", "positive"),
        "arousal": ("low", "high"),
    }


def test_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        small_contract().name = "other"


def test_made_in_python_it_is_checked_too() -> None:
    with pytest.raises(ContractError, match="classes: got 'a' twice"):
        Contract.model_validate(change(contract_fields(), "heads.emotion.classes", ["a", "a"]))
    with pytest.raises(ValidationError, match="unknown"):
        Contract.model_validate(change(contract_fields(), "unknown", 1))


def test_the_number_of_features_is_counted_where_it_is_left_out():
    fields = contract_fields()
    wanted = fields["modalities"]["eeg"]["feature"].pop("n_features")
    contract = Contract.model_validate(fields)
    assert contract.modalities["eeg"].feature.n_features == wanted
    assert Contract.model_validate_json(contract.model_dump_json(), strict=True) == contract


def test_what_the_feature_cannot_be_built_for_is_said_where_it_is_counted():
    fields = change(contract_fields(), "modalities.eeg.feature", {"name": "de", "params": {"bands_hz": 3}})
    with pytest.raises(ContractError, match=r"modalities.eeg.feature.params.bands_hz: got 3"):
        Contract.model_validate(fields)
