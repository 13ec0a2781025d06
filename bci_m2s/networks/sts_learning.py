"""STS attention of a large batch on the CPU, for learning: a forward and a backward pass of its own.

The same sums as ``sts.attend``, up to rounding, with less traffic and fewer passes over the scores, of
which a batch has far more than it has of anything else:

- Windows go a few at a time, few enough for their scores to stay in the cache. Only sums of them are kept:
  the backward pass makes scores again instead of reading them back.
- No softmax is formed. Its weights are e / Σe, and Σ e·v / Σe is what is wanted: values end with a row of
  ones, so that one product gives numerators and denominators. Backward, w · (g − Σ w·g) is e times one
  product, since Σ w·g is the gradient times what came out.
- Scores are of base 2: on the CPU torch's exp2 takes a quarter of the time of its exp. The largest is
  subtracted only where scores can be so large that powers could leave the range of float32.
- Features come before channels, and channels are padded to the width of a vector register: products are up
  to a third faster so. A padded channel has zeros for features and one, so it takes no part in the sums; in
  the largest of the scores its zero would, where all others lie far below, and so it is left out there.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

VECTOR = 16  # float32 of one AVX-512 register
LARGEST_PADDING = 1 / 8  # of the channels; more costs more than it gains
LOG2_E = math.log2(math.e)
# Powers of 2 to ±64, their sums, and gradients divided by these: all well inside float32's 2^±126.
LARGEST_POWER = 64.0


def learn_in_parts(x: Tensor, mixed: Tensor, score: Tensor, value: Tensor, at_once: int) -> Tensor:
    """STS attention without the bias, differentiable once.

    Parameters
    ----------
    x : (n, C, K), tokens that ask; n is windows times steps
    mixed : (n, C, K), tokens that are asked
    score, value : the heads' bilinear forms and value maps, (K, H·K) each, as from ``STSAttention.folded``
    at_once : scores of a part

    Returns
    -------
    (n, C, K)
    """
    channels, bands = x.shape[1:]
    asking = _features_first(x)
    asked = _features_first(mixed)
    ones = torch.zeros_like(asked[:, :1])
    ones[..., :channels] = 1
    heads = score.shape[1] // bands
    to_query = score.view(bands, heads, bands).permute(2, 1, 0).reshape(bands * heads, bands)
    to_value = torch.nn.functional.pad(value.view(bands, heads, bands).permute(1, 2, 0), (0, 1, 0, 1))
    one = torch.zeros_like(to_value)
    one[:, bands, bands] = 1
    out: Tensor = _LearnInParts.apply(
        asking, torch.cat([asked, ones], dim=1), to_query, (to_value + one).flatten(0, 1), channels, at_once
    )
    return out[..., :channels].transpose(1, 2)


def _features_first(x: Tensor) -> Tensor:
    """(n, C, K) → (n, K, C), with zeros for channels that fill up a vector where they are few."""
    channels = x.shape[1]
    missing = -channels % VECTOR
    if missing > channels * LARGEST_PADDING:
        missing = 0
    return torch.nn.functional.pad(x.transpose(1, 2), (0, missing)).contiguous()


class _LearnInParts(torch.autograd.Function):
    """K features, R = K + 1 with the ones, P channels with the padding.

    Tokens that ask (n, K, P) and that are asked (n, R, P), maps to queries (K·H, K) and to values (H·R, R),
    channels without the padding, scores of a part → (n, K, P).
    """

    @staticmethod
    def forward(
        ctx: Any,
        asking: Tensor,
        asked: Tensor,
        to_query: Tensor,
        to_value: Tensor,
        channels: int,
        at_once: int,
    ) -> Tensor:
        n, bands, padded = asking.shape
        heads = len(to_query) // bands
        out = torch.empty_like(asking)
        # what comes out of each head, and one over its denominators
        each = asking.new_empty(n, heads, bands + 1, padded)
        highest = _highest(asking, asked[:, :bands], to_query)
        tensors = asking, asked, asked[:, :bands], highest, out, each.flatten(0, 1), *_fraction(each)
        for room, (x, y, keys, bounds, its_out, its_each, above, below) in _parts(
            tensors, to_query, to_value, channels, at_once
        ):
            room.weigh(x, y, keys, bounds)
            torch.bmm(room.values, room.powers_across, out=its_each)
            above.mul_(below.reciprocal_())
            torch.sum(above, dim=1, out=its_out)
        ctx.save_for_backward(asking, asked, to_query, to_value, each, highest)
        ctx.channels, ctx.at_once = channels, at_once
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *received: Tensor) -> tuple[Tensor | None, ...]:
        asking, asked, to_query, to_value, each, highest = ctx.saved_tensors
        gradient = received[0].contiguous()
        n, bands, _ = asking.shape
        by_asking, by_asked = torch.empty_like(asking), torch.empty_like(asked)
        by_to_query = to_query.new_empty(n, *to_query.shape)
        by_to_value = to_value.new_empty(n, *to_value.shape)
        given = asking, asked, asked[:, :bands], highest, gradient[:, None], *_fraction(each)
        made = by_asking, by_asked, by_asked[:, :bands], by_to_query, by_to_value
        back = None
        for room, (x, y, keys, bounds, its, above, below, by_x, by_y, by_keys, by_q, by_v) in _parts(
            given + made, to_query, to_value, ctx.channels, ctx.at_once
        ):
            if back is None or back.room is not room:
                back = _WayBack(room)
            room.weigh(x, y, keys, bounds)
            # For o = a / b: do = da / b − o / b · db.
            torch.mul(its, below, out=back.by_above)
            torch.sum(back.by_above * above, dim=2, keepdim=True, out=back.by_below).neg_()
            torch.bmm(back.by_each, room.powers, out=back.by_values)
            torch.bmm(back.by_each_across, room.values, out=back.by_powers).mul_(room.powers)
            torch.bmm(keys, back.by_scores_across, out=back.by_queries)
            torch.bmm(back.from_query, back.by_query, out=by_x)
            torch.bmm(back.from_value, back.by_value, out=by_y)
            by_keys.baddbmm_(room.queries, back.by_scores)
            torch.bmm(back.by_query, x.transpose(1, 2), out=by_q)
            torch.bmm(back.by_value, y.transpose(1, 2), out=by_v)
        return by_asking, by_asked, by_to_query.sum(dim=0), by_to_value.sum(dim=0), None, None


class _Room:
    """Room for what a part of n windows' steps makes on the way; made once and used for all such parts.

    queries : (n, K, H·P)
    values : (n·H, R, P)
    powers : (n·H, P, P) of e, not yet divided by their sums
    """

    def __init__(self, n: int, padded: int, channels: int, to_query: Tensor, to_value: Tensor) -> None:
        rows, self.bands = to_query.shape
        heads = rows // self.bands
        self.to_query, self.to_value = to_query.expand(n, -1, -1), to_value.expand(n, -1, -1)
        self._query = to_query.new_empty(n, rows, padded)
        self._value = to_query.new_empty(n, len(to_value), padded)
        self.scores = to_query.new_empty(n, heads * padded, padded)
        self._of_padding = self.scores[..., channels:]
        self.queries = self._query.view(n, self.bands, heads * padded)
        self.values = self._value.view(n * heads, self.bands + 1, padded)
        self.powers = self.scores.view(n * heads, padded, padded)
        self.queries_across, self.powers_across = self.queries.transpose(1, 2), self.powers.transpose(1, 2)

    def weigh(self, asking: Tensor, asked: Tensor, keys: Tensor, highest: Tensor) -> None:
        """Fill the room. asking, asked : (n, K, P), (n, R, P); keys : the latter without its ones."""
        torch.bmm(self.to_query, asking, out=self._query)
        torch.bmm(self.to_value, asked, out=self._value)
        # With beta 0 what stands in `scores` is not read.
        self.scores.baddbmm_(self.queries_across, keys, beta=0, alpha=LOG2_E)
        if not float(highest.max()) <= LARGEST_POWER:  # NaN too
            self._of_padding.fill_(-torch.inf)  # zero may be the largest by far
            self.scores.sub_(self.scores.amax(dim=-1, keepdim=True))
        self.scores.exp2_()


class _WayBack:
    """The same for gradients; `by_` is the gradient by what stands in `room` under that name."""

    def __init__(self, room: _Room) -> None:
        self.room, bands = room, room.bands
        self.from_query, self.from_value = (each.transpose(1, 2) for each in (room.to_query, room.to_value))
        self.by_query, self.by_value = torch.empty_like(room._query), torch.empty_like(room._value)
        self.by_queries, self.by_values = (
            self.by_query.view_as(room.queries),
            self.by_value.view_as(room.values),
        )
        self.by_scores = torch.empty_like(room.scores)
        self.by_powers = self.by_scores.view_as(room.powers)
        self.by_scores_across = self.by_scores.transpose(1, 2)
        self.by_each = torch.empty_like(room.values)
        self.by_each_across = self.by_each.transpose(1, 2)
        whole = self.by_each.view(len(room.queries), -1, bands + 1, self.by_each.shape[2])
        self.by_above, self.by_below = _fraction(whole)


def _parts(
    tensors: tuple[Tensor, ...], to_query: Tensor, to_value: Tensor, channels: int, at_once: int
) -> Iterator[tuple[_Room, tuple[Tensor, ...]]]:
    """Some of the n at a time, and room for them. tensors : (n, K, P) first; others n long, or n·H"""
    n, _, padded = tensors[0].shape
    heads = len(to_query) // to_query.shape[1]
    size = min(n, max(1, at_once // (heads * padded**2)))
    room = None
    if not n:
        return
    for parts in zip(*(each.split(size * (len(each) // n)) for each in tensors), strict=True):
        if room is None or len(room.queries) != len(parts[0]):  # the last may be shorter
            room = _Room(len(parts[0]), padded, channels, to_query, to_value)
        yield room, parts


def _fraction(each: Tensor) -> tuple[Tensor, Tensor]:
    """Numerators and denominators of (n, H, R, P)."""
    return each[:, :, :-1], each[:, :, -1:]


def _highest(asking: Tensor, keys: Tensor, to_query: Tensor) -> Tensor:
    """What no score of base 2 of each of the n exceeds, (n,): the norms' product (Cauchy and Schwarz)."""
    longest = asking.square().sum(dim=1).amax(dim=1) * keys.square().sum(dim=1).amax(dim=1)
    return longest.sqrt() * (to_query.norm() * LOG2_E)
