"""The model that a calibration begins with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bci_m2s.model.contract import Contract
from bci_m2s.model.model_file import modality_network, unpack_modality
from bci_m2s.types import FloatArray

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Base:
    """A model file as it was read."""

    path: Path
    contract: Contract
    tensors: Mapping[str, Any]

    def array(self, name: str) -> FloatArray:
        """An array of the file by its name, float64."""
        return np.asarray(self.tensors[name], dtype=np.float64)

    def network(self, modality: str) -> torch.nn.Module:
        """A modality's network with its weights, in eval mode and without gradients."""
        import torch

        network = modality_network(self.contract, modality)
        arrays = unpack_modality(self.tensors, modality).items()
        start = "network."
        state = {
            key.removeprefix(start): torch.tensor(array) for key, array in arrays if key.startswith(start)
        }
        network.load_state_dict(state)
        return network.requires_grad_(False).eval()
