"""The model file and its contract: what is kept, what is refused, and in which words."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.model_files import (
    SMALL,
    contract_fields,
    fitting,
    raw_model,
    refusal,
    small_contract,
    small_tensors,
)

from bci_m2s.errors import ContractError, ModelError, OutputError
from bci_m2s.model.contract import Contract
from bci_m2s.model.model_file import (
    layout_order,
    load_model_file,
    modality_network,
    pack_modality,
    read_contract,
    save_model,
    unpack_modality,
)
from bci_m2s.model.stream_check import channel_factors, channel_order, check_stream, stream_doubts
from bci_m2s.networks import NETWORKS
from bci_m2s.types import StreamInfo

CONTRACT = small_contract()
TENSORS = small_tensors(CONTRACT)
EEG, EYE = CONTRACT.modalities["eeg"], CONTRACT.modalities["eye"]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "small.safetensors"
    save_model(path, CONTRACT, TENSORS)
    return path


class TestRoundTrip:
    def test_contract_and_tensors_come_back(self, model: Path) -> None:
        contract, tensors = load_model_file(model)
        assert contract == CONTRACT
        assert set(tensors) == set(TENSORS)
        for name, array in TENSORS.items():
            assert tensors[name].dtype == array.dtype
            np.testing.assert_array_equal(tensors[name], array)

    def test_contract_alone_needs_no_torch(self, model: Path) -> None:
        code = (
            "import sys; from bci_m2s.model.model_file import read_contract;"
            f"print(read_contract({str(model)!r}).name, 'torch' in sys.modules)"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=240)
        assert done.stdout.split() == ["small", "False"], done.stderr
        assert read_contract(model) == CONTRACT

    def test_saving_twice_gives_the_same_bytes(self, tmp_path: Path, model: Path) -> None:
        save_model(tmp_path / "again.safetensors", CONTRACT, TENSORS)
        assert (tmp_path / "again.safetensors").read_bytes() == model.read_bytes()

    def test_loaded_arrays_are_read_only(self, model: Path) -> None:
        _, tensors = load_model_file(model)
        with pytest.raises(ValueError, match="read-only"):
            tensors["eeg.scaler.mean"][0] = 1.0

    def test_any_safetensors_reader_finds_the_contract(self, model: Path) -> None:
        from safetensors import safe_open

        with safe_open(model, framework="np") as file:
            assert json.loads(file.metadata()["contract"])["heads"]["emotion"]["classes"] == list(
                CONTRACT.heads["emotion"].classes
            )

    def test_pack_and_unpack_are_inverse(self) -> None:
        network = modality_network(CONTRACT, "eeg")
        mean, std, spread = np.arange(20.0), np.full(20, 2.0), np.full(20, 3.0)
        parts = unpack_modality(pack_modality("eeg", network, mean, std, spread), "eeg")
        np.testing.assert_array_equal(parts["scaler.mean"], mean)
        np.testing.assert_array_equal(parts["scaler.std"], std)
        np.testing.assert_array_equal(parts["baseline.std"], spread)
        for key, value in network.state_dict().items():
            np.testing.assert_array_equal(parts[f"network.{key}"], value.numpy())
        assert unpack_modality(TENSORS, "ee") == {}

    @pytest.mark.parametrize("name", NETWORKS)
    def test_every_network_can_be_saved_and_loaded(self, name: str, tmp_path: Path) -> None:
        fields = contract_fields()
        del fields["modalities"]["eye"]
        fields["modalities"]["eeg"]["network"] = {"name": name, "params": fitting(name, SMALL)}
        contract = Contract.model_validate(fields)
        tensors = small_tensors(contract)
        save_model(tmp_path / "m.safetensors", contract, tensors)
        loaded, arrays = load_model_file(tmp_path / "m.safetensors")
        assert loaded == contract
        network = modality_network(loaded, "eeg")
        state = {
            key.removeprefix("network."): torch.tensor(value)
            for key, value in unpack_modality(arrays, "eeg").items()
            if key.startswith("network.")
        }
        network.load_state_dict(state)
        assert network.eval()(torch.zeros(1, 5, 20))["emotion"].shape == (1, 3)


class TestHalfPrecision:
    def test_the_network_is_rounded_and_the_scaler_is_not(self, tmp_path: Path) -> None:
        save_model(tmp_path / "full", CONTRACT, TENSORS)
        save_model(tmp_path / "half", CONTRACT, TENSORS, storage="float16")
        _, arrays = load_model_file(tmp_path / "half")
        assert {name: a.dtype for name, a in arrays.items()} == {
            name: a.dtype for name, a in TENSORS.items()
        }
        for name, array in TENSORS.items():
            if ".network." in name and array.dtype == np.float32:
                np.testing.assert_array_equal(arrays[name], array.astype(np.float16).astype(np.float32))
                assert not arrays[name].flags.writeable
            else:
                np.testing.assert_array_equal(arrays[name], array)
        numbers = sum(a.size for name, a in TENSORS.items() if a.dtype == np.float32)
        saved = (tmp_path / "full").stat().st_size - (tmp_path / "half").stat().st_size
        assert saved == pytest.approx(2 * numbers, abs=100)

    def test_numbers_too_large_for_it_are_refused(self, tmp_path: Path) -> None:
        name = "eye.network.heads.emotion.norm.running_var"
        tensors = {**TENSORS, name: np.full_like(TENSORS[name], 1e5)}
        with pytest.raises(ModelError, match=f"{name}' holds numbers too large for float16"):
            save_model(tmp_path / "m", CONTRACT, tensors, storage="float16")
        assert list(tmp_path.iterdir()) == []


def test_layout_order() -> None:
    """In band-major, place b·C + c holds channel c's band b, which the extractor has at c·K + b."""
    spec = CONTRACT.modalities["eeg"]
    assert layout_order(spec) is None
    order = layout_order(spec.model_copy(update={"layout": "band-major"}))
    assert order is not None
    assert [int(order[b * 4 + c]) for b in range(5) for c in range(4)] == [
        c * 5 + b for b in range(5) for c in range(4)
    ]


