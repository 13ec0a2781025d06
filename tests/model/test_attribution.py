"""Attribution: right where it can be known, in the extractor's order, without any effect on inference."""

from __future__ import annotations

import threading
import time
from typing import Any

import numpy as np
import pytest
import torch
from support.model_files import contract_fields, small_contract, small_tensors

from bci_m2s.errors import ContractError, DeviceError, ModelError
from bci_m2s.model.attribution import attribute, gradient_times_input
from bci_m2s.model.contract import Contract
from bci_m2s.model.model_file import layout_order
from bci_m2s.model.predictor import Predictor

CONTRACT = small_contract()
TENSORS = small_tensors(CONTRACT)
SHAPES = {"eeg": (5, 20), "eye": (5, 33)}
needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")


@pytest.fixture
def predictor() -> Predictor:
    return Predictor(CONTRACT, TENSORS, "cpu", None)


def window(modality: str, seed: int = 0) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.random.default_rng(seed).normal(size=SHAPES[modality])


class Linear(torch.nn.Module):
    """Logits that are a matrix times the whole window."""

    def __init__(self, weights: torch.Tensor) -> None:
        super().__init__()
        self.weights = torch.nn.Parameter(weights, requires_grad=False)  # (classes, T, F)

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"h": torch.einsum("btf,ctf->bc", x, self.weights)}


def linear_case() -> tuple[Any, Any, Any]:
    rng = np.random.default_rng(3)
    weights, x = rng.normal(size=(3, 4, 6)), rng.normal(size=(4, 6))
    weights, x = weights.astype(np.float32).astype(float), x.astype(np.float32).astype(float)
    return Linear(torch.tensor(weights, dtype=torch.float32)), weights, x


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_linear_network_has_the_gradient_of_the_textbook(place: int) -> None:
    network, weights, x = linear_case()
    scaled = np.einsum("ctf,tf->c", weights, x) / 1.7
    p = np.exp(scaled) / np.exp(scaled).sum()
    slope = (weights[place] - np.einsum("c,ctf->tf", p, weights)) / 1.7
    values = attribute(network, x.astype(np.float32), "h", place, 1.7)
    assert values.dtype == np.float64
    np.testing.assert_allclose(values, (slope * x).sum(axis=0), rtol=1e-4, atol=1e-6)


def test_a_part_that_all_logits_share_counts_nothing() -> None:
    network, weights, x = linear_case()
    shared = np.random.default_rng(4).normal(size=weights.shape[1:])
    other = Linear(torch.tensor(weights + shared, dtype=torch.float32))
    point = x.astype(np.float32)
    np.testing.assert_allclose(
        attribute(other, point, "h", 1, 1.0), attribute(network, point, "h", 1, 1.0), rtol=1e-3, atol=1e-5
    )


def test_a_nearly_certain_class_keeps_its_pattern() -> None:
    """With p = 1 - 1e-9 float32 would say that nothing mattered."""
    weights = torch.zeros(2, 1, 2)
    weights[0, 0] = torch.tensor([20.0, -1.0])
    values = attribute(Linear(weights), np.array([[1.0, -0.7]], np.float32), "h", 0, 1.0)
    assert 0 < values[1] < values[0] < 1e-6
    np.testing.assert_allclose(values[0] / values[1], 20 / 0.7, rtol=1e-5)


@pytest.mark.parametrize("modality", SHAPES)
def test_finite_differences_agree(predictor: Predictor, modality: str) -> None:
    network, x = predictor._networks[modality].double(), window(modality)

    def log_probability(point: Any) -> Any:
        with torch.no_grad():
            logits = network(torch.tensor(point)[None])["emotion"][0] / 1.3
            return torch.log_softmax(logits, dim=0)[2].item()

    step, slope = 1e-5, np.empty_like(x)
    for place in np.ndindex(*x.shape):
        change = np.zeros_like(x)
        change[place] = step
        slope[place] = (log_probability(x + change) - log_probability(x - change)) / (2 * step)
    values = gradient_times_input(network, torch.tensor(x), "emotion", 2, 1.3).numpy()
    np.testing.assert_allclose(values, (slope * x).sum(axis=0), rtol=1e-5, atol=1e-8)
    assert np.abs(values).max() > 1e-4


