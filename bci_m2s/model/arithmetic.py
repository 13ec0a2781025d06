"""The CPU's arithmetic: whether a window's answer has the same bits however many are judged at once.

MKL, which multiplies matrices for torch on x86, chooses another kernel for more rows, and the last bits of
a row then change with how many others there are. Its strict mode of conditional numerical reproducibility
(Intel oneMKL Developer Guide, "Obtaining numerically reproducible results") gives every row the same bits.
It has to be asked for before the first product of a process, and its bits are not those of the usual mode:
so a session that uses it says so, and is verified in it.
"""

from __future__ import annotations

import os
import re

VARIABLE, STRICT = "MKL_CBWR", "AUTO,STRICT"
VALID = re.compile(r"[A-Z0-9_]{1,16},STRICT")
SIZES = (2, 3, 8, 16, 32)
SHAPE = (5, 310, 128)  # steps, features, width: a window of 62 channels


def ask_for_strict(value: str = "") -> None:
    """Have products of this process be strict; without effect once there was one.

    value : of a session that was recorded so; else what the environment says, or ``STRICT``
    """
    if VALID.fullmatch(value):
        os.environ[VARIABLE] = value
    elif not VALID.fullmatch(os.environ.get(VARIABLE, "")):
        os.environ[VARIABLE] = STRICT


def strict_mode() -> str:
    """The mode that was asked for, "" where products are not strict: asked for too late, or no MKL."""
    return os.environ.get(VARIABLE, "") if _is_strict() else ""


def _is_strict() -> bool:
    """Whether windows that are multiplied together have the bits that they have alone."""
    import torch  # here, so that whoever only asks for it does not load it

    steps, features, width = SHAPE
    generator = torch.Generator().manual_seed(0)
    windows = torch.randn(max(SIZES), steps, features, generator=generator)
    weights = torch.randn(width, features, generator=generator)
    with torch.inference_mode():
        alone = torch.cat([torch.nn.functional.linear(row[None].clone(), weights) for row in windows])
        together = [torch.nn.functional.linear(windows[:size].clone(), weights) for size in SIZES]
    return all(torch.equal(rows, alone[: len(rows)]) for rows in together)
