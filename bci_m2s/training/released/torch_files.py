"""State dicts from files of ``torch.save``, read without running anything that a file asks for.

Such a file is a zip archive with a pickle in it. ``weights_only=True`` lets it run no code (torch 2.6 and
later: CVE-2025-32434), but lets it take memory: 361 bytes that name ``bytearray`` get a GiB. So before
torch sees the file, the archive's sizes are held against the file's own, and the pickle is scanned, not
run, for the names that it asks for: only those that tensors need are let through.
"""

from __future__ import annotations

import io
import pickle
import pickletools
import zipfile
from pathlib import Path
from typing import Any

import torch

from bci_m2s.errors import ModelError
from bci_m2s.files.tensor_file import read_bytes
from bci_m2s.text import printable, quoted

MAX_PICKLE_BYTES = 2**22
MAX_MEMBERS = 10_000
# All names that a state dict's pickle needs; storages are torch.FloatStorage and the like.
TENSOR_GLOBALS = (
    "collections OrderedDict",
    "torch._utils _rebuild_tensor_v2",
    "torch._utils _rebuild_parameter",
    *(f"torch {kind}Storage" for kind in ("Float", "Double", "Half", "BFloat16", "Long")),
)
NUMBER_TYPES = (torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.int64)

State = dict[str, torch.Tensor]


def read_torch_file(path: Path) -> dict[str, State]:
    """Return the state dicts of a file by name; one that is not inside another has the name "".

    Tensors are dense, on the CPU and of float32, float64, float16, bfloat16 or int64.

    Raises
    ------
    ModelError
        In one line with the path: missing, not a file, too large, truncated, damaged, not a file of
        ``torch.save``, or it holds or imports anything but tensors by name.
    """
    raw = read_bytes(path)
    if not raw:
        raise ModelError(f"{path}: the file is empty")
    stored = _check_archive(path, raw)
    try:
        content = torch.load(io.BytesIO(raw), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:  # in several paragraphs
        raise ModelError(f"{path}: damaged: torch refuses its pickle") from None
    except Exception as problem:  # a damaged file can fail in torch in any way
        raise ModelError(f"{path}: truncated or damaged: {_first_line(problem)}") from None
    if not isinstance(content, dict) or not content:
        raise ModelError(f"{path}: holds {type(content).__name__}, expected tensors by name")
    nested = all(isinstance(part, dict) for part in content.values())
    parts = {str(name): part for name, part in content.items()} if nested else {"": content}
    for part in parts.values():
        for name, tensor in part.items():
            _check_tensor(path, name, tensor)
    _check_storages(path, parts, stored)
    return {name: dict(part) for name, part in parts.items()}


def _check_archive(path: Path, raw: bytes) -> int:
    """Refuse what would allocate or run more than tensors need; returns the bytes of all storages."""
    if not raw.startswith(b"PK\x03\x04"):
        old = "a bare pickle, or torch.save's format before 1.6"
        kind = old if raw[:1] == b"\x80" else "something else"
        raise ModelError(f"{path}: this is {kind}; expected a file of torch.save (a zip archive)")
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            members = archive.infolist()
            size = sum(member.file_size for member in members)
            if size > len(raw) or len(members) > MAX_MEMBERS:
                raise ModelError(f"{path}: a compressed archive, which torch.save never writes")
            pickles = [member for member in members if member.filename.endswith("data.pkl")]
            if len(pickles) != 1:
                raise ModelError(f"{path}: a zip archive with {len(pickles)} data.pkl, expected one")
            if pickles[0].file_size > MAX_PICKLE_BYTES:
                raise ModelError(f"{path}: a pickle of {pickles[0].file_size} bytes, too many for tensors")
            _check_pickle(path, archive.read(pickles[0]))
            return sum(member.file_size for member in members if "/data/" in member.filename)
    except ModelError:
        raise
    except Exception as problem:  # zipfile lets many kinds through for damaged archives
        raise ModelError(f"{path}: truncated or damaged: {_first_line(problem)}") from None


def _check_pickle(path: Path, content: bytes) -> None:
    """Refuse a pickle that asks for more than tensors need. It is scanned, not run.

    Names come by GLOBAL alone: torch knows none of the other codes that name things.
    """
    for code, argument, _position in pickletools.genops(content):
        if code.name == "GLOBAL" and argument not in TENSOR_GLOBALS:
            name = quoted(str(argument).replace(" ", "."))
            raise ModelError(f"{path}: refused: its pickle imports {name}, which tensors never need")


def _check_tensor(path: Path, name: object, tensor: Any) -> None:
    where = f"{path}: {quoted(name)}"
    if not isinstance(name, str) or not isinstance(tensor, torch.Tensor):
        raise ModelError(f"{where}: got {type(tensor).__name__}, expected a tensor under a name")
    dense = tensor.layout is torch.strided and tensor.device.type == "cpu"
    if not dense or tensor.dtype not in NUMBER_TYPES:
        raise ModelError(f"{where}: got {tensor.dtype}, expected dense float or int64 numbers")
    if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
        raise ModelError(f"{where}: repeats its numbers over shape {printable(tuple(tensor.shape))}")


def _check_storages(path: Path, parts: dict[str, State], stored: int) -> None:
    """Refuse tensors that claim more numbers than the file has: torch leaves that memory unwritten."""
    storages = {
        tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes()
        for part in parts.values()
        for tensor in part.values()
    }
    if sum(storages.values()) > stored:
        raise ModelError(f"{path}: damaged: its tensors claim more numbers than it holds")


def _first_line(problem: Exception) -> str:
    return printable(next(iter(str(problem).splitlines()), type(problem).__name__))
