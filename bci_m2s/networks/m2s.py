"""The M2S networks for one modality: encoder, projection, one classifier per head.

Shapes: B windows in a batch, T steps, F features per step, C channels, K = F / C bands; electrode features
are channel-major, (C, K) flattened. Two encoders share what follows them:

electrode   STS attention between channels at the full width C·K, then a linear map to the embedding; to
            compare it with, multi-head attention between steps of that width, or no attention
sequence    a linear map to the embedding, then transformer layers over the T steps; no positional code

Layers are post-norm and initialised independently of each other.

Source: Liu, Cai, Lu, Zheng, "Multi-to-Single", AAAI 2025, doi 10.1609/aaai.v39i2.32134.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from bci_m2s.errors import ContractError
from bci_m2s.networks.dense import Linear, dense, feed_forward, learns_here
from bci_m2s.networks.dropout import Dropout
from bci_m2s.networks.sts import STSAttention


class StepAttention(nn.Module):
    """Multi-head attention between the steps of a window, in the place of STS attention.

    A step, with all of its electrodes as one token, attends to itself and earlier ones only.

    Parameters
    ----------
    heads, head_width : their product need not be `width`
    """

    def __init__(self, width: int, heads: int, head_width: int) -> None:
        super().__init__()
        self.heads = heads
        self.to_qkv = nn.Linear(width, 3 * heads * head_width, bias=False)
        self.to_out = nn.Linear(heads * head_width, width)

    def forward(self, x: Tensor) -> Tensor:
        """x : (B, T, C, K) → (B, T, C, K)."""
        each = self.to_qkv(x.flatten(2)).unflatten(-1, (3, self.heads, -1))
        queries, keys, values = each.permute(2, 0, 3, 1, 4)
        mixed = nn.functional.scaled_dot_product_attention(queries, keys, values, is_causal=True)
        out: Tensor = self.to_out(mixed.transpose(1, 2).flatten(2))
        return out.view_as(x)


class FeedForward(nn.Sequential):
    """Linear, ReLU, dropout, linear, dropout; learnt as one operation on the CPU."""

    def forward(self, x: Tensor) -> Tensor:
        """x : (..., in) → (..., out)."""
        first, _, between, second, last = self
        made = _learnt_together(x, first, between, second)
        return super().forward(x) if made is None else last(made)


class SequenceLayer(nn.TransformerEncoderLayer):
    """A post-norm transformer layer; its feed-forward part is learnt as one operation on the CPU."""

    def __init__(self, width: int, heads: int, ffn: int, dropout: float) -> None:
        super().__init__(width, heads, ffn, dropout, activation="relu", batch_first=True)
        for name in ("dropout", "dropout1", "dropout2"):
            setattr(self, name, Dropout(dropout))

    def _sa_block(
        self,
        x: Tensor,
        attn_mask: Tensor | None,
        key_padding_mask: Tensor | None,
        is_causal: bool = False,
    ) -> Tensor:
        inner = self.self_attn
        if key_padding_mask is not None or not _learns(x, self.dropout1):
            return super()._sa_block(x, attn_mask, key_padding_mask, is_causal)
        each = dense(x, inner.in_proj_weight, inner.in_proj_bias).unflatten(-1, (3, inner.num_heads, -1))
        queries, keys, values = each.permute(2, 0, 3, 1, 4)
        mixed = nn.functional.scaled_dot_product_attention(
            queries,
            keys,
            values,
            attn_mask=None if is_causal else attn_mask,
            dropout_p=inner.dropout,
            is_causal=is_causal,
        )
        out = inner.out_proj
        return self.dropout1(dense(mixed.transpose(1, 2).flatten(2), out.weight, out.bias))

    def _ff_block(self, x: Tensor) -> Tensor:
        made = _learnt_together(x, self.linear1, self.dropout, self.linear2)
        return super()._ff_block(x) if made is None else self.dropout2(made)


def _learnt_together(x: Tensor, first: nn.Module, between: nn.Module, second: nn.Module) -> Tensor | None:
    """What a feed-forward part gives before its last dropout; None where it is to go step by step."""
    if not _learns(x, between):
        return None
    assert isinstance(between, Dropout)
    assert isinstance(first, nn.Linear)
    assert isinstance(second, nn.Linear)
    return feed_forward(x, first, second, between.dropped)


def _learns(x: Tensor, dropout: nn.Module) -> bool:
    """Whether a layer takes its operations for learning. One whose dropout is torch's takes torch's."""
    return isinstance(dropout, Dropout) and dropout.training and learns_here(x)


class ElectrodeLayer(nn.Module):
    """x = LN(x + Drop(STS(x))); x = LN(x + FFN(x)), at width C·K.

    attention : "sts"; "multi-head" has ``StepAttention`` in place of it; "none" leaves out the first part
    """

    def __init__(
        self,
        n_channels: int,
        n_bands: int,
        heads: int,
        head_width: int,
        ffn: int,
        dropout: float,
        attention: str = "sts",
    ) -> None:
        super().__init__()
        width = n_channels * n_bands
        self.tokens = (n_channels, n_bands)
        self.attention: nn.Module | None = None
        if attention != "none":
            between_steps = attention == "multi-head"
            self.attention = (
                StepAttention(width, heads, head_width)
                if between_steps
                else STSAttention(n_bands, heads, head_width)
            )
            self.drop = Dropout(dropout)
            self.norm1 = nn.LayerNorm(width)
        self.ffn = FeedForward(
            nn.Linear(width, ffn),
            nn.ReLU(),
            Dropout(dropout),
            nn.Linear(ffn, width),
            Dropout(dropout),
        )
        self.norm2 = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        """x : (B, T, C·K) → (B, T, C·K)."""
        if self.attention is not None:
            attended = self.attention(x.unflatten(-1, self.tokens)).flatten(-2)
            x = self.norm1(x + self.drop(attended))
        return self.norm2(x + self.ffn(x))


class ElectrodeEncoder(nn.Module):
    """Encoder of features that belong to electrodes: (B, T, C·K) → (B, T, embedding).

    Causal in time: the embedding of a step does not depend on later steps.
    """

    def __init__(
        self,
        n_channels: int,
        n_bands: int,
        *,
        depth: int,
        heads: int,
        head_width: int,
        ffn: int,
        dropout: float,
        embedding: int,
        attention: str = "sts",
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            ElectrodeLayer(n_channels, n_bands, heads, head_width, ffn, dropout, attention)
            for _ in range(depth)
        )
        self.affine = Linear(n_channels * n_bands, embedding)

    def forward(self, x: Tensor) -> Tensor:
        """x : (B, T, C·K) → (B, T, embedding)."""
        for layer in self.layers:
            x = layer(x)
        return self.affine(x)


class SequenceEncoder(nn.Module):
    """Encoder of any other features: (B, T, F) → (B, T, embedding).

    With `causal` a step attends to itself and earlier steps only; without, to the whole window.
    """

    def __init__(
        self,
        n_features: int,
        *,
        depth: int,
        heads: int,
        ffn: int,
        dropout: float,
        embedding: int,
        causal: bool,
    ) -> None:
        super().__init__()
        self.causal = causal
        self.affine = Linear(n_features, embedding)
        self.layers = nn.ModuleList(SequenceLayer(embedding, heads, ffn, dropout) for _ in range(depth))

    def forward(self, x: Tensor) -> Tensor:
        """x : (B, T, F) → (B, T, embedding)."""
        steps = x.shape[1]
        future = None
        if self.causal:  # true where a step must not look
            future = torch.ones(steps, steps, dtype=torch.bool, device=x.device).triu(1)
        x = self.affine(x)
        for layer in self.layers:
            x = layer(x, src_mask=future, is_causal=self.causal)
        return x


class Projection(nn.Module):
    """Mean over the steps, linear, ReLU: (B, T, embedding) → (B, projection).

    is_linear : leave the ReLU out
    """

    def __init__(self, embedding: int = 128, projection: int = 32, is_linear: bool = False) -> None:
        super().__init__()
        self.linear = nn.Linear(embedding, projection)
        self.is_linear = is_linear

    def forward(self, z: Tensor) -> Tensor:
        """z : (B, T, embedding) → (B, projection)."""
        projected = self.linear(z.mean(dim=1))
        return projected if self.is_linear else torch.relu(projected)


class Classifier(nn.Module):
    """Linear, ReLU, BatchNorm, linear: (B, projection) → (B, classes) logits.

    BatchNorm needs more than one window in training mode; in eval mode one is enough.
    """

    def __init__(self, projection: int, hidden: int, n_classes: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(projection, hidden)
        self.norm = nn.BatchNorm1d(hidden)
        self.out = nn.Linear(hidden, n_classes)

    def forward(self, p: Tensor) -> Tensor:
        """p : (B, projection) → (B, classes)."""
        return self.out(self.norm(torch.relu(self.hidden(p))))


class SingleModality(nn.Module):
    """Encoder, projection and classifiers of one modality: (B, T, F) → logits of every head.

    Parameters
    ----------
    encoder, projection : shared by all heads
    heads : a ``Classifier`` for each head, by its name
    readout : a linear map behind the projection, that brings modalities into line; None for none
    """

    def __init__(
        self,
        encoder: nn.Module,
        projection: Projection,
        heads: nn.ModuleDict,
        readout: nn.Linear | None = None,
    ) -> None:
        super().__init__()
        self.encoder, self.projection, self.heads = encoder, projection, heads
        self.readout: nn.Module = readout or nn.Identity()  # the latter has no weights to store

    def embed(self, features: Tensor) -> Tensor:
        """features : (B, T, F) → (B, T, embedding)."""
        return self.encoder(features)

    def project(self, features: Tensor) -> Tensor:
        """features : (B, T, F) → (B, projection), or (B, readout) where there is one."""
        return self.readout(self.projection(self.embed(features)))

    def forward(self, features: Tensor) -> dict[str, Tensor]:
        """features : (B, T, F) → head: (B, classes) logits, in the order of the heads."""
        return self.answer(self.embed(features), features)

    def answer(self, embedded: Tensor, features: Tensor) -> dict[str, Tensor]:
        """What ``forward`` does behind ``embed``. embedded : (B, T, embedding) of features : (B, T, F)"""
        del features  # a network with a way past the encoder needs them
        projected = self.readout(self.projection(embedded))
        return {name: classifier(projected) for name, classifier in self.heads.items()}


def _single(
    encoder: nn.Module,
    embedding: int,
    projection: int,
    hidden: int,
    heads: Mapping[str, int],
    readout: int,
) -> SingleModality:
    """A network with one classifier per head. heads : name → number of classes. Raises ContractError."""
    shared, classifiers = Projection(embedding, projection, readout > 0), nn.ModuleDict()
    for name, n_classes in heads.items():
        if hasattr(classifiers, name):  # torch keeps the name of every attribute of a module
            raise ContractError("network", "heads", repr(name), "a name that torch does not use itself")
        classifiers[name] = Classifier(readout or projection, hidden, n_classes)
    return SingleModality(encoder, shared, classifiers, nn.Linear(projection, readout) if readout else None)


def electrode_network(
    *,
    n_features: int,
    n_channels: int,
    classes: Mapping[str, int],
    projection: int,
    hidden: int,
    readout: int = 0,
    **sizes: Any,
) -> SingleModality:
    """Build "m2s-electrode"; K is n_features / n_channels. sizes : of ``ElectrodeEncoder``

    Raises
    ------
    ContractError
        When n_features is not a multiple of n_channels.
    """
    if n_features % n_channels:
        expected = f"a multiple of the {n_channels} channels"
        raise ContractError("network m2s-electrode", "n_features", n_features, expected)
    encoder = ElectrodeEncoder(n_channels, n_features // n_channels, **sizes)
    return _single(encoder, sizes["embedding"], projection, hidden, classes, readout)


def sequence_network(
    *,
    n_features: int,
    n_channels: int,
    classes: Mapping[str, int],
    heads: int,
    embedding: int,
    projection: int,
    hidden: int,
    readout: int = 0,
    **sizes: Any,
) -> SingleModality:
    """Build "m2s-sequence"; the channels behind the features do not matter to it.

    sizes : the others of ``SequenceEncoder``

    Raises
    ------
    ContractError
        When embedding is not a multiple of heads.
    """
    del n_channels  # every entry of NETWORKS is built alike
    if embedding % heads:
        raise ContractError(
            "network m2s-sequence", "embedding", embedding, f"a multiple of the {heads} heads"
        )
    encoder = SequenceEncoder(n_features, heads=heads, embedding=embedding, **sizes)
    return _single(encoder, embedding, projection, hidden, classes, readout)
