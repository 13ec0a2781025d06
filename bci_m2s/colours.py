"""Colours of classes, the same on the terminal, in pictures and on the panel; names of the panel's themes.

The Okabe–Ito set (Okabe & Ito 2008, "Color Universal Design"), which colour-blind eyes tell apart. Those
that could be taken for a warning or a failure, orange and vermillion, come last.
"""

from __future__ import annotations

CLASS_COLOURS = ("#CC79A7", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#E69F00", "#D55E00")
THEMES = ("dark", "light")


def class_colour(place: int) -> str:
    """Colour of a head's class, "#RRGGBB", by its place among the classes."""
    return CLASS_COLOURS[place % len(CLASS_COLOURS)]
