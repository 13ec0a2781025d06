"""Inference: the same numbers as the network, the same bits each time, and refusal of what is wrong."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import softmax
from support.model_files import contract_fields, fitting, small_contract, small_tensors

from bci_m2s.errors import ContractError, ModelError, UsageError
from bci_m2s.model.contract import Contract
from bci_m2s.model.model_file import modality_network, save_model, unpack_modality
from bci_m2s.model.predictor import MAX_ROWS, Predictor, load_model, resolve_device
from bci_m2s.networks import NETWORKS

CONTRACT = small_contract()
TENSORS = small_tensors(CONTRACT)
SHAPES = {"eeg": (5, 20), "eye": (5, 33)}
needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")


@pytest.fixture(autouse=True)
def same_number_of_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture
def predictor() -> Predictor:
    return Predictor(CONTRACT, TENSORS, "cpu")


def windows(modality: str, n: int, seed: int = 0) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.random.default_rng(seed).normal(size=(n, *SHAPES[modality]))


def reference(
    modality: str, features: Any, contract: Contract = CONTRACT, tensors: Any = TENSORS, head: str = ""
) -> Any:
    """Logits of the network itself, in eval mode, gradients on, so that nothing is kept or folded early."""
    network = modality_network(contract, modality)
    parts = unpack_modality(tensors, modality)
    state = {
        k.removeprefix("network."): torch.tensor(v) for k, v in parts.items() if k.startswith("network.")
    }
    network.load_state_dict(state)
    answer = network.eval()(torch.tensor(features, dtype=torch.float32))
    return answer[head or contract.first_head].detach().numpy()


@pytest.mark.parametrize("modality", SHAPES)
class TestAnswers:
    def test_logits_are_the_network_s(self, predictor: Predictor, modality: str) -> None:
        x = windows(modality, 7)
        logits = predictor.logits(modality, x)
        assert (logits.shape, logits.dtype) == ((7, 3), np.float32)
        np.testing.assert_allclose(logits, reference(modality, x), atol=1e-5)

    def test_probabilities_are_their_softmax(self, predictor: Predictor, modality: str) -> None:
        x = windows(modality, 7)
        probabilities = predictor.predict_proba(modality, x)
        assert probabilities.dtype == np.float64
        expected = softmax(predictor.logits(modality, x).astype(np.float64), axis=1)
        np.testing.assert_allclose(probabilities, expected, rtol=1e-14)
        np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, rtol=1e-14)

    def test_one_window_has_the_same_bits_whatever_came_between(self, modality: str) -> None:
        x = windows(modality, 40)
        first = Predictor(CONTRACT, TENSORS, "cpu")
        alone = np.concatenate([first.predict_proba(modality, row[None]) for row in x])
        second = Predictor(CONTRACT, TENSORS, "cpu")
        for i in np.random.default_rng(1).permutation(len(x)):
            second.predict_proba(modality, windows(modality, 3, seed=int(i)))
            np.testing.assert_array_equal(second.predict_proba(modality, x[i : i + 1])[0], alone[i])

    def test_bits_do_not_depend_on_where_the_input_lies_in_memory(
        self, predictor: Predictor, modality: str
    ) -> None:
        x = windows(modality, 1).astype(np.float32)
        expected = predictor.logits(modality, x)
        for offset in range(16):
            room = np.empty(x.size + 16, np.float32)
            shifted = room[offset : offset + x.size].reshape(x.shape)
            shifted[:] = x
            np.testing.assert_array_equal(predictor.logits(modality, shifted), expected)

    def test_rows_of_a_large_batch_are_those_of_small_ones(
        self, predictor: Predictor, modality: str
    ) -> None:
        x = windows(modality, 2 * MAX_ROWS + 3)
        together = predictor.logits(modality, x)
        apart = np.concatenate([predictor.logits(modality, part) for part in np.array_split(x, 9)])
        assert together.shape == (len(x), 3)
        np.testing.assert_allclose(together, apart, atol=1e-5)

    def test_no_window_gives_no_answer(self, predictor: Predictor, modality: str) -> None:
        assert predictor.predict_proba(modality, windows(modality, 0)).shape == (0, 3)

    def test_input_is_left_alone(self, predictor: Predictor, modality: str) -> None:
        x = windows(modality, 2).astype(np.float32)
        x.flags.writeable = False
        before = x.copy()
        predictor.predict_proba(modality, x)
        np.testing.assert_array_equal(x, before)

    @pytest.mark.parametrize("value", [np.nan, np.inf, 1e300])
    def test_not_finite_input_is_refused(self, predictor: Predictor, modality: str, value: float) -> None:
        x = windows(modality, 2)
        x[1, 2, 3] = value
        with pytest.raises(ContractError, match="got NaN or infinity, expected finite float32 numbers"):
            predictor.predict_proba(modality, x)

    def test_wrong_shape_is_refused(self, predictor: Predictor, modality: str) -> None:
        x = windows(modality, 2)
        for wrong in (x[0], x[:, :4], x[:, :, :-1], x[None]):
            with pytest.raises(ContractError, match=r"expected \(B, 5, \d+\)"):
                predictor.predict_proba(modality, wrong)


@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_predicts(name: str, tmp_path: Path) -> None:
    fields = contract_fields()
    del fields["modalities"]["eye"]
    fields["modalities"]["eeg"]["network"] = {
        "name": name,
        "params": fitting(name, {"depth": 2, "dropout": 0.5}),
    }
    contract = Contract.model_validate(fields)
    tensors = small_tensors(contract)
    save_model(tmp_path / "m", contract, tensors)
    model = load_model(tmp_path / "m", "cpu")
    x = windows("eeg", 3)
    np.testing.assert_allclose(model.logits("eeg", x), reference("eeg", x, contract, tensors), atol=1e-5)
    assert model.contract == contract


def test_published_size(tmp_path: Path) -> None:
    fields = contract_fields()
    del fields["modalities"]["eye"]
    fields["modalities"]["eeg"] |= {
        "channels": [f"E{i}" for i in range(62)],
        "units": ["microvolts"] * 62,
        "feature": {"name": "de", "n_features": 310},
        "network": {"name": "m2s-electrode"},
    }
    contract = Contract.model_validate(fields)
    tensors = small_tensors(contract)
    save_model(tmp_path / "m", contract, tensors)
    model = load_model(tmp_path / "m", "cpu")
    x = np.random.default_rng(0).normal(size=(2, 5, 310))
    np.testing.assert_allclose(model.logits("eeg", x), reference("eeg", x, contract, tensors), atol=1e-5)
    np.testing.assert_array_equal(
        model.logits("eeg", x[:1]), load_model(tmp_path / "m", "cpu").logits("eeg", x[:1])
    )


def test_unknown_modality_is_refused(predictor: Predictor) -> None:
    with pytest.raises(ContractError, match="modality: got 'ecg', expected one of eeg, eye"):
        predictor.predict_proba("ecg", windows("eeg", 1))


def test_loading_draws_no_random_number() -> None:
    state = torch.get_rng_state()
    Predictor(CONTRACT, TENSORS, "cpu").warm_up()
    assert torch.equal(torch.get_rng_state(), state)


def test_weights_are_the_predictor_s_own() -> None:
    tensors = {name: array.copy() for name, array in TENSORS.items()}
    model = Predictor(CONTRACT, tensors, "cpu")
    before = model.logits("eeg", windows("eeg", 1))
    for array in tensors.values():
        array[...] = 0
    np.testing.assert_array_equal(model.logits("eeg", windows("eeg", 1)), before)


def two_heads(**calibration: Any) -> tuple[Contract, Any]:
    """The small model with two heads; `calibration` is that of the EEG, by head."""
    fields = contract_fields()
    fields["heads"]["arousal"] = {"classes": ["low", "high"]}
    fields["modalities"]["eeg"]["calibration"] = calibration
    contract = Contract.model_validate(fields)
    return contract, small_tensors(contract)


class TestHeads:
    def test_each_head_gives_its_own_logits_and_the_first_is_meant_by_default(self) -> None:
        contract, tensors = two_heads()
        model, x = Predictor(contract, tensors, "cpu"), windows("eeg", MAX_ROWS + 2)
        for head, n_classes in (("emotion", 3), ("arousal", 2)):
            logits = model.logits("eeg", x, head)
            assert logits.shape == (len(x), n_classes)
            np.testing.assert_allclose(logits, reference("eeg", x, contract, tensors, head), atol=1e-5)
        np.testing.assert_array_equal(model.logits("eeg", x), model.logits("eeg", x, "emotion"))
        np.testing.assert_array_equal(model.predict_proba("eeg", x), model.predict_all("eeg", x)["emotion"])

    def test_all_heads_come_from_one_pass(self) -> None:
        contract, tensors = two_heads()
        model, x = Predictor(contract, tensors, "cpu"), windows("eye", 3)
        passes = []
        model._networks["eye"].register_forward_hook(lambda *_: passes.append(1))
        every = model.predict_all("eye", x)
        assert passes == [1]
        assert list(every) == ["emotion", "arousal"]
        for head, probabilities in every.items():
            np.testing.assert_array_equal(probabilities, model.predict_proba("eye", x, head))
        assert {p.shape for p in model.predict_all("eye", windows("eye", 0)).values()} == {(0, 3), (0, 2)}

    def test_the_temperature_divides_the_logits_of_its_head_and_modality_only(self) -> None:
        contract, tensors = two_heads(arousal={"temperature": 2.5})
        model, x = Predictor(contract, tensors, "cpu"), windows("eeg", 4)
        logits = model.logits("eeg", x, "arousal").astype(np.float64)
        probabilities = model.predict_proba("eeg", x, "arousal")
        np.testing.assert_allclose(probabilities, softmax(logits / 2.5, axis=1), rtol=1e-12)
        np.testing.assert_array_equal(probabilities, model.predict_all("eeg", x)["arousal"])
        plain = Predictor(*two_heads(), "cpu")
        np.testing.assert_array_equal(model.logits("eeg", x, "arousal"), plain.logits("eeg", x, "arousal"))
        np.testing.assert_array_equal(model.predict_proba("eeg", x), plain.predict_proba("eeg", x))
        y = windows("eye", 2)
        np.testing.assert_array_equal(
            model.predict_proba("eye", y, "arousal"), plain.predict_proba("eye", y, "arousal")
        )

    def test_an_unknown_head_is_named_with_the_known_ones(self) -> None:
        model = Predictor(*two_heads(), "cpu")
        for ask in (model.logits, model.predict_proba):
            with pytest.raises(
                ContractError, match="head: got 'valence', expected one of emotion, arousal"
            ):
                ask("eeg", windows("eeg", 1), "valence")


@pytest.mark.parametrize("key", ["heads.emotion.norm.running_var", "heads.emotion.out.weight"])
def test_weights_that_give_no_number_are_noticed(key: str) -> None:
    name = f"eeg.network.{key}"
    broken = {**TENSORS, name: np.full_like(TENSORS[name], -3e38)}
    model = Predictor(CONTRACT, broken, "cpu")
    many = 100 * windows("eeg", 50)
    with pytest.raises(ModelError, match="model 'small': the answer for 'eeg' is not finite"):
        model.predict_proba("eeg", many)


class TestThreads:
    def test_one_by_default_in_every_thread(self) -> None:
        torch.set_num_threads(2)
        model = Predictor(CONTRACT, TENSORS, "cpu")
        seen = []

        def infer() -> None:
            model.predict_proba("eeg", windows("eeg", 1))
            seen.append(torch.get_num_threads())

        worker = threading.Thread(target=infer)
        worker.start()
        worker.join(timeout=120)
        assert [*seen, torch.get_num_threads()] == [1, 1]

    def test_none_leaves_it_alone(self) -> None:
        torch.set_num_threads(2)
        Predictor(CONTRACT, TENSORS, "cpu", None)
        assert torch.get_num_threads() == 2

    def test_zero_is_refused(self) -> None:
        with pytest.raises(UsageError, match="threads: got 0, expected at least 1"):
            Predictor(CONTRACT, TENSORS, "cpu", 0)


class TestDevice:
    def test_cpu(self) -> None:
        assert resolve_device("cpu") == torch.device("cpu")

    @pytest.mark.parametrize(
        "name", ["", "gpu", "CUDA", "cuda:", "cuda:x", "cuda:-1", "cpu:0", "auto:1", "cuda:²"]
    )
    def test_unknown_name(self, name: str) -> None:
        with pytest.raises(UsageError, match="expected auto, cpu, cuda or cuda:N"):
            resolve_device(name)

    def test_auto_without_cuda(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
        assert resolve_device("auto") == torch.device("cpu")

    @pytest.mark.parametrize("name", ["cuda", "cuda:0", "cuda:7"])
    def test_cuda_that_is_not_there(self, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
        with pytest.raises(UsageError, match=rf"device: got '{name}', but torch .* sees no CUDA device"):
            Predictor(CONTRACT, TENSORS, name)

    def test_names_what_is_there(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda index: f"Card {index}")
        assert resolve_device("auto") == resolve_device("cuda") == torch.device("cuda", 0)
        assert resolve_device("cuda:1") == torch.device("cuda", 1)
        with pytest.raises(UsageError, match=r"sees cuda:0 \(Card 0\), cuda:1 \(Card 1\)"):
            resolve_device("cuda:2")


class _OutOfMemory(torch.nn.Module):
    """Raises what a full device raises, `times` times, then answers."""

    def __init__(self, network: torch.nn.Module, times: int) -> None:
        super().__init__()
        self.network, self.left = network, times

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.left:
            self.left -= 1
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        return self.network(x)


@pytest.mark.parametrize(("times", "warnings"), [(1, 0), (2, 1)])
def test_out_of_memory_is_tried_again_then_goes_to_the_cpu(
    times: int, warnings: int, caplog: pytest.LogCaptureFixture
) -> None:
    model = Predictor(CONTRACT, TENSORS, "cpu")
    expected = model.logits("eeg", windows("eeg", 2))
    model._networks["eeg"] = _OutOfMemory(model._networks["eeg"], times)
    with caplog.at_level(logging.WARNING):
        np.testing.assert_array_equal(model.logits("eeg", windows("eeg", 2)), expected)
    assert len(caplog.records) == warnings
    assert model.device == torch.device("cpu")


def test_another_failure_is_not_hidden() -> None:
    class Failing(torch.nn.Module):
        def forward(self, _: torch.Tensor) -> torch.Tensor:
            raise RuntimeError("CUDA error: an illegal memory access was encountered")

    model = Predictor(CONTRACT, TENSORS, "cpu")
    model._networks["eeg"] = Failing()
    with pytest.raises(RuntimeError, match="illegal memory access"):
        model.predict_proba("eeg", windows("eeg", 1))


@needs_cuda
class TestCuda:
    def test_same_answers_as_the_cpu(self) -> None:
        model = Predictor(CONTRACT, TENSORS, "cuda")
        model.warm_up()
        for modality in SHAPES:
            for n in (1, 3, 2, MAX_ROWS + 1):
                x = windows(modality, n, seed=n)
                np.testing.assert_allclose(model.logits(modality, x), reference(modality, x), atol=1e-4)

    def test_waits_for_the_result_only(self) -> None:
        model = Predictor(CONTRACT, TENSORS, "cuda")
        model.warm_up()
        x = torch.from_numpy(windows("eeg", 1).astype(np.float32))
        torch.cuda.set_sync_debug_mode("error")
        try:
            with torch.inference_mode():
                logits = model._networks["eeg"](model._on_device("eeg", x))
        finally:
            torch.cuda.set_sync_debug_mode("default")
        assert torch.isfinite(logits["emotion"]).all()
