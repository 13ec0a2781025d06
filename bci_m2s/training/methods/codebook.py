"""A codebook for two signals, which follows the embeddings of both by moving averages, not by gradients.

Source: Xia, Huang, Zhu, Zhao, "Achieving Cross Modal Generalization with Multimodal Unified
Representation", NeurIPS 2023, and the authors' released code. Ours: the averages of how often a code is
chosen start at 1. As released they start at 0, which multiplies codes that the first batch does not choose
by tens of thousands; ``unicode-released`` has that.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

# As released.
DECAY, SMOOTHING = 0.99, 1e-5
PATIENCE = 300  # batches in which a code may go unchosen
JITTER = 1 / 1024  # at most, around the code that takes the place of such a one
SMALLEST = 1e-10  # what a logarithm is taken of


class Codebook(nn.Module):
    """`size` codes of `width` numbers, each chosen `count` times before."""

    codes: Tensor
    counts: Tensor
    sums: Tensor
    unchosen: Tensor

    def __init__(self, size: int, width: int, count: float = 1.0) -> None:
        super().__init__()
        codes = torch.empty(size, width).uniform_(-1 / size, 1 / size)
        self.register_buffer("codes", codes)
        self.register_buffer("counts", torch.full((size,), count))  # moving averages
        self.register_buffer("sums", codes.clone())
        self.register_buffer(
            "unchosen", torch.zeros(size, dtype=torch.int64)
        )  # batches since it was chosen

    def distances(self, embedded: Tensor) -> Tensor:
        """To every code: (B, T, width) → (B, T, size)."""
        # exactly, so that a window's codes do not depend on how many are judged at once
        found = torch.cdist(embedded.flatten(0, 1), self.codes, compute_mode="donot_use_mm_for_euclid_dist")
        return found.unflatten(0, embedded.shape[:2])

    def nearest(self, embedded: Tensor) -> Tensor:
        """Index of the code of each embedding: (B, T, width) → (B, T)."""
        return self.distances(embedded).argmin(dim=2)

    def straight_through(self, embedded: Tensor, chosen: Tensor) -> Tensor:
        """The chosen codes, whose gradients go to the embeddings instead: (B, T, width)."""
        return embedded + (self.codes[chosen] - embedded).detach()

    def shares(self, embedded: Tensor) -> Tensor:
        """How much of a window each code has, by distance: (B, T, width) → (B, size), each sums to 1."""
        return torch.softmax(-self.distances(embedded), dim=2).mean(dim=1)

    @torch.no_grad()
    def follow(self, chosen: Tensor, own: Tensor, other: Tensor) -> None:
        """Move the codes that one signal has chosen towards the mean of both signals there.

        chosen : (B, T); own, other : (B, T, width) of that signal and of the other one at the same time
        """
        picked = functional.one_hot(chosen.flatten(), len(self.codes)).to(own.dtype)
        both = (own + other).flatten(0, 1) / 2
        counts = DECAY * self.counts + (1 - DECAY) * picked.sum(dim=0)
        total = counts.sum()
        self.counts = (counts + SMOOTHING) / (total + len(counts) * SMOOTHING) * total
        self.sums = DECAY * self.sums + (1 - DECAY) * picked.T @ both
        self.codes = self.sums / self.counts[:, None]

    @torch.no_grad()
    def replace_unchosen(self, *chosen: Tensor) -> None:
        """Once per batch: codes that neither signal has chosen for long become like one that was chosen."""
        now = torch.unique(torch.cat([one.flatten() for one in chosen]))
        self.unchosen += 1
        self.unchosen[now] = 0
        old = torch.nonzero(self.unchosen > PATIENCE)[:, 0]
        if len(old):
            like = self.codes[now[torch.randint(len(now), (len(old),))]]
            self.codes[old] = like + torch.empty_like(like).uniform_(-JITTER, JITTER)
            self.counts[old], self.sums[old] = 1.0, self.codes[old]
            self.unchosen[old] = 0


def matching_loss(a: Tensor, b: Tensor) -> Tensor:
    """Cross-entropy of which window of B has the same shares of codes as a window of A.

    a, b : (B, size), shares of the same windows
    """
    alike = a @ (b + SMALLEST).log().T + (a + SMALLEST).log() @ b.T
    return functional.cross_entropy(alike, torch.arange(len(a)))


def commitment(embedded: Tensor, own: Tensor, other: Tensor, weight: float) -> Tensor:
    """How far embeddings are from their own codes, and half as much from those of the other signal."""
    near, far = functional.mse_loss(embedded, own), functional.mse_loss(embedded, other)
    return 2 * weight * near + weight * far  # twice the paper's, as released


def perplexity(chosen: Tensor) -> float:
    """How many codes are in use, as if each were chosen alike; 1 if all embeddings have one code."""
    shares = torch.bincount(chosen.flatten()).double() / chosen.numel()
    return float((-torch.xlogy(shares, shares).sum()).exp())