def test_the_temperature_of_the_head_is_used(predictor: Predictor) -> None:
    fields = contract_fields()
    fields["modalities"]["eeg"]["calibration"] = {"emotion": {"temperature": 2.5}}
    warm = Predictor(Contract.model_validate(fields), TENSORS, "cpu", None)
    x = window("eeg")
    network = predictor._networks["eeg"]
    expected = attribute(network, x.astype(np.float32), "emotion", 1, 2.5)
    np.testing.assert_array_equal(warm.attribution("eeg", x, "emotion", 1), expected)
    assert not np.allclose(predictor.attribution("eeg", x, "emotion", 1), expected)


@pytest.mark.parametrize("modality", SHAPES)
def test_the_class_that_is_meant_is_the_most_probable_one(predictor: Predictor, modality: str) -> None:
    x = window(modality, seed=5)
    best = int(predictor.predict_proba(modality, x[None])[0].argmax())
    values = [predictor.attribution(modality, x, class_index=place) for place in range(3)]
    np.testing.assert_array_equal(predictor.attribution(modality, x), values[best])
    assert not np.allclose(values[0], values[1])


def test_what_lies_at_the_training_mean_counts_nothing(predictor: Predictor) -> None:
    x = window("eeg")
    x[:, 7] = 0.0
    values = predictor.attribution("eeg", x)
    assert values[7] == 0.0
    assert np.count_nonzero(values) == 19


def test_values_stand_in_the_order_of_the_extractor(predictor: Predictor) -> None:
    fields = contract_fields()
    fields["modalities"]["eeg"]["layout"] = "band-major"
    contract = Contract.model_validate(fields)
    order = layout_order(contract.modalities["eeg"])
    assert order is not None
    x = window("eeg")  # in the model's layout: place i holds the extractor's feature order[i]
    as_learnt = predictor.attribution("eeg", x)
    sorted_values = Predictor(contract, TENSORS, "cpu", None).attribution("eeg", x)
    np.testing.assert_array_equal(sorted_values[order], as_learnt)
    assert not np.array_equal(sorted_values, as_learnt)


class TestRefusals:
    def test_class(self, predictor: Predictor) -> None:
        for place in (-1, 3):
            with pytest.raises(
                ContractError, match=rf"class of head 'emotion': got {place}, expected 0 to 2"
            ):
                predictor.attribution("eeg", window("eeg"), class_index=place)

    def test_shape_and_head(self, predictor: Predictor) -> None:
        with pytest.raises(ContractError, match=r"shape of eeg features: got .*, expected \(B, 5, 20\)"):
            predictor.attribution("eeg", window("eeg")[:, :19])
        with pytest.raises(ContractError, match="head: got 'mood', expected one of emotion"):
            predictor.attribution("eeg", window("eeg"), "mood")

    def test_gradient_that_is_not_finite(self) -> None:
        class Root(Linear):
            def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
                score = (x * 0).abs().sqrt().sum(dim=(1, 2))  # its slope at 0 is none
                return {"emotion": torch.stack([score, -score, score], dim=1)}

        model = Predictor(CONTRACT, TENSORS, "cpu", None)
        model._networks["eeg"] = Root(torch.zeros(1))
        with pytest.raises(ModelError, match="model 'small': a gradient for 'eeg' is not finite"):
            model.attribution("eeg", window("eeg"))


