"""What an EDF or BDF file says that mne leaves out: units as written, slower channels, pauses (EDF+D).

Kemp and Olivan 2003 (EDF+, doi 10.1016/S1388-2457(03)00123-8): in a discontinuous file each data record
begins with the time at which it was recorded, as the first annotation of its first annotation channel.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

import numpy as np

from bci_m2s.types import FloatArray

_ONSET = re.compile(rb"^([+-]\d+(?:\.\d*)?)\x14")
# Bytes per channel: label, transducer, unit, four limits, filters, samples per record.
_FIELDS = (16, 80, 8, 8, 8, 8, 8, 80, 8)


@dataclass(frozen=True, slots=True)
class EdfHeader:
    """Header of an EDF(+) or BDF(+) file.

    labels, units, samples : of all channels; samples per data record
    scaleless : per channel, whether its physical or digital range is empty: its values mean nothing
    records, record_s : number of data records and the length of one
    is_discontinuous : the file has pauses between its data records
    """

    labels: tuple[str, ...]
    units: tuple[str, ...]
    samples: tuple[int, ...]
    scaleless: tuple[bool, ...]
    records: int
    record_s: float
    is_discontinuous: bool
    bytes_per_sample: int

    @property
    def signals(self) -> list[int]:
        """Indices of the channels that are no annotations."""
        return [index for index, label in enumerate(self.labels) if "Annotations" not in label]

    @property
    def slower(self) -> list[str]:
        """Labels of the channels with a lower rate than the highest."""
        most = max((self.samples[index] for index in self.signals), default=0)
        return [self.labels[index] for index in self.signals if self.samples[index] < most]


def read_edf_header(path: Path) -> EdfHeader:
    """Read the header. Raises ValueError for one that is none, and OSError."""
    with path.open("rb") as file:
        fixed = file.read(256)
        count = int(fixed[252:])
        rest = file.read(256 * count)
    starts = [count * bytes_before for bytes_before in accumulate(_FIELDS, initial=0)]

    def texts(number: int) -> tuple[str, ...]:
        size, start = _FIELDS[number], starts[number]
        pieces = (rest[start + size * k : start + size * (k + 1)] for k in range(count))
        return tuple(piece.decode("latin-1").strip() for piece in pieces)

    physical, digital = (zip(texts(k), texts(k + 1), strict=True) for k in (3, 5))
    return EdfHeader(
        labels=texts(0),
        units=texts(2),
        samples=tuple(map(int, texts(8))),
        scaleless=tuple(
            float(low) == float(high) or int(first) == int(last)
            for (low, high), (first, last) in zip(physical, digital, strict=True)
        ),
        records=int(fixed[236:244]),
        record_s=float(fixed[244:252]),
        is_discontinuous=fixed[192:197] in (b"EDF+D", b"BDF+D"),
        bytes_per_sample=3 if fixed[:1] == b"\xff" else 2,
    )


def record_onsets(path: Path, header: EdfHeader) -> FloatArray:
    """When each data record of a discontinuous file began, s after the first; (records,).

    Raises
    ------
    ValueError
        When a record does not say it, or says that it began before the one before it ended.
    """
    annotations = [index for index in range(len(header.labels)) if index not in header.signals]
    if not annotations:
        raise ValueError("no annotation channel says when its data records began")
    sizes = [samples * header.bytes_per_sample for samples in header.samples]
    onsets: list[float] = []
    with path.open("rb") as file:
        for record in range(header.records):
            file.seek(256 * (1 + len(sizes)) + record * sum(sizes) + sum(sizes[: annotations[0]]))
            found = _ONSET.match(file.read(min(sizes[annotations[0]], 64)))
            if found is None:
                raise ValueError(f"data record {record + 1} does not say when it began")
            onsets.append(float(found[1]))
    if np.any(np.diff(onsets) < header.record_s - 1e-6):
        raise ValueError("data records overlap")
    return np.array(onsets) - (onsets[0] if onsets else 0.0)
