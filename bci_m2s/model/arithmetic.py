"""The CPU's arithmetic: whether a window's answer has the same bits however many are judged at once.

MKL, which multiplies matrices for torch on x86, chooses another kernel for more rows, and the last bits of
a row then change with how many others there are. Its strict mode of conditional numerical reproducibility
(Intel oneMKL Developer Guide, "Obtaining numerically reproducible results") gives every row the same bits.
It has to be asked for before the first product of a process, and its bits are not those of the usual mode:
so a session says in which mode it was recorded, and is verified in that. Whether windows may be judged
together is not concluded from the mode: the predictor tries it out when the model loads.
"""

from __future__ import annotations

import ctypes
import os
import re

VARIABLE, STRICT = "MKL_CBWR", "AUTO,STRICT"
VALID = re.compile(r"[A-Z0-9_]{1,16}(,STRICT)?")
ALL, STRICT_BIT = -1, 0x10000  # MKL_CBWR_ALL and MKL_CBWR_STRICT of mkl_types.h, as are the branches
BRANCHES = {
    2: "AUTO",
    3: "COMPATIBLE",
    4: "SSE2",
    6: "SSSE3",
    7: "SSE4_1",
    8: "SSE4_2",
    9: "AVX",
    10: "AVX2",
    11: "AVX512_MIC",
    12: "AVX512",
    13: "AVX512_MIC_E1",
    14: "AVX512_E1",
}


def ask_for(mode: str) -> None:
    """Have products of this process be made in a mode; without effect once there was one.

    mode : as ``mode`` returned it where a session was recorded, "" for the usual one; anything else is left
        alone, for it is text from a file
    """
    if VALID.fullmatch(mode):
        os.environ[VARIABLE] = mode
    elif not mode:
        os.environ.pop(VARIABLE, None)


def ask_for_strict() -> None:
    """Have products of this process be strict, unless the environment names a strict mode of its own."""
    named = os.environ.get(VARIABLE, "")
    if not (VALID.fullmatch(named) and named.endswith(",STRICT")):
        os.environ[VARIABLE] = STRICT


def mode() -> str:
    """How products of this process are made, "" for the usual way; the first call settles it."""
    import torch  # here, so that whoever only asks for a mode does not load it

    if not torch.backends.mkl.is_available():
        return ""
    try:  # of MKL itself: what was asked for too late, or not for this processor, is not what it does
        found = int(ctypes.CDLL(torch._C.__file__).mkl_serv_cbwr_get(ALL))
    except (AttributeError, OSError):
        return os.environ.get(VARIABLE, "")
    branch = BRANCHES.get(found & ~STRICT_BIT, "")
    return f"{branch},STRICT" if branch and found & STRICT_BIT else branch
