"""Inference: standardised windows in, class probabilities out.

    model = load_model("models/demo.safetensors")
    model.logits("eeg", windows)                 # (B, T, F) → (B, classes) of the first head
    model.predict_proba("eeg", windows)          # the same, calibrated: each row sums to 1
    model.predict_all("eeg", windows)            # calibrated, of every head by name
    model.attribution("eeg", window, "emotion")  # (T, F) → (F,): what the answer rests on

On the CPU one window gives the same bits at every call, on the same machine and versions. On CUDA the
input passes through pinned memory and nothing waits for the device but the reading of the result.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from bci_m2s.errors import ContractError, DeviceError, ModelError, UsageError
from bci_m2s.model.attribution import attribute
from bci_m2s.model.contract import Contract
from bci_m2s.model.model_file import layout_order, load_model_file, modality_network, unpack_modality
from bci_m2s.networks import AnswersApart
from bci_m2s.types import FloatArray

MAX_ROWS = 256  # windows in one pass of the network; 62 channels then take some 0.4 GB
LEAST = (1, 2, 4, 8, 16)  # windows in a pass; the fewer, the less a window alone costs
MOST_AT_ONCE = 32  # windows of different people in one pass; more would only let the first ones wait
MOST_IN_ORDER = 8  # windows of one recording in one pass; more gain little
_log = logging.getLogger(__name__)


def load_model(path: str | Path, device: str = "auto", threads: int | None = 1) -> Predictor:
    """Read a model file and make it ready. Parameters and errors: ``Predictor``, ``load_model_file``."""
    contract, tensors = load_model_file(path)
    return Predictor(contract, tensors, device, threads)


class Predictor:
    """A loaded model. Used by one thread at a time, but for ``attribution``.

    Parameters
    ----------
    contract, tensors : as ``load_model_file`` returns them
    device : "auto" (CUDA where there is one, else the CPU), "cpu", "cuda" or "cuda:N"
    threads : intra-op threads of torch on the CPU, a setting of the whole process; None leaves it alone

    Attributes
    ----------
    contract : what the model was made for
    tensors : its arrays; ``unpack_modality(tensors, "eeg")`` gives the scaler of one modality
    device : where it runs; turns to the CPU when CUDA memory runs out twice in a row
    at_once, least : how many windows one pass may judge, and how many it has at least, some repeated if
        need be; 1 until ``judge_together`` or ``judge_in_passes``

    Raises
    ------
    UsageError
        The device is not there.
    """

    def __init__(
        self,
        contract: Contract,
        tensors: Mapping[str, NDArray[Any]],
        device: str = "auto",
        threads: int | None = 1,
    ) -> None:
        self.contract, self.tensors = contract, dict(tensors)
        self.device, self.at_once, self.least = resolve_device(device), 1, 1
        self._is_apart = False  # the encoder takes a pass at once, what follows it window by window
        if threads is not None:
            if threads < 1:
                raise UsageError(f"threads: got {threads}, expected at least 1")
            torch.set_num_threads(threads)
        self._networks = {
            name: _build(contract, tensors, name).to(self.device) for name in contract.modalities
        }
        self._pinned: dict[str, torch.Tensor] = {}

    def logits(self, modality: str, features: ArrayLike, head: str | None = None) -> NDArray[np.float32]:
        """The network's own scores before calibration, (B, classes) float32.

        Parameters
        ----------
        modality : name in the contract
        features : (B, T, F), normalised per person and scaled as in training, in the model's layout
        head : name in the contract; None for its first one

        Raises
        ------
        ContractError
            Unknown modality or head, wrong shape, or a value that is not finite.
        ModelError
            The network's answer is not finite: its weights cannot be trusted.
        DeviceError
            The GPU failed.
        """
        head = self._head(head)
        return self._all_logits(modality, features)[head]

    def predict_proba(self, modality: str, features: ArrayLike, head: str | None = None) -> FloatArray:
        """Calibrated class probabilities, (B, classes) float64, each row summing to 1.

        Parameters and errors as in ``logits``.
        """
        head = self._head(head)
        return self._calibrated(modality, head, self._all_logits(modality, features)[head])

    def predict_all(self, modality: str, features: ArrayLike) -> dict[str, FloatArray]:
        """Calibrated class probabilities of every head, (B, classes) each; one pass of the network.

        Parameters and errors as in ``logits``.
        """
        every = self._all_logits(modality, features)
        return {head: self._calibrated(modality, head, logits) for head, logits in every.items()}

    def predict_each(self, modality: str, features: ArrayLike) -> list[dict[str, FloatArray]]:
        """What ``predict_all`` returns for each of several windows, (1, classes) by head; one pass.

        Parameters and errors as in ``logits``. After ``judge_together`` the bits are the same as well.
        """
        every = self._all_logits(modality, features)
        return [
            {
                head: self._calibrated(modality, head, logits[row : row + 1])
                for head, logits in every.items()
            }
            for row in range(len(next(iter(every.values()))))
        ]

    def judge_together(self, most: int = MOST_AT_ONCE) -> bool:
        """Let one pass judge windows of several people, where a window's answer is the same as alone.

        On the CPU that is tried out, bit for bit, with passes of 2 to `most` windows; where it is not so
        ``at_once`` stays 1 (see ``arithmetic``). On CUDA bits were never promised. On some processors BLAS
        has other routines for products of few rows, in MKL's strict mode too: there a smaller pass is
        filled up to ``least`` windows. The same computer finds the same number again, to verify by.
        """
        self._is_apart = False
        if self.device.type != "cpu":
            self.at_once = most
            return True
        for self.least in LEAST:
            if all(self._is_alike(name, most) for name in self._networks):
                self.at_once = most
                return True
        self.least = 1
        return False

    def judge_in_passes(self, most: int = MOST_IN_ORDER) -> bool:
        """Let one pass judge windows of a recording, where each gets the bits that it has had alone.

        Unlike ``judge_together`` it leaves the answer of one window as it is: live nobody waits for more.
        Where whole passes round otherwise, the encoder alone is tried, which has several rows for each
        window already; what follows it has one, for which BLAS has routines of their own. Where that is
        not alike either, windows are judged one by one. Tried out as there, on the CPU.
        """
        if self.at_once > 1 or self.device.type != "cpu":
            self.at_once = max(self.at_once, most)
            return True
        has_parts = all(isinstance(network, AnswersApart) for network in self._networks.values())
        for self._is_apart in (False, True) if has_parts else (False,):
            if all(self._is_alike(name, most) for name in self._networks):
                self.at_once = most
                return True
        self._is_apart = False
        return False

    def _is_alike(self, modality: str, most: int) -> bool:
        """Whether rows of passes of any size have the bits of a pass of one."""
        spec = self.contract.modalities[modality]
        shape = (most, self.contract.window.steps, spec.feature.n_features)
        windows = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
        alone = np.concatenate([self._pass(modality, windows[i : i + 1]) for i in range(most)])
        return all(
            np.array_equal(self._pass(modality, windows[:size]), alone[:size])
            for size in range(2, most + 1)
        )

    def attribution(
        self, modality: str, features: ArrayLike, head: str | None = None, class_index: int | None = None
    ) -> FloatArray:
        """Gradient × input of a class's calibrated log-probability: what an answer rests on, (F,) float64.

        Summed over the window's steps, in nats; above 0 speaks for the class. See ``attribution`` for the
        method, its sources and what it cannot tell. May run in one other thread at any time: it shares
        nothing with inference but the weights, which it only reads.

        Parameters
        ----------
        modality : name in the contract
        features : (T, F), one window, as a row of what ``predict_all`` takes: in the model's layout
        head : name in the contract; None for its first one
        class_index : position among the head's classes; None for the most probable one

        Returns
        -------
        (F,) in the extractor's order, that of its feature names

        Raises
        ------
        ContractError
            As in ``logits``, and for a class that the head does not have.
        ModelError
            The gradient is not finite.
        DeviceError
            The GPU failed, or has no memory left.
        """
        head = self._head(head)
        n_classes = len(self.contract.heads[head].classes)
        if class_index is not None and not 0 <= class_index < n_classes:
            where, expected = f"model {self.contract.name!r}", f"0 to {n_classes - 1}"
            raise ContractError(where, f"class of head {head!r}", class_index, expected)
        window = self._checked(modality, np.asarray(features)[None])[0]
        spec = self.contract.modalities[modality]
        temperature = spec.calibration[head].temperature if head in spec.calibration else 1.0
        values = attribute(self._networks[modality], window, head, class_index, temperature)
        if not np.isfinite(values).all():
            raise ModelError(f"model {self.contract.name!r}: a gradient for {modality!r} is not finite")
        order = layout_order(spec)
        if order is None:
            return values
        sorted_values = np.empty_like(values)
        sorted_values[order] = values
        return sorted_values

    def _head(self, head: str | None) -> str:
        if head is None:
            return self.contract.first_head
        if head not in self.contract.heads:
            known = f"one of {', '.join(self.contract.heads)}"
            raise ContractError(f"model {self.contract.name!r}", "head", repr(head), known)
        return head

    def _all_logits(self, modality: str, features: ArrayLike) -> dict[str, NDArray[np.float32]]:
        windows = self._checked(modality, features)
        parts = [self._run(modality, windows[i : i + MAX_ROWS]) for i in range(0, len(windows), MAX_ROWS)]
        widths = [len(head.classes) for head in self.contract.heads.values()]
        answer = np.concatenate(parts) if parts else np.empty((0, sum(widths)), np.float32)
        if not np.isfinite(answer).all():
            raise ModelError(f"model {self.contract.name!r}: the answer for {modality!r} is not finite")
        columns = np.split(answer, np.cumsum(widths)[:-1], axis=1)
        return dict(zip(self.contract.heads, columns, strict=True))

    def _calibrated(self, modality: str, head: str, logits: NDArray[np.float32]) -> FloatArray:
        """Softmax of the logits divided by the head's temperature, (B, classes)."""
        calibration = self.contract.modalities[modality].calibration.get(head)
        scaled = logits.astype(np.float64)
        if calibration is not None:
            scaled /= calibration.temperature
        powers = np.exp(scaled - scaled.max(axis=1, keepdims=True))
        return powers / powers.sum(axis=1, keepdims=True)

    def warm_up(self) -> None:
        """Run every network once, so that the first live window does not pay for start-up."""
        for modality, spec in self.contract.modalities.items():
            self.logits(modality, np.zeros((1, self.contract.window.steps, spec.feature.n_features)))

    def _checked(self, modality: str, features: ArrayLike) -> NDArray[np.float32]:
        """A float32 copy of the input."""
        where = f"model {self.contract.name!r}"
        if modality not in self._networks:
            raise ContractError(where, "modality", repr(modality), f"one of {', '.join(self._networks)}")
        with np.errstate(over="ignore"):  # beyond float32 becomes infinite and is refused below
            windows = np.array(features, dtype=np.float32, order="C")
        spec = self.contract.modalities[modality]
        shape = (self.contract.window.steps, spec.feature.n_features)
        if windows.ndim != 3 or windows.shape[1:] != shape:
            expected = f"(B, {shape[0]}, {shape[1]})"
            raise ContractError(where, f"shape of {modality} features", windows.shape, expected)
        if not np.isfinite(windows).all():
            raise ContractError(where, f"{modality} features", "NaN or infinity", "finite float32 numbers")
        return windows

    def _run(self, modality: str, windows: NDArray[np.float32]) -> NDArray[np.float32]:
        """One pass; when CUDA memory runs out once more with an empty cache, then for good on the CPU."""
        for _ in range(2):
            try:
                return self._pass(modality, windows)
            except torch.cuda.OutOfMemoryError:
                if torch.cuda.is_available():
                    torch.cuda.empty_cache()
            except RuntimeError as problem:  # a CUDA error: the device is lost to this process
                if self.device.type == "cpu":
                    raise
                first = str(problem).strip().splitlines()[0][:300]
                raise DeviceError(f"{self.device}: inference failed: {first}") from None
        _log.warning("%s: out of memory; inference continues on the CPU", self.device)
        self.device = torch.device("cpu")
        self._networks = {name: network.to(self.device) for name, network in self._networks.items()}
        return self._pass(modality, windows)

    def _pass(self, modality: str, windows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Logits of all heads side by side, (B, sum of classes)."""
        if self._is_apart and len(windows) > 1:
            return self._in_parts(modality, windows)
        if len(windows) >= self.least:
            return self._network(modality, windows)
        return self._network(modality, np.resize(windows, (self.least, *windows.shape[1:])))[: len(windows)]

    def _network(self, modality: str, windows: NDArray[np.float32]) -> NDArray[np.float32]:
        """What ``_pass`` returns; one copy from the device for all heads."""
        with torch.inference_mode():
            logits = self._networks[modality](self._on_device(modality, torch.from_numpy(windows)))
            return torch.cat(list(logits.values()), dim=1).cpu().numpy()

    def _in_parts(self, modality: str, windows: NDArray[np.float32]) -> NDArray[np.float32]:
        """What ``_pass`` returns, by ``AnswersApart``."""
        network: Any = self._networks[modality]
        with torch.inference_mode():
            features = self._on_device(modality, torch.from_numpy(windows))
            embedded = network.embed(features)
            rows = []
            for at in range(len(windows)):
                row = slice(at, at + 1)
                logits = network.answer(embedded[row].clone(), features[row].clone())  # aligned as alone
                rows += [torch.cat(list(logits.values()), dim=1)]
            return torch.cat(rows).cpu().numpy()

    def _on_device(self, modality: str, windows: torch.Tensor) -> torch.Tensor:
        if self.device.type == "cpu":
            return windows.clone()  # torch's memory is aligned alike each time: BLAS may round by it
        pinned = self._pinned.get(modality)
        if pinned is None or len(pinned) < len(windows):
            pinned = self._pinned[modality] = torch.empty(windows.shape, pin_memory=True)
        # The buffer is free: the last pass ended with reading its result, which came after its copy.
        part = pinned[: len(windows)]
        part.copy_(windows)
        return part.to(self.device, non_blocking=True)


def _build(contract: Contract, tensors: Mapping[str, NDArray[Any]], modality: str) -> torch.nn.Module:
    """The modality's network with its weights, ready for inference.

    Built without storage and then given the arrays, so no random number is drawn.
    """
    start = "network."
    state = {
        name.removeprefix(start): torch.tensor(array)
        for name, array in unpack_modality(tensors, modality).items()
        if name.startswith(start)
    }
    with torch.device("meta"):
        network = modality_network(contract, modality)
    network.load_state_dict(state, assign=True)
    return network.requires_grad_(False).eval()


def resolve_device(name: str) -> torch.device:
    """Return the device that `name` asks for.

    Raises
    ------
    UsageError
        The name is not "auto", "cpu", "cuda" or "cuda:N", or there is no such CUDA device.
    """
    match = re.fullmatch(r"(auto|cpu|cuda)|cuda:([0-9]+)", name)
    if match is None:
        raise UsageError(f"device: got {name!r}, expected auto, cpu, cuda or cuda:N")
    kind, number = match[1] or "cuda", match[2]
    count = torch.cuda.device_count() if kind != "cpu" and torch.cuda.is_available() else 0
    if kind == "cpu" or (kind == "auto" and count == 0):
        return torch.device("cpu")
    index = int(number) if number else 0
    if index >= count:
        known = ", ".join(f"cuda:{i} ({torch.cuda.get_device_name(i)})" for i in range(count))
        raise UsageError(
            f"device: got {name!r}, but torch {torch.__version__} sees {known or 'no CUDA device'}"
        )
    return torch.device("cuda", index)
