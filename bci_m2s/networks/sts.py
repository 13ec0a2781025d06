"""Spatial-temporal attention between electrodes (STS), computed in its small form.

Every electrode is a token of K band features and each of the H heads is D = 64 wide, so attention as
usually written multiplies far more numbers than a token holds. Per head,

    q·k  = (W_q x)·(W_k y) = xᵀ (W_qᵀ W_k) y        a K×K bilinear form,
    out += W_o (W_v y)     = (W_o W_v) y             a K×K map.

The weights stay as they are written in the paper; the products are formed in ``forward``. The result is
the same up to rounding.

What is left is memory traffic: a batch's scores are far larger than its tokens. On the CPU a large batch
makes them some steps at a time, few enough to stay in the cache (``attend_in_parts``). A small batch,
another device, autocast and ``torch.compile`` take the same products at once (``attend``); on the CPU both
give the same bits. Learning from a large batch goes another way, equal up to rounding (``sts_learning``).

Source: Liu, Cai, Lu, Zheng, "Multi-to-Single", AAAI 2025, doi 10.1609/aaai.v39i2.32134.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from bci_m2s.networks.sts_learning import learn_in_parts

SCORES_AT_ONCE = 2**18  # 1 MiB in float32: two such blocks are in use at a time


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
        in_parts = _parts_pay(x, n * heads * channels**2)
        if in_parts and self.training and torch.is_grad_enabled():
            mixed = learn_in_parts(x.reshape(n, channels, bands), y, score, value, SCORES_AT_ONCE)
            return (mixed + self.to_out.bias).reshape(x.shape)
        # Rows are ordered (channel, head), so that the heads' scores of a channel lie side by side and
        # the sum over heads is part of the second product.
        queries = (x.reshape(n, channels, bands) @ score).reshape(n, channels * heads, bands)
        values = (y @ value).reshape(n, channels, heads, bands)
        values = values.permute(0, 3, 2, 1).reshape(n, bands, heads * channels)
        in_parts = in_parts and not torch.is_grad_enabled()
        mixed = (attend_in_parts if in_parts else attend)(queries, y, values)
        return (mixed.transpose(1, 2) + self.to_out.bias).reshape(batch, steps, channels, bands)

    def folded(self) -> tuple[Tensor, Tensor]:
        """The heads' bilinear forms and value maps, (K, H·K) each; gradients reach the weights."""
        heads, width = self.heads, self.head_width
        q = self.to_q.weight.reshape(heads, width, -1)
        k = self.to_k.weight.reshape(heads, width, -1)
        v = self.to_v.weight.reshape(heads, width, -1)
        out = self.to_out.weight.reshape(-1, heads, width)
        with torch.autocast(q.device.type, enabled=False):  # small sums, and a kept fold serves later calls
            score = torch.einsum("hdi,hdj->ihj", q, k) / width**0.5
            value = torch.einsum("hdi,jhd->ihj", v, out)
        return score.flatten(1), value.flatten(1)

    def _forms(self) -> tuple[Tensor, Tensor]:
        """The folded weights; kept from call to call in eval mode when no gradient is wanted."""
        learning = self.training or torch.is_grad_enabled()
        stamp = None if learning or torch.compiler.is_compiling() else self._stamp()
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


def attend(queries: Tensor, tokens: Tensor, values: Tensor) -> Tensor:
    """Softmax attention of every head over the channels, summed over the heads.

    Transposed in the second product, because BLAS is a quarter as fast with K columns as with K rows.

    Parameters
    ----------
    queries : (n, C·H, K), channel by channel
    tokens : (n, C, K)
    values : (n, K, H·C), head by head

    Returns
    -------
    (n, K, C)
    """
    weights = torch.softmax(queries @ tokens.transpose(1, 2), dim=-1)  # (n, C·H, C)
    n, channels, across = len(tokens), tokens.shape[1], values.shape[2]
    return values @ weights.reshape(n, channels, across).transpose(1, 2)


def attend_in_parts(queries: Tensor, tokens: Tensor, values: Tensor) -> Tensor:
    """``attend``, some of the n at a time, without a gradient."""
    n, channels, bands = tokens.shape
    mixed = tokens.new_empty(n, bands, channels)
    block = _block(queries, tokens)
    for part in _parts(block, tokens):
        weights = _softmax_scores(queries[part], tokens[part], block)
        torch.bmm(values[part], weights.transpose(1, 2), out=mixed[part])
    return mixed


def _parts_pay(x: Tensor, scores: int) -> bool:
    """Whether there is more than one part; a single window is not."""
    if torch.compiler.is_compiling() or scores <= SCORES_AT_ONCE:
        return False
    return x.device.type == "cpu" and not torch.is_autocast_enabled("cpu")


def _block(queries: Tensor, tokens: Tensor) -> Tensor:
    """Room for the scores of one part, (m, C·H, C)."""
    (n, rows, _), channels = queries.shape, tokens.shape[1]
    return queries.new_empty(min(n, max(1, SCORES_AT_ONCE // (rows * channels))), rows, channels)


def _parts(block: Tensor, tokens: Tensor) -> list[slice]:
    size = max(1, len(block))
    return [slice(begin, begin + size) for begin in range(0, len(tokens), size)]


def _softmax_scores(queries: Tensor, tokens: Tensor, block: Tensor) -> Tensor:
    """Attention weights of one part, written into `block`: (m, C, H·C)."""
    scores = torch.bmm(queries, tokens.transpose(1, 2), out=block[: len(queries)])
    torch.softmax(scores, dim=-1, out=scores)  # row by row, so in place is safe
    return scores.view(len(scores), tokens.shape[1], -1)
