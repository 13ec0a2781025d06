"""Raw samples to step features; filters and quality are in `signal`, windows and scaling come after.

Adding a feature: one file here and one line in ``EXTRACTORS``, or one file in your own package and an
entry point in the group ``bci_m2s.features``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from bci_m2s.features.coupling import MeasuresBand
from bci_m2s.registry import Registry
from bci_m2s.signal.interpolation import Interpolation
from bci_m2s.types import BoolArray, FloatArray, Step


class Extractor(Protocol):
    """Features of one modality, computed block by block.

    The pipeline cuts an unbroken segment into blocks of one hop (0.25 s, say) and pushes them in
    order; every ``step_s / hop_s`` blocks make a step, and steps overlap by all but one block. The
    blocks are cut by sample count, so results never depend on how a stream was chunked.
    """

    names: tuple[str, ...]  # F feature names, in the order of Step.values
    settle_s: float  # how long a fresh segment's values answer to its start and must not be used

    def reset(self) -> None:
        """Begin a new segment: forget samples and filter states."""

    def push(self, samples: FloatArray, missing: BoolArray) -> Step | None:
        """Take one block; return the step that ends with it, None until a whole step has come.

        samples : (n, channels) float64 in the contract's units and channel order
        missing : (n, channels) bool, true where the sample is lost, or its channel railed or noisy: not to
            be used, whatever its value (NaN included)

        The step's ``filters_crc`` is the CRC-32 of what the filters, or what there is in their place,
        gave for this block.
        """


@runtime_checkable
class NamesCauses(Protocol):
    """An extractor whose problems name channels one by one.

    causes : by channel, what ``Step.problem`` calls its missing samples; whoever pushes keeps it up to date
    """

    causes: Sequence[str]


class Interpolates(Protocol):
    """An extractor that can make features of channels that are missing, behind its filters.

    interpolation : what is filled and how; None for nothing
    """

    interpolation: Interpolation | None


@runtime_checkable
class Couples(Protocol):
    """An extractor that can measure how channels go together.

    coupling : measures it, for each step; None for nobody
    coupled : the name of the band in which it is measured
    """

    coupling: MeasuresBand | None
    coupled: str


@runtime_checkable
class Counts(Protocol):
    """An extractor's class that knows the number of its features without being built."""

    @staticmethod
    def count(params: Mapping[str, Any], labels: Sequence[str]) -> int:
        """Number of features per step. params, labels : as for the extractor, not checked further

        May raise what wrong parameters raise: building the extractor then says what is wrong with them.
        """


# What a contract may name as `feature`, and the class ("module:class", loaded on use). Each is built
# as Class(params: dict, labels: tuple[str, ...], rate_hz: float, step_s: float, hop_s: float) and
# raises ContractError for parameters that do not fit the stream.
EXTRACTORS = Registry(
    "feature",
    "bci_m2s.features",
    {
        "covariance": "bci_m2s.features.covariance:Covariance",
        "de": "bci_m2s.features.de:DifferentialEntropy",
        "distributed": "bci_m2s.features.distributed:Distributed",
        "ecg": "bci_m2s.features.ecg:Electrocardiogram",
        "eye": "bci_m2s.features.eye:EyeMovements",
        "physiology": "bci_m2s.features.physiology:PeripheralPhysiology",
    },
    needs=("reset", "push"),
)
