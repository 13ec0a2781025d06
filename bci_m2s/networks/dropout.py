"""Dropout whose mask is cheap to draw on the CPU.

torch draws one random number for each element there, which costs as much as a small matrix product. Here
one 64-bit number of the same generator serves four elements: each is dropped when its 16 bits, read as a
number from 0 to 65535, lie below a threshold. The probability is thus a multiple of 2⁻¹⁶, and what is kept
is scaled by exactly that probability, so the mean stays right.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from bci_m2s.errors import ContractError

LEVELS = 2**16
INT64_LOWEST = -(2**63)


class Dropout(nn.Module):
    """In training mode zero each element with probability p and divide the rest by 1 − p.

    On the CPU p is rounded to a multiple of 2⁻¹⁶ and the mask comes from torch's default generator. On
    other devices and under ``torch.compile`` it is torch's own dropout.

    Parameters
    ----------
    p : at least 0, below 1

    Raises
    ------
    ContractError
        For p outside that range.
    """

    def __init__(self, p: float = 0.1) -> None:
        super().__init__()
        if not 0.0 <= p < 1.0:
            raise ContractError("network", "dropout", p, "at least 0 and below 1")
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        """x : any shape, floating point → the same."""
        if not self.training or self.p == 0.0:
            return x
        if x.device.type != "cpu" or torch.compiler.is_compiling():
            return nn.functional.dropout(x, self.p)
        return x * kept(x, round(self.p * LEVELS))

    def extra_repr(self) -> str:
        """p, as torch's own modules print it."""
        return f"p={self.p}"


def kept(x: Tensor, dropped: int) -> Tensor:
    """0 where an element of `x` is dropped, 1 / (1 − p) elsewhere; p is `dropped` / 2¹⁶."""
    dropped = min(dropped, LEVELS - 1)
    draws = torch.empty(-(-x.numel() // 4), dtype=torch.int64).random_(INT64_LOWEST, None)
    mask = draws.view(torch.int16)[: x.numel()] >= dropped - LEVELS // 2
    return mask.to(x.dtype).mul_(LEVELS / (LEVELS - dropped)).view(x.shape)