class TestSaving:
    def test_existing_file_is_kept(self, model: Path) -> None:
        before = model.read_bytes()
        with pytest.raises(OutputError, match=re.escape(f"{model}: exists already")):
            save_model(model, CONTRACT, small_tensors(CONTRACT, seed=1))
        assert model.read_bytes() == before
        assert list(model.parent.iterdir()) == [model]

    def test_overwrite_replaces_it(self, model: Path) -> None:
        save_model(model, CONTRACT, small_tensors(CONTRACT, seed=1), overwrite=True)
        assert not np.array_equal(load_model_file(model)[1]["eeg.scaler.mean"], TENSORS["eeg.scaler.mean"])
        assert list(model.parent.iterdir()) == [model]

    @pytest.mark.parametrize("name", ["missing/m.safetensors", ".", "a\0b"])
    def test_impossible_path(self, name: str, tmp_path: Path) -> None:
        with pytest.raises(OutputError, match=r"cannot be written|exists already"):
            save_model(tmp_path / name, CONTRACT, TENSORS)

    def test_folder_is_never_replaced(self, tmp_path: Path) -> None:
        (tmp_path / "m").mkdir()
        with pytest.raises(OutputError, match="cannot be written"):
            save_model(tmp_path / "m", CONTRACT, TENSORS, overwrite=True)
        assert [path.name for path in tmp_path.iterdir()] == ["m"]

    def test_full_disk_leaves_the_old_file(self, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        before = model.read_bytes()

        def full(_handle: int) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(OutputError, match="cannot be written: No space left on device"):
            save_model(model, CONTRACT, small_tensors(CONTRACT, seed=1), overwrite=True)
        assert model.read_bytes() == before
        assert list(model.parent.iterdir()) == [model]

    def test_wrong_tensors_are_not_written(self, tmp_path: Path) -> None:
        path = tmp_path / "m.safetensors"
        with pytest.raises(ModelError, match=r"eeg\.scaler\.std.* is missing"):
            save_model(path, CONTRACT, {k: v for k, v in TENSORS.items() if k != "eeg.scaler.std"})
        assert not path.exists()

    def test_strided_arrays_keep_their_values(self, tmp_path: Path) -> None:
        tensors = {name: np.asarray(array, order="F") for name, array in TENSORS.items()}
        tensors["eeg.scaler.mean"] = np.repeat(TENSORS["eeg.scaler.mean"], 2)[::2]
        save_model(tmp_path / "m", CONTRACT, tensors)
        for name, array in load_model_file(tmp_path / "m")[1].items():
            np.testing.assert_array_equal(array, TENSORS[name])


class TestTensorsRefused:
    def refused(self, tmp_path: Path, **changes: Any) -> str:
        tensors = dict(TENSORS)
        for name, value in changes.items():
            key = name.replace("__", ".")
            if value is ...:
                del tensors[key]
            else:
                tensors[key] = value
        return refusal(raw_model(tmp_path / "m", contract_fields(), tensors))

    def test_missing(self, tmp_path: Path) -> None:
        assert self.refused(tmp_path, eye__baseline__std=...) == "tensor 'eye.baseline.std' is missing"

    def test_unexpected(self, tmp_path: Path) -> None:
        message = self.refused(tmp_path, eeg__scaler__men=np.zeros(3))
        assert "tensor 'eeg.scaler.men' is not part of this model; nearest: 'eeg.scaler.mean'" in message

    def test_unprintable_name_stays_on_one_line(self, tmp_path: Path) -> None:
        tensors = {**TENSORS, "a\n\x1b[31m" + "b" * 300: np.zeros(1)}
        message = refusal(raw_model(tmp_path / "m", contract_fields(), tensors))
        assert r"a\n\x1b[31m" in message
        assert message.isprintable()

    def test_wrong_shape(self, tmp_path: Path) -> None:
        message = self.refused(tmp_path, eeg__scaler__mean=np.zeros(21))
        assert message == "tensor 'eeg.scaler.mean': got float64 (21,), expected float64 (20,)"

    def test_too_many_dimensions_for_numpy(self, tmp_path: Path) -> None:
        header = json.dumps({"a": {"dtype": "F32", "shape": [1] * 100, "data_offsets": [0, 4]}}).encode()
        (tmp_path / "m").write_bytes(len(header).to_bytes(8, "little") + header + bytes(4))
        assert "truncated or damaged" in refusal(tmp_path / "m")

    def test_wrong_number_type(self, tmp_path: Path) -> None:
        message = self.refused(tmp_path, eeg__scaler__mean=np.zeros(20, np.float32))
        assert "got float32 (20,), expected float64 (20,)" in message

    def test_number_type_that_no_model_has(self, tmp_path: Path) -> None:
        message = self.refused(tmp_path, eeg__scaler__mean=np.zeros(20, np.int8))
        assert message == "tensor 'eeg.scaler.mean' holds 'I8', expected one of F16, F32, F64, I64"

    def test_half_precision_is_for_the_network_only(self, tmp_path: Path) -> None:
        message = self.refused(tmp_path, eeg__scaler__mean=np.zeros(20, np.float16))
        assert "got float16 (20,), expected float64 (20,)" in message

    def test_a_head_with_a_name_that_torch_uses(self, tmp_path: Path) -> None:
        fields = contract_fields()
        fields["heads"]["training"] = {"classes": ["a", "b"]}
        message = refusal(raw_model(tmp_path / "m", fields))
        assert "network: heads: got 'training', expected a name that torch does not use" in message

    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
    def test_not_finite(self, value: float, tmp_path: Path) -> None:
        key = "eeg.network.encoder.affine.weight"
        broken = TENSORS[key].copy()
        broken[3, 4] = value
        assert self.refused(tmp_path, **{key: broken}) == f"tensor {key!r} holds NaN or infinity"

    @pytest.mark.parametrize("name", ["eeg.scaler.std", "eye.baseline.std"])
    @pytest.mark.parametrize("value", [0.0, -1.0])
    def test_standard_deviation_not_above_zero(self, name: str, value: float, tmp_path: Path) -> None:
        broken = TENSORS[name].copy()
        broken[-1] = value
        assert "a standard deviation that is not above 0" in self.refused(tmp_path, **{name: broken})


def stream(**changes: Any) -> StreamInfo:
    """A stream that fits the small model's EEG."""
    fields: dict[str, Any] = {
        "name": "Muse", "type": "EEG", "rate_hz": 256.0, "labels": ("TP9", "AF7", "AF8", "TP10", "AUX"),
        "units": ("microvolts",) * 5,
    }  # fmt: skip
    return StreamInfo(**fields | changes)


class TestStream:
    def test_fits(self) -> None:
        assert check_stream(EEG, stream()) == []
        assert stream_doubts(EEG, stream()) == []
        assert channel_order(EEG, stream()).tolist() == [0, 1, 2, 3]

    @pytest.mark.parametrize("label", ["TRIG", "Trigger", "DeviceTrigger", "STI 014", "Status", "Marker1"])
    def test_triggers_among_the_channels_are_no_markers_and_that_is_said(self, label: str) -> None:
        info = stream(labels=("TP9", "AF7", "AF8", "TP10", label))
        assert check_stream(EEG, info) == []
        (doubt,) = stream_doubts(EEG, info)
        assert doubt == f"stream 'Muse': channels: '{label}' not read as markers; only marker streams are"

    def test_reordered_by_name(self) -> None:
        info = stream(labels=("AUX", "TP10", "AF7", "TP9", "AF8"))
        assert check_stream(EEG, info) == []
        assert channel_order(EEG, info).tolist() == [3, 2, 4, 1]

    def test_case_and_blanks_do_not_matter_when_unique(self) -> None:
        info = stream(labels=("tp9", " AF7", "Af8", "TP10 ", "AUX"))
        assert check_stream(EEG, info) == []
        assert channel_order(EEG, info).tolist() == [0, 1, 2, 3]

    def test_exact_name_goes_before_another_case(self) -> None:
        info = stream(labels=("tp9", "AF7", "AF8", "TP10", "TP9"))
        assert channel_order(EEG, info).tolist() == [4, 1, 2, 3]

    @pytest.mark.parametrize(
        ("first", "got"),
        [
            (("tp9", "Tp9"), "'tp9', 'Tp9', which may all be 'TP9'"),
            (("TP9", "TP9"), "'TP9' more than once (channels 1, 2)"),
            (("TP9.", "EEG TP9-Ref"), "'TP9.', 'EEG TP9-Ref', which may all be 'TP9'"),
        ],
    )
    def test_ambiguous(self, first: tuple[str, str], got: str) -> None:
        info = stream(labels=(*first, "AF7", "AF8", "TP10"))
        (problem,) = check_stream(EEG, info)
        assert str(problem) == (
            f"stream 'Muse': channels: got {got}, expected the model's 4 channels by name, each once; "
            "`rename` of the stream says which is which"
        )
        with pytest.raises(ContractError, match="each once"):
            channel_order(EEG, info)

    def test_twins_of_other_channels_do_not_matter(self) -> None:
        labels = ("TP9", "AF7", "AF8", "TP10", "AUX", "AUX")
        assert check_stream(EEG, stream(labels=labels, units=("uV",) * 6)) == []

    def test_missing(self) -> None:
        info = stream(labels=("TP09", "AF7", "AF8", "X", "AUX"))
        (problem,) = check_stream(EEG, info, "streams.eeg")
        assert str(problem) == (
            "streams.eeg: channels: got no 'TP9', 'TP10', "
            "expected the model's 4 channels by name; `rename` translates; nearest: 'TP09'"
        )
        with pytest.raises(ContractError, match="got no 'TP9', 'TP10'"):
            channel_order(EEG, info)

    @pytest.mark.parametrize(
        ("labels", "got"),
        [((), "none"), (("ch1", "ch2"), "and no names of its own"), ((" ",), "and no names of its own")],
    )
    def test_no_channels_or_no_labels(self, labels: tuple[str, ...], got: str) -> None:
        (problem,) = check_stream(EEG, stream(labels=labels, units=("",) * len(labels)))
        assert problem.field == "channels"
        assert str(problem.got).endswith(got)
        with pytest.raises(ContractError, match="channels"):
            channel_order(EEG, stream(labels=labels, units=()))

    @pytest.mark.parametrize("unit", ["uV", "µV", "μV", "UV", "microvolt", "Microvolts", " uV "])
    def test_one_unit_under_its_names(self, unit: str) -> None:
        assert check_stream(EEG, stream(units=(unit,) * 5)) == []

    @pytest.mark.parametrize("unit", ["counts", "m", "u", ".V"])
    def test_another_unit(self, unit: str) -> None:
        (problem,) = check_stream(EEG, stream(units=("microvolts", unit, unit, "uV", "V")))
        assert str(problem) == (
            f"stream 'Muse': units: got {unit!r} for 'AF7', 'AF8', expected 'microvolts' or what can be "
            "converted to it; `unit:` in the pipeline says what they are"
        )
        assert channel_order(EEG, stream(units=(unit,) * 5)).tolist() == [0, 1, 2, 3]

    @pytest.mark.parametrize(("unit", "factor"), [("V", 1e6), ("mV", 1e3), ("nV", 1e-3), ("-6", 1.0)])
    def test_a_unit_that_can_be_converted(self, unit: str, factor: float) -> None:
        info = stream(units=("uV", unit, "uV", "uV", "m"))
        assert check_stream(EEG, info) == []
        factors = channel_factors(EEG, info)
        assert (factors is None) == (factor == 1.0)
        if factors is not None:
            np.testing.assert_allclose(factors, [1.0, factor, 1.0, 1.0])
        assert any("converted to microvolts" in doubt for doubt in stream_doubts(EEG, info)) == (
            factor != 1
        )

    @pytest.mark.parametrize("units", [(), ("", "", "", "", "")])
    def test_unit_not_stated_is_a_doubt(self, units: tuple[str, ...]) -> None:
        assert check_stream(EEG, stream(units=units)) == []
        (doubt,) = stream_doubts(EEG, stream(units=units))
        assert (
            doubt
            == "stream 'Muse': units: not stated for 'TP9', 'AF7', 'AF8', 'TP10'; taken as the model's"
        )

    def test_unit_that_the_model_leaves_open(self) -> None:
        info = stream(
            type="Gaze",
            rate_hz=120.0,
            labels=EYE.channels,
            units=("normalised", "norm", "mm", "millimeter", "%"),
        )
        assert check_stream(EYE, info) == []
        assert stream_doubts(EYE, info) == []

    def test_other_type_is_a_doubt(self) -> None:
        assert check_stream(EEG, stream(type="ExG")) == []
        (doubt,) = stream_doubts(EEG, stream(type="ExG"))
        assert "type: got 'ExG', the model was made for 'EEG'" in doubt
        assert stream_doubts(EEG, stream(type="eeg")) == []

    @pytest.mark.parametrize("rate", [0.0, -256.0, 100.0, 2051.0, 1e9, float("nan"), float("inf")])
    def test_rate(self, rate: float) -> None:
        (problem,) = check_stream(EEG, stream(rate_hz=rate))
        assert problem.field == "rate_hz"
        assert str(problem.expected).startswith("a regular rate from 128 to 2048 Hz")
        assert ("`rate_hz: auto`" in str(problem.expected)) == (rate == 0)

    @pytest.mark.parametrize("rate", [128.0, 2048.0])
    def test_limits_are_inclusive(self, rate: float) -> None:
        assert check_stream(EEG, stream(rate_hz=rate)) == []

    def test_text_stream(self) -> None:
        (problem,) = check_stream(EEG, stream(channel_format="string", rate_hz=0.0))
        assert (problem.field, problem.got) == ("channel_format", "'string'")

    def test_all_differences_at_once(self) -> None:
        info = stream(rate_hz=0.0, labels=("TP9", "AF7", "tp10", "TP10x"), units=("m",) * 4)
        assert [problem.field for problem in check_stream(EEG, info)] == ["rate_hz", "channels", "units"]

    def test_hostile_labels_stay_on_one_line(self) -> None:
        info = stream(labels=("TP9\n\x1b[2J", "AF7", "AF8", "TP10"), units=("furlongs\n",) * 4)
        assert all(str(problem).isprintable() for problem in check_stream(EEG, info))
