"""What a sender's description says of its channels, live and in files alike."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

NAMED_BY = ("label", "name", "unit", "eye")


class Described(NamedTuple):
    """What is said of a channel under the keys of ``NAMED_BY``, "" for nothing.

    name : some senders write that instead of a label
    """

    label: str
    name: str
    unit: str
    eye: str = ""


def default_labels(n: int) -> tuple[str, ...]:
    """What channels are called whose sender does not name them: ch1 … chN."""
    return tuple(f"ch{number}" for number in range(1, n + 1))


def channel_names(
    described: Sequence[Described], n_channels: int
) -> tuple[tuple[str, ...], tuple[str, ...], str]:
    """Labels and units of a stream's channels, and what is odd about the description; "" for nothing.

    A channel without a label is called by its number: ch1 … chN. Where a label comes twice, once for each
    eye, the eye is added, as in "PupilDiameter_left" of Pupil Labs Neon. A description of more or fewer
    channels than are sent names none of them, since a wrong label is worse than none.
    """
    labels = default_labels(n_channels)
    if len(described) != n_channels:
        remark = f"channels described: {len(described)}, sent: {n_channels}; the labels are not used"
        return labels, ("",) * n_channels, remark if described else ""
    named = zip(described, labels, strict=True)
    units = tuple(unit for _, _, unit, _ in described)
    called = [(label or name or number, eye.casefold()) for (label, name, _, eye), number in named]
    times = Counter(label for label, _ in called)
    is_apart = {
        label for label, n in times.items() if n == 2 and {(label, "left"), (label, "right")} <= {*called}
    }
    return tuple(f"{label}_{eye}" if label in is_apart else label for label, eye in called), units, ""
