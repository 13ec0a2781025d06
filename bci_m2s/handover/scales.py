"""What the participant was asked: the scales of a guided session, from the protocol in its folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bci_m2s.errors import ConfigurationError
from bci_m2s.session.protocol.planned import stored
from bci_m2s.session.protocol.settings import RatingSettings


def scales_in(folder: Path) -> dict[str, RatingSettings]:
    """Questions by scale; none where there is no protocol, or none that can be read.

    folder : of the session, or of a later take of it
    """
    for place in (folder, folder.parent) if folder.name.startswith("take-") else (folder,):
        try:
            return {rating.scale: rating for rating in stored(place).ratings}
        except (ConfigurationError, OSError):
            continue
    return {}


def column_of(scale: str, asked: Mapping[str, RatingSettings]) -> dict[str, Any]:
    """How BIDS describes the column of a scale. `Levels` must be exhaustive, so numbers have a range."""
    rating = asked.get(scale)
    if rating is None:
        return {"Description": f"The participant's answer on the scale {scale!r}."}
    about: dict[str, Any] = {"LongName": scale, "Description": rating.words}
    if rating.kind == "sam":
        about |= {"Minimum": 1, "Maximum": rating.points}
    elif rating.kind == "choice":
        about["Levels"] = {choice: f"answer {number}" for number, choice in enumerate(rating.choices, 1)}
    return about
