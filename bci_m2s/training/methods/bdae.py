"""BDAE: a bimodal deep autoencoder without labels, and a support vector machine on its middle layer.

Source: Liu, Zheng, Lu, "Emotion Recognition Using Multimodal Deep Learning", ICONIP 2016 (arXiv
1602.08225), and the authors' later released code for other data: three restricted Boltzmann machines,
unrolled, trained to give back both signals. There the numbers of hidden units and of epochs and the penalty
are those with the best test score, and test rows are among those that are scaled and trained on; here they
are 100 units, 200 epochs and a penalty by validation trials, and test rows are not seen. Ours: a step is
scaled to [0, 1] by training rows; a window's feature is the mean of its steps', standardised; where one
signal is missing its hidden units are put at their mean over the training windows, so that what has seen
one signal alone judges the other alone.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bci_m2s.training.data.prepare import UnitData
from bci_m2s.training.data.windows import WindowSet
from bci_m2s.training.methods import Answers, Method
from bci_m2s.training.methods.bdae_network import Trained, train_bdae
from bci_m2s.training.methods.own_networks import rows_of, two_signals
from bci_m2s.training.methods.pretrain import Job
from bci_m2s.training.methods.stage_settings import FinetuneSettings
from bci_m2s.training.methods.svm import every_direction, standardised, svm_answers
from bci_m2s.types import FloatArray


def window_features(trained: Trained, windows: WindowSet, modalities: Sequence[str]) -> FloatArray:
    """The middle layer with these signals there, the mean over a window's steps, (n, h)."""
    rows = rows_of(windows, modalities)
    steps = rows.features[modalities[0]].shape[1]
    found = trained.feature(rows).numpy()
    return np.asarray(found.reshape(len(rows), steps, -1).mean(axis=1))


def learn(job: Job, data: UnitData, settings: FinetuneSettings) -> Answers:
    """Train the network on windows that have both signals, then a support vector machine on labels.

    Raises
    ------
    NotPossible
        Another number of signals than two; no pairs; labels of one class.
    """
    two_signals(job.contract, job.pair)
    trained = train_bdae(job, data)

    def features(windows: WindowSet, modalities: Sequence[str]) -> FloatArray:
        return window_features(trained, windows, modalities)

    directions = every_direction(*job.pair)
    scaled = standardised(features, data.parts["train"], {judged: judged for _, judged in directions})
    return svm_answers(job, data, settings, scaled, directions)


BDAE = Method(learn=learn, takes=two_signals, pretrained=False, passes=())
