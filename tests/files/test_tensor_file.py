"""Tensor files: whole or not at all when written, refused in one line when they are something else."""

from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save
from support.model_files import refusal, small_contract, small_tensors

from bci_m2s.errors import ModelError, OutputError
from bci_m2s.files.tensor_file import MAX_HEADER_BYTES, read_tensors, write_tensors
from bci_m2s.model.model_file import load_model_file, save_model

SAVER = """
import os, sys
from pathlib import Path
import numpy as np
import safetensors.numpy
from bci_m2s.files.tensor_file import write_tensors
path = Path(sys.argv[1])
for line in sys.stdin:                      # each line: fork a child that saves until it is killed
    child = os.fork()
    if child == 0:
        number = int(line)
        while True:
            number += 1
            write_tensors(path, {"a": np.full(1_000_000, float(number))}, {}, overwrite=True)
    print(child, flush=True)
    os.waitpid(child, 0)
    print("gone", flush=True)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_killed_while_saving_never_leaves_half_a_file(tmp_path: Path) -> None:
    path, rng = tmp_path / "m.safetensors", np.random.default_rng(8)
    start = time.perf_counter()
    write_tensors(path, {"a": np.full(1_000_000, 0.0)}, {})
    save_s = time.perf_counter() - start
    interrupted = 0
    command = [sys.executable, "-c", SAVER, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as saver:
        assert saver.stdin
        assert saver.stdout
        for number in range(20):
            saver.stdin.write(f"{number * 1000}\n")
            saver.stdin.flush()
            child = int(saver.stdout.readline())
            wait_for_hidden_file(tmp_path)
            time.sleep(rng.uniform(0.0, min(save_s, 0.1)))
            os.kill(child, signal.SIGKILL)
            assert saver.stdout.readline() == "gone\n"
            hidden = [part for part in tmp_path.iterdir() if part != path]
            interrupted += len(hidden)
            for part in hidden:
                part.unlink()
            array = read_tensors(path)[1]["a"]
            assert array.shape == (1_000_000,)
            assert (array == array[0]).all()
        saver.stdin.close()
    assert interrupted > 0  # some kills did hit the middle of a save


def wait_for_hidden_file(folder: Path, limit_s: float = 120.0) -> None:
    """Return once a save has begun in `folder`."""
    until = time.monotonic() + limit_s
    while not any(folder.glob(".*.part")):
        assert time.monotonic() < until, "no save began"
        time.sleep(0.0005)


def test_header_that_could_not_be_read_again_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"header has \d+ bytes"):
        write_tensors(tmp_path / "m", {}, {"contract": "x" * MAX_HEADER_BYTES})
    assert list(tmp_path.iterdir()) == []


def written(folder: Path) -> Path:
    """A sound model file."""
    path, contract = folder / "small.safetensors", small_contract()
    save_model(path, contract, small_tensors(contract))
    return path


class _Payload:
    """Unpickling this creates a file."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
        return (os.mkdir, (str(self.canary),))


class TestNotAModel:
    def test_missing(self, tmp_path: Path) -> None:
        assert "No such file" in refusal(tmp_path / "none.safetensors")

    def test_folder(self, tmp_path: Path) -> None:
        assert refusal(tmp_path) == "not a file"

    def test_nul_in_the_path(self) -> None:
        with pytest.raises(ModelError, match="cannot be read"):
            load_model_file("a\0b")

    @pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
    def test_named_pipe_does_not_block(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe")
        assert refusal(tmp_path / "pipe") == "not a file"

    def test_too_large_is_not_read(self, tmp_path: Path) -> None:
        with (tmp_path / "big").open("wb") as file:
            file.truncate(2**40)  # sparse
        assert "bytes, at most" in refusal(tmp_path / "big")

    @pytest.mark.parametrize(
        ("content", "words"),
        [
            (b"", "the file is empty"),
            (b"\x10", "truncated: 1 bytes"),
            (b"\x10" + 7 * b"\0", "truncated: the header has 16 bytes, the file 8"),
            (bytes([9, 0, 0, 0, 0, 0, 0, 0]) + b"not JSON!", "the header is not valid JSON"),
            (bytes([2, 0, 0, 0, 0, 0, 0, 0]) + b"[]", "the header is not a JSON object"),
            (bytes([2, 0, 0, 0, 0, 0, 0, 0]) + b"\xff\xfe", "the header is not valid JSON"),
            (bytes([2, 0, 0, 0, 0, 0, 0, 0]) + b"{}", "without a contract in its header"),
            (8 * b"\xff" + b"{", "at most 1048576 are read"),
            ((2**20 + 1).to_bytes(8, "little") + b"{" * 2**20, "the header would have 1048577 bytes"),
            (b"hello world, this is a text file", "not a safetensors model"),
            (b"\x89HDF\r\n\x1a\n" + bytes(64), "this is an HDF5 file"),
        ],
    )  # fmt: skip
    def test_other_contents(self, content: bytes, words: str, tmp_path: Path) -> None:
        (tmp_path / "m").write_bytes(content)
        assert words in refusal(tmp_path / "m")

    def test_deep_nesting(self, tmp_path: Path) -> None:
        header = b'{"a":' + b"[" * 500_000 + b"]" * 500_000 + b"}"
        (tmp_path / "m").write_bytes(len(header).to_bytes(8, "little") + header)
        assert "nested too deeply" in refusal(tmp_path / "m")

    @pytest.mark.parametrize("protocol", [2, 3, 4, 5])
    def test_pickle_is_named_and_never_opened(self, protocol: int, tmp_path: Path) -> None:
        canary = tmp_path / "canary"
        (tmp_path / "m.pt").write_bytes(pickle.dumps(_Payload(canary), protocol))
        assert "this is a pickle, which is not opened; models are safetensors files" in refusal(
            tmp_path / "m.pt"
        )
        assert not canary.exists()

    @pytest.mark.parametrize("zipped", [True, False])
    def test_torch_save_is_named_and_never_opened(self, zipped: bool, tmp_path: Path) -> None:
        canary = tmp_path / "canary"
        torch.save(_Payload(canary), tmp_path / "m.pt", _use_new_zipfile_serialization=zipped)
        assert ("zip archive (torch.save" if zipped else "this is a pickle") in refusal(tmp_path / "m.pt")
        assert not canary.exists()

    def test_cut_anywhere(self, tmp_path: Path) -> None:
        model = written(tmp_path)
        whole = model.read_bytes()
        header = 8 + int.from_bytes(whole[:8], "little")
        cuts = [*range(0, 64), *range(64, len(whole), 97), header - 1, header, header + 1, len(whole) - 1]
        for cut in cuts:
            model.write_bytes(whole[:cut])
            message = refusal(model)
            assert "truncated" in message or cut == 0

    def test_appended_bytes(self, tmp_path: Path) -> None:
        model = written(tmp_path)
        model.write_bytes(model.read_bytes() + b"more")
        assert "truncated or damaged" in refusal(model)

    def test_header_whose_length_looks_like_a_pickle(self, tmp_path: Path) -> None:
        """A header of 0x0280 bytes begins a file with the two bytes of a protocol-2 pickle."""
        text = "x" * (0x0280 - len(json.dumps({"__metadata__": {"contract": ""}}, separators=(",", ":"))))
        path = tmp_path / "odd.safetensors"
        path.write_bytes(save({}, {"contract": text}))
        assert path.read_bytes()[:2] == pickle.dumps(None, 2)[:2]
        assert refusal(path).startswith("contract: not valid JSON")
