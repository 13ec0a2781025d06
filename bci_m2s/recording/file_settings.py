"""What a lab has to say of files that do not say it themselves."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, tzinfo
from fnmatch import fnmatch
from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, field_validator


class FileSettings(BaseModel):
    """How to read the files of a name; the first entry that fits a file counts."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    file: str = "*"
    """Names of the files, `*` for any letters: `*_eye.csv`."""
    time: str = ""
    """Of tables: the column of time; empty for one called `time`, `timestamp` or the like."""
    time_unit: Literal["", "s", "ms", "us", "ns", "iso"] = ""
    """Of tables: its unit; empty for what its name says, else Unix time by its size, else seconds."""
    rate_hz: float | None = Field(default=None, gt=0, le=1e6)
    """Of tables without a column of time: the sampling rate."""
    type: str = ""
    """Of tables: type of the stream of all channels; empty for what their names say."""
    marker: str = ""
    """Of tables: the column of markers or labels; empty for one called `marker`, `label` or the like."""
    timezone: str = ""
    """Zone of a date that states none (EDF, BDF, BrainVision, ISO times): `Europe/Berlin` or `+02:00`."""
    offset_s: float | None = None
    """Added to its times, which then are those of the session's first file; none: as their dates say."""

    @field_validator("timezone")
    @classmethod
    def _is_zone(cls, text: str) -> str:
        if text:
            find_zone(text)
        return text


def find_zone(text: str) -> tzinfo:
    """A time zone by its name or as "+02:00". Raises ValueError for one that nobody knows."""
    if text[:1] in ("+", "-"):
        zone = datetime.fromisoformat(f"2000-01-01T00:00:00{text}").tzinfo
        assert zone is not None
        return zone
    try:
        return ZoneInfo(text)
    except (OSError, KeyError) as problem:  # ZoneInfoNotFoundError is a KeyError
        raise ValueError(f"no time zone that this computer knows; `+02:00` is one ({problem})") from None


def settings_for(path: Path, files: Sequence[FileSettings]) -> FileSettings:
    """What is said of a file; the defaults where nothing is."""
    return next((one for one in files if fnmatch(path.name, one.file)), FileSettings())
