"""M2M CPC beside the losses of a method that has networks of its own.

Source: Liu, Cai, Lu, Zheng, "Multi-to-Single", AAAI 2025, doi 10.1609/aaai.v39i2.32134. The term, its
weights and its predictor are those of M2S pre-training. Every other window of a batch is a negative, also
one of the same trial, as in the losses that it stands beside.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from bci_m2s.networks.pretraining import CrossModalPredictor
from bci_m2s.training.methods.losses import cpc_loss, draw_step
from bci_m2s.training.methods.stage_settings import PretrainSettings


class PairPrediction(nn.Module):
    """What comes next of either of two signals, predicted from both: the loss, weighted.

    width : of the embeddings of both; settings : weights, predicted steps and width of the context
    """

    def __init__(self, width: int, settings: PretrainSettings) -> None:
        super().__init__()
        self.predictor = CrossModalPredictor(width, settings.context, settings.predictions)
        self.settings = settings.loss

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """a, b : embeddings (B, T, width) of windows that were recorded together → ()"""
        generator = None if self.training else torch.Generator().manual_seed(0)  # all epochs judged alike
        least, weights = self.settings.cpc_min_context, self.settings.weights
        step = draw_step(a.shape[1], self.predictor.predictions, generator, least)
        cross, within = weights.cpc_cross, weights.cpc_within
        loss = cpc_loss(a, b, self.predictor(a, b, step), step, cross=cross, within=within)
        return weights.cpc * loss
