"""The seed of torch's own random numbers: first weights, dropout."""

from __future__ import annotations

from zlib import crc32

import torch


def seed_torch(seed: int) -> None:
    """Seed the generators of the CPU and of every CUDA device, as ``torch.manual_seed`` does.

    Without CUDA, torch would keep the seed and a whole traceback for each kind of device that might
    still come: more than a millisecond each time, and memory that only grows.
    """
    if torch.cuda.is_available():
        torch.manual_seed(seed)
    else:
        torch.default_generator.manual_seed(seed)


def named_seed(seed: int, name: str) -> int:
    """A seed of its own for each name, the same on every machine."""
    return crc32(f"{seed} {name}".encode())  # torch heeds 32 bits of a seed
