"""Spatial-temporal attention between electrodes (STS), computed in its small form.

Every electrode is a token of K band features and each of the H heads is D = 64 wide, so attention as
usually written multiplies far more numbers than a token holds. Per head,

    q·k  = (W_q x)·(W_k y) = xᵀ (W_qᵀ W_k) y        a K×K bilinear form,
    out += W_o (W_v y)     = (W_o W_v) y             a K×K map.

The weights stay as they are written in the paper; the products are formed in ``forward``. The result is
the same up to rounding.

Source: Liu, Cai, Lu, Zheng, "Multi-to-Single", AAAI 2025, doi 10.1609/aaai.v39i2.32134.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class STSAttention(nn.Module):
    """Attention over the channels of each step, with keys and values that reach back in time.

    Keys and values of step t are the mean of those at t, t−1 and the first step of the window (at t = 0
    all three are step 0). Nothing of a later step is used, so the layer is causal in time.

    Parameters
    ----------
    n_bands : K, features of a token
    heads, head_width : H and D; scores are divided by √D
    """

    def __init__(self, n_bands: int, heads: int = 4, head_width: int = 64) -> None:
        super().__init__()
        self.heads, self.head_width = heads, head_width
        width = heads * head_width
        self.to_q = nn.Linear(n_bands, width, bias=False)
        self.to_k = nn.Linear(n_bands, width, bias=False)
        self.to_v = nn.Linear(n_bands, width, bias=False)
        self.to_out = nn.Linear(width, n_bands)
        self._kept: tuple[tuple[int, ...], Tensor, Tensor] | None = None

    def forward(self, x: Tensor) -> Tensor:
        """x : (B, T, C, K) → (B, T, C, K)."""
        batch, steps, channels, bands = x.shape
        n, heads = batch * steps, self.heads
        score, value = self._forms()
        y = mix_steps(x).reshape(n, channels, bands)
        # Rows are ordered (channel, head), so that the heads' scores of a channel lie side by side and
        # the sum over heads is part of the second product.
        queries = (x.reshape(n, channels, bands) @ score).reshape(n, channels * heads, bands)
        weights = torch.softmax(queries @ y.transpose(1, 2), dim=-1)  # (n, C·H, C)
        weights = weights.reshape(n, channels, heads * channels)
        values = (y @ value).reshape(n, channels, heads, bands)
        values = values.permute(0, 3, 2, 1).reshape(n, bands, heads * channels)
        # Transposed, because BLAS is a quarter as fast with K = 5 columns as with K = 5 rows.
        mixed = (values @ weights.transpose(1, 2)).transpose(1, 2)  # (n, C, K)
        return (mixed + self.to_out.bias).reshape(batch, steps, channels, bands)

    def folded(self) -> tuple[Tensor, Tensor]:
        """The heads' bilinear forms and value maps, (K, H·K) each; gradients reach the weights."""
        heads, width = self.heads, self.head_width
        q = self.to_q.weight.reshape(heads, width, -1)
        k = self.to_k.weight.reshape(heads, width, -1)
        v = self.to_v.weight.reshape(heads, width, -1)
        out = self.to_out.weight.reshape(-1, heads, width)
        score = torch.einsum("hdi,hdj->ihj", q, k) / width**0.5
        value = torch.einsum("hdi,jhd->ihj", v, out)
        return score.flatten(1), value.flatten(1)

    def _forms(self) -> tuple[Tensor, Tensor]:
        """The folded weights; kept from call to call in eval mode when no gradient is wanted."""
        stamp = None if self.training or torch.is_grad_enabled() else self._stamp()
        if stamp is None:
            return self.folded()
        if self._kept is None or self._kept[0] != stamp:
            self._kept = (stamp, *self.folded())
        return self._kept[1], self._kept[2]

    def _stamp(self) -> tuple[int, ...] | None:
        """Changes with every in-place update of a weight, an optimiser's in eval mode included."""
        weights = [layer.weight for layer in (self.to_q, self.to_k, self.to_v, self.to_out)]
        if any(weight.is_inference() for weight in weights):  # such a tensor does not count its updates
            return None
        return tuple(number for weight in weights for number in (weight.data_ptr(), weight._version))

    # The three calls below may exchange the weights for other tensors, which a counter does not show.

    def train(self, mode: bool = True) -> STSAttention:
        """Switch mode and forget the kept fold."""
        self._kept = None
        return super().train(mode)

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        self._kept = None
        super()._load_from_state_dict(*args, **kwargs)

    def _apply(self, fn: Any, recurse: bool = True) -> STSAttention:
        self._kept = None
        return super()._apply(fn, recurse)


def mix_steps(x: Tensor) -> Tensor:
    """Mean of step t, step t−1 and step 0, (B, T, ...) → (B, T, ...).

    Taken of the tokens instead of their keys and values: both are linear without a bias.
    """
    first = x[:, :1]
    before = torch.cat([first, x[:, :-1]], dim=1)
    return (x + before + first) / 3
