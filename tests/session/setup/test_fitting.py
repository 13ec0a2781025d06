"""What is said of streams that no shipped model fits, and of what a model leaves."""

from __future__ import annotations

from dataclasses import replace

from support.model_files import contract_fields

from bci_m2s.model.contract import Contract
from bci_m2s.session.setup.fitting import offer, say_fits, shipped_contracts, unused
from bci_m2s.simulator import SimulatedSession, SimulatorSettings
from bci_m2s.sources.streams import LslStream
from bci_m2s.types import StreamInfo

MARKERS = StreamInfo("Lab", "Markers", labels=("marker",), units=("",), channel_format="string")


def test_a_muse_is_served_by_a_shipped_model_and_a_cap_by_none():
    shipped = shipped_contracts()
    muse = SimulatedSession(SimulatorSettings("muse", 256.0)).eeg_info
    cap = SimulatedSession(SimulatorSettings("actichamp-32", 500.0)).eeg_info
    assert say_fits(shipped, [muse, MARKERS]) == ["model 'muse-4ch' fits: eeg from 'Simulated EEG'"]
    assert say_fits(shipped, [cap, MARKERS]) == [
        "no shipped model fits; make your own: bci-m2s new my-lab (docs/own-model.md)"
    ]
    assert say_fits(shipped, [MARKERS]) == []
    eyes = SimulatedSession(SimulatorSettings("actichamp-32", 500.0)).eye_info
    assert say_fits(shipped, [cap, eyes]) == [
        "model 'demo-62ch-eye' fits: eye from 'Simulated eye tracker'",
        "no shipped model fits 'Simulated EEG'; make your own: bci-m2s new my-lab (docs/own-model.md)",
    ]


def test_channels_and_streams_without_use_are_counted():
    contract = Contract.model_validate(contract_fields())
    spec = contract.modalities["eeg"]
    extra = ("X1", "X2", "X3")
    eeg = StreamInfo("Cap", "EEG", labels=(*spec.channels, *extra), units=("",) * (len(spec.channels) + 3))
    gaze = StreamInfo("Tobii", "Gaze", labels=("x",), units=("",))
    said = unused(contract, {"eeg": eeg}, [eeg, gaze, MARKERS])
    assert (
        said
        == f"not used by {contract.name}: 3 of {eeg.n_channels} channels of 'Cap' and the stream 'Tobii'"
    )
    alone = replace(eeg, labels=spec.channels)
    assert unused(contract, {"eeg": alone}, [alone, MARKERS]) == ""
    beside = replace(alone, type="ECG")  # all streams of an EDF file have its name
    assert unused(contract, {"eeg": alone}, [alone, beside]).endswith(f"the stream {alone.name!r} (ECG)")


def skin_spec():
    values = contract_fields()
    spec = values["modalities"]["eeg"]
    spec |= {
        "stream_type": "EDA",
        "channels": ["EDA"],
        "units": ["uS"],
        "rate_min_hz": 4,
        "rate_max_hz": 64,
    }
    spec["feature"] = {"name": "physiology", "params": {"columns": {"gsr": "EDA"}}}
    return Contract.model_validate(values).modalities["eeg"]


def test_the_only_stream_that_would_fit_is_offered_with_what_to_write():
    gsr = StreamInfo("Shimmer", "GSR", rate_hz=32.0, labels=("GSR",), units=("uS",))
    ecg = StreamInfo("Strap", "ECG", rate_hz=130.0, labels=("ECG",), units=("mV",))
    spec, wanted = skin_spec(), LslStream(type="EDA")
    said = "; 'Shimmer' would fit: `{type: GSR, rename: {GSR: EDA}}`"
    assert offer(spec, wanted, [gsr, ecg]) == said
    assert offer(spec, LslStream(type="EDA", rename={"GSR": "EDA"}), [gsr, ecg]) == said.replace(
        ", rename: {GSR: EDA}", ""
    )
    assert offer(spec, wanted, [gsr, replace(gsr, name="other")]) == ""
    assert offer(spec, wanted, [ecg, replace(gsr, units=("",))]) == ""
    assert offer(spec, LslStream(type="EDA", source_id="mine"), [gsr]) == ""
