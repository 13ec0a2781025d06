"""Arrays of MATLAB files."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from bci_m2s.errors import RecordingError
from bci_m2s.training.datasets.pickles import MAX_BYTES


def read_mat(path: Path, names: Iterable[str]) -> dict[str, Any]:
    """Read arrays of a MATLAB file (version 7 or older); names that it lacks are left out.

    Raises
    ------
    RecordingError
        When the file is damaged, of version 7.3, or holds an array larger than the limit.
    """
    from scipy import io  # slow to load, and most of the package never reads MATLAB files

    wanted = set(names)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            sizes = {name: shape for name, shape, _kind in io.whosmat(path) if name in wanted}
            if sum(8 * int(np.prod(shape, dtype=float)) for shape in sizes.values()) > MAX_BYTES:
                raise RecordingError(f"arrays larger than {MAX_BYTES} bytes")
            return dict(io.loadmat(path, variable_names=list(sizes))) if sizes else {}
    except NotImplementedError:
        raise RecordingError("MATLAB 7.3 file; save it again with -v7") from None
    except RecordingError:
        raise
    except Exception as problem:  # a damaged file can fail in any way inside the reader
        raise RecordingError(f"not a readable MATLAB file: {problem}") from None
