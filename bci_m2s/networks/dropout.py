"""Dropout that costs few random numbers."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from bci_m2s.errors import ContractError

LEVELS = 2**16
INT64_LOWEST = -(2**63)


class Dropout(nn.Module):
    """In training mode zero each element with probability p and divide the rest by 1 − p.

    Cheap to draw on the CPU, where torch draws one random number per element, at the cost of a small matrix
    product: here one 64-bit number of its default generator serves four, each dropped when its 16 bits lie
    below a threshold. So p is rounded to a multiple of 2⁻¹⁶, and what is kept is scaled by exactly that. On
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
        return x * kept(x, self.dropped)

    @property
    def dropped(self) -> int:
        """p as it is drawn, of 2¹⁶."""
        return min(round(self.p * LEVELS), LEVELS - 1)

    def extra_repr(self) -> str:
        """p, as torch's own modules print it."""
        return f"p={self.p}"


def kept(x: Tensor, dropped: int) -> Tensor:
    """0 where an element of `x` is dropped, 1 / (1 − p) elsewhere; p is `dropped` / 2¹⁶."""
    draws = torch.empty(-(-x.numel() // 4), dtype=torch.int64).random_(INT64_LOWEST, None)
    # A comparison that gives numbers at once; of 16 bits float32 holds each.
    bits = draws.view(torch.int16)[: x.numel()].to(torch.promote_types(x.dtype, torch.float32))
    mask = bits.ge_(dropped - LEVELS // 2).mul_(LEVELS / (LEVELS - dropped))
    return mask.to(x.dtype).view(x.shape)
