"""UniCode with the encoders that its authors released, in place of those of M2S.

Source: the released code of Xia et al., NeurIPS 2023 (see ``unicode``). From there: for what is shared, a
linear map to 256 and two transformer layers that normalise after each sum, with equal weights at
first; for what is a signal's own, a linear map to 256 and ReLU; 400 codes of 256; the widths of decoder,
bound of information and prediction. These are the encoders of inputs that are one vector per step, text and
sound there; the one of video sees images. The layers look at the whole window, also when the next step is
predicted from those before, and know no order of the steps. All else as ``unicode``: what is ours there,
and epochs, batch and choice of the epoch, is ours here.
"""

from __future__ import annotations

from functools import partial

from torch import nn

from bci_m2s.networks.m2s import Projection, SequenceEncoder, SingleModality
from bci_m2s.training.methods import Method
from bci_m2s.training.methods.pretrain import Job
from bci_m2s.training.methods.seeds import named_seed, seed_torch
from bci_m2s.training.methods.unicode import features_of, learn, two_of_steps
from bci_m2s.training.methods.unicode_network import UniCode

# As released.
WIDTH, CODES = 256, 400
LAYERS, HEADS, HIDDEN, DROPOUT = 2, 4, 1024, 0.1


def encoder(features: int) -> SequenceEncoder:
    """Of what is shared: (B, T, features) → (B, T, 256)."""
    made = SequenceEncoder(
        features,
        depth=LAYERS,
        heads=HEADS,
        ffn=HIDDEN,
        dropout=DROPOUT,
        embedding=WIDTH,
        causal=False,
    )
    first = made.layers[0].state_dict()
    for layer in made.layers[1:]:
        layer.load_state_dict(first)
    return made


def native(job: Job) -> UniCode:
    """An untrained model, from the job's seed; what the training file says of networks is not used."""
    seed_torch(named_seed(job.seed, "unicode native"))
    features = features_of(job)
    networks = [SingleModality(encoder(n), Projection(WIDTH), nn.ModuleDict()) for n in features]
    return UniCode(networks, features, codes=CODES)


UNICODE_NATIVE = Method(
    learn=partial(learn, build=native), takes=two_of_steps, pretrained=False, passes=("pretrain",)
)
