"""UniCode whose codes follow what a signal's steps find in the other signal by cross-attention.

Source: the paper of Xia et al., NeurIPS 2023 (see ``unicode``): where a signal chooses a code, the code
moves towards the mean of the signal's embedding there and of what cross-attention finds for it in the other
signal. The released code takes the other signal's embedding of the same step instead, as ``unicode`` does.

The paper leaves open how the attention is made, so this is ours: one head; scaled dot products of a step's
embedding with those of all steps of the other signal in the same window; the mean of the latter with these
weights. Nothing of it is learnt: no gradient leads through the codebook to train it, and what is found
stays in the space of the codes. All else is as in ``unicode``: also where the paper and the release differ,
in the weight of the commitment and in when a code is replaced.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor
from torch.nn import functional

from bci_m2s.training.methods import Method
from bci_m2s.training.methods.unicode import learn, two_of_steps, with_m2s
from bci_m2s.training.methods.unicode_network import UniCode


class AttendingUniCode(UniCode):
    """UniCode with cross-attention in the moving averages of its codebook."""

    @torch.no_grad()
    def beside(self, own: Tensor, other: Tensor, /) -> Tensor:
        """What each step of a signal finds in all steps of the other: (B, T, width) of both → the same."""
        return functional.scaled_dot_product_attention(own, other, other)


UNICODE_ATTENTION = Method(
    learn=partial(learn, build=partial(with_m2s, kind=AttendingUniCode)),
    takes=two_of_steps,
    pretrained=False,
    passes=("pretrain",),
    approximate=True,
)
