"""Networks and attention written out as the paper and textbooks do: what the package is held against.

A part of several benchmarks. Weights are those of the package's own modules.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from bci_m2s.networks.dense import Linear
from bci_m2s.networks.dropout import Dropout
from bci_m2s.networks.sts import STSAttention


class PlainSTS(nn.Module):
    """STS attention with queries, keys and values at their full width, on the weights of `layer`."""

    def __init__(self, layer: STSAttention) -> None:
        super().__init__()
        self.heads, self.head_width = layer.heads, layer.head_width
        self.to_q, self.to_k, self.to_v, self.to_out = layer.to_q, layer.to_k, layer.to_v, layer.to_out

    def forward(self, x: Tensor) -> Tensor:
        """x : (B, T, C, K) → (B, T, C, K)."""

        def heads_first(values: Tensor) -> Tensor:  # (B, T, heads, C, head width)
            return values.unflatten(-1, (self.heads, self.head_width)).transpose(2, 3)

        q, k, v = heads_first(self.to_q(x)), heads_first(three(self.to_k(x))), self.to_v(x)
        weights = torch.softmax(q @ k.transpose(-1, -2) / self.head_width**0.5, dim=-1)
        mixed = weights @ heads_first(three(v))
        return self.to_out(mixed.transpose(2, 3).flatten(-2))


def three(values: Tensor) -> Tensor:
    """Mean of the values at t, t−1 and 0."""
    return (values + torch.cat([values[:, :1], values[:, :-1]], dim=1) + values[:, :1]) / 3


class PlainLayer(nn.Module):
    """A post-norm transformer layer, one operation after the other, on the weights of `layer`."""

    def __init__(self, layer: nn.TransformerEncoderLayer) -> None:
        super().__init__()
        attention = layer.self_attn
        self.heads = attention.num_heads
        assert attention.in_proj_weight is not None
        self.weight, self.bias = attention.in_proj_weight, attention.in_proj_bias
        self.to_out, self.norm1, self.norm2 = attention.out_proj, layer.norm1, layer.norm2
        self.ffn = nn.Sequential(layer.linear1, nn.ReLU(), layer.linear2)

    def forward(self, x: Tensor, src_mask: Tensor | None = None, is_causal: bool = False) -> Tensor:
        """x : (B, T, D) → (B, T, D). src_mask : (T, T), true where a step must not look"""
        del is_causal  # the mask says it
        each = nn.functional.linear(x, self.weight, self.bias).unflatten(-1, (3, self.heads, -1))
        q, k, v = each.permute(2, 0, 3, 1, 4)  # (B, heads, T, width) each
        scores = q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5
        if src_mask is not None:
            scores = scores.masked_fill(src_mask, float("-inf"))
        mixed = (torch.softmax(scores, dim=-1) @ v).transpose(1, 2).flatten(2)
        x = self.norm1(x + self.to_out(mixed))
        return self.norm2(x + self.ffn(x))


def write_out_attention(model: nn.Module) -> None:
    """Put plain STS attention, torch's dropout and linear layers in the place of the package's own."""
    for module in list(model.modules()):
        for name, child in module.named_children():
            if isinstance(child, STSAttention):
                setattr(module, name, PlainSTS(child))
            elif isinstance(child, Dropout):
                setattr(module, name, nn.Dropout(child.p))
            elif isinstance(child, Linear):
                setattr(module, name, plain_linear(child))


def plain_linear(layer: Linear) -> nn.Linear:
    """torch's own layer, on the weights of `layer`."""
    plain = nn.Linear(layer.in_features, layer.out_features)
    plain.weight, plain.bias = layer.weight, layer.bias
    return plain


def write_out_layers(model: nn.Module) -> None:
    """Put plain layers in the place of torch's transformer layers, for inference."""
    for module in list(model.modules()):
        layers: Any = module
        if isinstance(module, nn.ModuleList):
            for number, layer in enumerate(layers):
                if isinstance(layer, nn.TransformerEncoderLayer):
                    layers[number] = PlainLayer(layer)
