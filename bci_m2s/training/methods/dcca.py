"""DCCA: two branches trained to correlate, without labels; a support vector machine on what they share.

Sources: Andrew et al., ICML 2013; for emotions Liu, Qiu, Zheng, Lu, "Comparing Recognition Performance and
Robustness of Multimodal Deep Learning Models for Multimodal Emotion Recognition", IEEE TCDS 2021, whose
code is not known. After the description there: branches, correlation, fusion by fixed weights, SVM.
Widths, batch norm with ReLU, ridge, weights and rate are those of another group's code (LibEMER), which
trains on labels besides. Ours: linear CCA of the trained branches, so that their outputs can stand for each
other, and one signal is judged by the other's labels; inputs are standardised; a window is the mean of its
steps.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from bci_m2s.training.data.batches import groups_of
from bci_m2s.training.data.prepare import UnitData
from bci_m2s.training.data.windows import WindowSet
from bci_m2s.training.methods import Answers, Method, NotPossible
from bci_m2s.training.methods.adam import Adam
from bci_m2s.training.methods.canonical import canonical_maps
from bci_m2s.training.methods.deep_cca import branch, correlation
from bci_m2s.training.methods.own_networks import Rows, in_parts, rows_of, train, two_signals
from bci_m2s.training.methods.pretrain import Job
from bci_m2s.training.methods.seeds import named_seed, seed_torch
from bci_m2s.training.methods.stage_settings import FinetuneSettings
from bci_m2s.training.methods.svm import every_direction, svm_answers
from bci_m2s.types import FloatArray

WIDTHS = (400, 200, 150, 120, 60, 20)  # LibEMER, for SEED
RIDGE = 1e-8  # of the correlation; LibEMER
SHARES = (0.5, 0.5)  # of the two signals where both are there; LibEMER
RATE = 1e-4  # of Adam; LibEMER
LINEAR_RIDGE = 1e-4  # of the linear CCA afterwards; ours


def _between(width: int) -> nn.Module:
    return nn.Sequential(nn.BatchNorm1d(width), nn.ReLU())


class Shared:
    """Branches of two signals, and the linear maps that bring their outputs into line.

    branches : modality → network; means, maps : modality → (20,) and (20, 20) of its outputs
    """

    def __init__(self, branches: nn.ModuleDict, pairs: Rows) -> None:
        self.branches = branches.eval()
        outputs = [self._outputs(name, pairs.features[name]) for name in branches]
        self.means = {name: one.mean(axis=0) for name, one in zip(branches, outputs, strict=True)}
        centred = [one - self.means[name] for name, one in zip(branches, outputs, strict=True)]
        maps, _ = canonical_maps(centred, WIDTHS[-1], [LINEAR_RIDGE] * 2)
        self.maps = dict(zip(branches, maps, strict=True))

    def _outputs(self, name: str, windows: Tensor) -> FloatArray:
        """Of every step of windows (n, T, F), (n·T, 20)."""
        steps: Tensor = in_parts(self.branches[name], windows.flatten(0, 1))
        return steps.double().numpy()

    def components(self, name: str, windows: Tensor) -> FloatArray:
        """Of windows (n, T, F), the mean of their steps', (n, 20)."""
        found = (self._outputs(name, windows) - self.means[name]) @ self.maps[name]
        return np.asarray(found.reshape(*windows.shape[:2], -1).mean(axis=1))

    def features(self, windows: WindowSet, modalities: Sequence[str]) -> FloatArray:
        """Components of one signal, or of both fused, (n, 20)."""
        rows = rows_of(windows, modalities)
        if len(modalities) == 1:
            return self.components(modalities[0], rows.features[modalities[0]])
        parts = zip(SHARES, modalities, strict=True)
        fused = [share * self.components(name, rows.features[name]) for share, name in parts]
        return np.asarray(np.sum(fused, axis=0))


def learn(job: Job, data: UnitData, settings: FinetuneSettings) -> Answers:
    """Train the branches on pairs, for as many epochs as ``pretrain``; then a machine on labels.

    Raises
    ------
    NotPossible
        Another number of signals than two; no pair; labels of one class.
    """
    two_signals(job.contract, job.pair)
    pairs = rows_of(data.parts["train"], job.pair)
    if len(pairs) < 2:
        raise NotPossible(f"fewer than two training windows have {' and '.join(job.pair)}")
    groups = groups_of(data.parts["train"].having(job.pair), job.settings.sampler)
    shared = Shared(_correlated(job, pairs, groups), pairs)
    return svm_answers(job, data, settings, shared.features, every_direction(*job.pair))


def _correlated(job: Job, pairs: Rows, groups: NDArray[np.int64]) -> nn.ModuleDict:
    seed_torch(named_seed(job.seed, "dcca"))
    branches = nn.ModuleDict(
        {name: branch(pairs.features[name].shape[2], WIDTHS, _between) for name in job.pair}
    )

    def loss(chosen: Tensor) -> Tensor:
        a, b = (branches[name](pairs.features[name][chosen].flatten(0, 1)) for name in job.pair)
        return -correlation(a, b, RIDGE)

    train(
        branches,
        [Adam(branches.parameters(), lr=RATE)],
        loss,
        len(pairs),
        epochs=job.settings.epochs,
        batch=job.settings.batch,
        seed=job.seed,
        groups=groups,
    )
    return branches


DCCA = Method(learn=learn, takes=two_signals, pretrained=False, approximate=True, passes=("pretrain",))
