"""What a sender's description says of its channels, live and in files alike."""

from __future__ import annotations

from collections.abc import Sequence

Described = tuple[str, str, str]  # label, name (some senders write that instead), unit


def default_labels(n: int) -> tuple[str, ...]:
    """What channels are called whose sender does not name them: ch1 … chN."""
    return tuple(f"ch{number}" for number in range(1, n + 1))


def channel_names(
    described: Sequence[Described], n_channels: int
) -> tuple[tuple[str, ...], tuple[str, ...], str]:
    """Labels and units of a stream's channels, and what is odd about the description; "" for nothing.

    A channel without a label is called by its number: ch1 … chN. A description of more or fewer channels
    than are sent names none of them, since a wrong label is worse than none.
    """
    labels = default_labels(n_channels)
    if len(described) != n_channels:
        remark = f"channels described: {len(described)}, sent: {n_channels}; the labels are not used"
        return labels, ("",) * n_channels, remark if described else ""
    named = zip(described, labels, strict=True)
    units = tuple(unit for _, _, unit in described)
    return tuple(label or name or number for (label, name, _), number in named), units, ""
