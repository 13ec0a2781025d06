"""Features that came ready-made with a data set: a model can learn from them, no live stream has them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bci_m2s.errors import ContractError
from bci_m2s.text import quoted

PARAMETERS = ("dataset", "feature")


class Distributed:
    """A name for features that only their data set's owners can make.

    A contract names it so that nobody can mistake such features for ones that are computed here.

    Settings
    --------
    dataset : where they came from, for instance SEED
    feature : what they are called there, for instance de_LDS

    Parameters
    ----------
    params : the settings above
    stream : labels, rate, step and hop, as for every extractor; none of it can help

    Raises
    ------
    ContractError
        Always, and it names the data set.
    """

    def __init__(self, params: Mapping[str, Any], *stream: object) -> None:
        del stream
        for key in params:
            if key not in PARAMETERS:
                raise ContractError("feature distributed", "params", quoted(key), " and ".join(PARAMETERS))
        dataset = quoted(params["dataset"]) if "dataset" in params else "a data set that is not named"
        feature = quoted(params["feature"]) if "feature" in params else "features"
        raise ContractError(
            "feature distributed",
            "source",
            "a stream of samples",
            f"{feature} as distributed with {dataset}: no live stream can make these features",
        )
