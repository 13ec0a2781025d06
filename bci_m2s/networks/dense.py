"""Dense layers on the CPU, for learning: the feed-forward part of a layer as one operation.

A batch's hidden values are many times wider than what goes in and comes out, and the system gives pages
anew to every operation that writes them. So ReLU and dropout work in place, and one copy of them is kept:
where it is above zero, ReLU was open and dropout kept the value. The backward pass asks no more.

Products of float32 are oneDNN's where the processor has AVX-512. MKL, which torch takes for them otherwise,
leaves AVX-512 alone on processors that are not Intel's; on Zen 5 it is half as fast. oneDNN is a part of
torch; its operation on plain tensors is the one that ``torch.compile`` uses.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from bci_m2s.networks.dropout import LEVELS, kept

FEWEST = 2**21  # multiplications; below, a call of oneDNN costs more than it saves


def learns_here(x: Tensor) -> bool:
    """Whether operations of our own for learning fit: gradients are on, and all is plain and on the CPU."""
    return (
        torch.is_grad_enabled()
        and not torch.compiler.is_compiling()
        and x.device.type == "cpu"
        and not torch.is_autocast_enabled("cpu")
    )


class Linear(nn.Linear):
    """torch's linear layer, learnt with the products of this file. Outside of training it is torch's."""

    def forward(self, x: Tensor) -> Tensor:
        """x : (..., in) → (..., out)."""
        if self.training and learns_here(x):
            return dense(x, self.weight, self.bias)
        return super().forward(x)


def feed_forward(x: Tensor, first: nn.Linear, second: nn.Linear, dropped: int) -> Tensor:
    """Linear, ReLU, dropout, linear; differentiable once. x : (..., in) → (..., out).

    dropped : share of the hidden values, of 2¹⁶
    """
    out: Tensor = _FeedForward.apply(x, first.weight, first.bias, second.weight, second.bias, dropped)
    return out


def dense(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """A linear layer; differentiable once. x : (..., in) → (..., out)."""
    out: Tensor = _Dense.apply(x, weight, bias)
    return out


class _Dense(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        rows = x.reshape(-1, x.shape[-1])
        ctx.save_for_backward(rows, weight)
        return linear(rows, weight, bias).view(*x.shape[:-1], len(weight))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *received: Tensor) -> tuple[Tensor | None, ...]:
        rows, weight = ctx.saved_tensors
        wanted, shape = ctx.needs_input_grad, received[0].shape[:-1]
        by_out = received[0].reshape(-1, len(weight))
        return (
            linear(by_out, weight.T).view(*shape, weight.shape[1]) if wanted[0] else None,
            across(by_out, rows) if wanted[1] else None,
            by_out.sum(dim=0) if wanted[2] else None,
        )


class _FeedForward(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight1: Tensor, bias1: Tensor, weight2: Tensor, bias2: Tensor, dropped: int
    ) -> Tensor:
        rows = x.reshape(-1, x.shape[-1])
        hidden = linear(rows, weight1, bias1).relu_()
        if dropped:
            hidden.mul_(kept(hidden, dropped))
        ctx.save_for_backward(rows, hidden, weight1, weight2)
        ctx.scale = LEVELS / (LEVELS - dropped)
        return linear(hidden, weight2, bias2).view(*x.shape[:-1], len(weight2))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *received: Tensor) -> tuple[Tensor | None, ...]:
        rows, hidden, weight1, weight2 = ctx.saved_tensors
        wanted, shape = ctx.needs_input_grad, received[0].shape[:-1]
        by_out = received[0].reshape(-1, len(weight2))
        by_hidden = linear(by_out, weight2.T)
        # in place; the gradient of a value that is zero is zero
        torch.ops.aten.threshold_backward.grad_input(by_hidden, hidden, 0, grad_input=by_hidden)
        if ctx.scale != 1:
            by_hidden.mul_(ctx.scale)
        return (
            linear(by_hidden, weight1.T).view(*shape, weight1.shape[1]) if wanted[0] else None,
            across(by_hidden, rows) if wanted[1] else None,
            by_hidden.sum(dim=0) if wanted[2] else None,
            across(by_out, hidden) if wanted[3] else None,
            by_out.sum(dim=0) if wanted[4] else None,
            None,
        )


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x · weightᵀ + bias, without a gradient: (n, in), (out, in), (out,) → (n, out)."""
    if x.dtype == torch.float32 and x.shape[0] * weight.numel() >= FEWEST and has_onednn():
        made: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
        return made
    return functional.linear(x, weight, bias)


def across(a: Tensor, b: Tensor) -> Tensor:
    """aᵀ · b, (n, i) and (n, j) → (i, j), contiguous. The narrower one is transposed: that copies it."""
    if a.shape[1] <= b.shape[1]:
        return linear(a.T, b.T)
    return linear(b.T, a.T).T.contiguous()


@cache
def has_onednn() -> bool:
    """Whether oneDNN is there and has AVX-512 to use."""
    return (
        torch.backends.mkldnn.is_available()
        and torch.backends.cpu.get_cpu_capability().startswith("AVX512")
        and hasattr(torch.ops.mkldnn, "_linear_pointwise")
    )