@pytest.mark.parametrize("modality", SHAPES)
def test_nothing_of_the_network_changes(predictor: Predictor, modality: str) -> None:
    network, x = predictor._networks[modality], window(modality)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    modes: list[bool] = []
    draws = torch.random.get_rng_state()
    network.register_forward_pre_hook(lambda module, _: modes.append(module.training))
    network.train = lambda *_: pytest.fail("a switch of mode would be seen by inference")
    predictor.attribution(modality, x)
    assert modes == [False]
    for parameter in network.parameters():
        assert parameter.grad is None
        assert not parameter.requires_grad
    for key, value in network.state_dict().items():
        assert torch.equal(value, before[key])
    assert torch.equal(torch.random.get_rng_state(), draws)


def test_also_where_gradients_are_off(predictor: Predictor) -> None:
    x = window("eeg")
    expected = predictor.attribution("eeg", x)
    with torch.inference_mode():
        np.testing.assert_array_equal(predictor.attribution("eeg", x), expected)
    with torch.no_grad():
        np.testing.assert_array_equal(predictor.attribution("eeg", x), expected)


def test_inference_has_the_same_bits_beside_it() -> None:
    """Two threads on one model, at the published input size: neither sees anything of the other."""
    fields = contract_fields()
    fields["modalities"]["eeg"] |= {
        "channels": [f"E{i}" for i in range(62)],
        "units": ["microvolts"] * 62,
        "feature": {"name": "de", "n_features": 310},
        "network": {"name": "m2s-electrode", "params": {"depth": 1, "ffn": 64, "heads": 2}},
    }
    contract = Contract.model_validate(fields)
    model = Predictor(contract, small_tensors(contract), "cpu", None)
    rng = np.random.default_rng(0)
    rows = {"eeg": rng.normal(size=(6, 5, 310)), "eye": rng.normal(size=(6, 5, 33))}
    alone = {name: [model.predict_all(name, row[None])["emotion"] for row in x] for name, x in rows.items()}
    explained = {name: [model.attribution(name, row) for row in x] for name, x in rows.items()}
    done, rounds, wrong = threading.Event(), [0], []

    def explain() -> None:
        while not done.is_set():
            for name, x in rows.items():
                for row, expected in zip(x, explained[name], strict=True):
                    if model.attribution(name, row).tobytes() != expected.tobytes():
                        wrong.append(name)
            rounds[0] += 1

    beside = threading.Thread(target=explain)
    beside.start()
    try:
        limit = time.monotonic() + 120
        while rounds[0] < 5 and beside.is_alive():
            assert time.monotonic() < limit
            for name, x in rows.items():
                for row, expected in zip(x, alone[name], strict=True):
                    assert model.predict_all(name, row[None])["emotion"].tobytes() == expected.tobytes()
    finally:
        done.set()
        beside.join(120)
    assert rounds[0] >= 5
    assert wrong == []


class _Broken(Linear):
    def forward(self, _: torch.Tensor) -> dict[str, torch.Tensor]:
        raise RuntimeError("CUDA error: an illegal memory access was encountered\nmore")


def test_an_error_on_the_cpu_is_not_hidden() -> None:
    with pytest.raises(RuntimeError, match="illegal memory access"):
        attribute(_Broken(torch.zeros(1)), np.zeros((2, 2), np.float32), "h", 0, 1.0)


@needs_cuda
class TestCuda:
    def test_same_values_as_the_cpu(self, predictor: Predictor) -> None:
        model = Predictor(CONTRACT, TENSORS, "cuda", None)
        for modality in SHAPES:
            x = window(modality)
            expected = predictor.attribution(modality, x)
            np.testing.assert_allclose(model.attribution(modality, x), expected, rtol=1e-3, atol=1e-4)

    def test_a_failed_device_is_named(self) -> None:
        network = _Broken(torch.zeros(1, device="cuda"))
        with pytest.raises(DeviceError, match="cuda:0: attribution failed: CUDA error: an illegal memory"):
            attribute(network, np.zeros((2, 2), np.float32), "h", 0, 1.0)
