"""Features that came with a data set: a contract may name them, and nothing live can be built from them."""

from pathlib import Path

import pytest
from support.model_files import contract_fields, small_tensors
from support.small_sessions import EYE_PARAMS

from bci_m2s.errors import ContractError, ModelError
from bci_m2s.features.distributed import Distributed
from bci_m2s.model.contract import Contract
from bci_m2s.model.model_file import save_model
from bci_m2s.session.setup.build import make_plan

PARAMS = {"dataset": "SEED", "feature": "de_LDS"}


def test_it_always_refuses_and_names_the_data_set() -> None:
    with pytest.raises(ContractError, match="'de_LDS' as distributed with 'SEED': no live stream"):
        Distributed(PARAMS, ("Fz",), 250.0, 1.0, 0.25)
    with pytest.raises(ContractError, match="features as distributed with a data set that is not named"):
        Distributed({}, ("Fz",), 250.0, 1.0, 0.25)


def test_unknown_parameters_are_named() -> None:
    with pytest.raises(ContractError, match="'nonsense', expected dataset and feature"):
        Distributed({**PARAMS, "nonsense": 1}, ("Fz",), 250.0, 1.0, 0.25)


def test_a_model_of_such_features_loads_but_no_pipeline_can_use_it(tmp_path: Path) -> None:
    fields = contract_fields()
    fields["modalities"]["eye"]["feature"]["params"] = EYE_PARAMS
    fields["modalities"]["eeg"]["feature"] = {"name": "distributed", "n_features": 20, "params": PARAMS}
    contract = Contract.model_validate(fields)
    save_model(tmp_path / "m.safetensors", contract, small_tensors(contract))
    pipeline = tmp_path / "p.yaml"
    pipeline.write_text("model: m.safetensors\nstreams: {eeg: {}}\n", encoding="utf-8")
    with pytest.raises(
        ModelError, match=r"at 128 Hz: modalities\.eeg\.feature\.params\.source: got"
    ) as caught:
        make_plan(str(pipeline))
    assert "no live stream can make these features" in str(caught.value)
    assert "\n" not in str(caught.value)
    pipeline.write_text("model: m.safetensors\nstreams: {eye: {}}\n", encoding="utf-8")
    assert make_plan(str(pipeline)).contract == contract  # its other modality is live
