"""Figures of the tables as text, and Markdown."""

from __future__ import annotations

import math
from collections.abc import Sequence


def figure(mean: float, low: float, high: float) -> str:
    """A mean and its interval: "0.731 [0.65, 0.80]"."""
    return f"{mean:.3f}" + ("" if math.isnan(low) else f" [{low:.2f}, {high:.2f}]")


def difference(mean: float, low: float, high: float) -> str:
    """A difference and its interval: "+0.051 [−0.01, +0.11]"."""
    words = f"{mean:+.3f}" + ("" if math.isnan(low) else f" [{low:+.2f}, {high:+.2f}]")
    return words.replace("-", "−")


def p_value(p: float) -> str:
    """ "p 0.031", "p < 0.001" """
    if math.isnan(p):
        return ""
    return "p < 0.001" if p < 0.001 else f"p {p:.3f}"


def spread(value: float | None) -> str:
    """A standard deviation; a dash where there is none."""
    return "–" if value is None else f"{value:.2f}"


def table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a table."""
    ruler = "|" + "---|" * len(headers)
    return [f"| {' | '.join(headers)} |", ruler, *(f"| {' | '.join(row)} |" for row in rows), ""]
