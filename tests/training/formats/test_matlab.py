"""MATLAB files: against scipy on what it writes, and files that scipy cannot be trusted with."""

import struct
import zlib

import numpy as np
import pytest
from scipy import io
from support.raw_files import cell

from bci_m2s.errors import RecordingError
from bci_m2s.training.formats.matlab import cells, mat_shapes, member, read_mat
from bci_m2s.training.formats.matlab_values import Unread

HELD = {
    "double": np.arange(24.0).reshape(2, 3, 4),
    "single": np.arange(6, dtype=np.float32).reshape(2, 3),
    **{f"i{n}": np.arange(-3, 4).astype(f"i{n}") for n in (1, 2, 4, 8)},
    **{f"u{n}": np.arange(7).astype(f"u{n}") for n in (1, 2, 4, 8)},
    "flags": np.array([True, False]),
    "scalar": 2.5,
    "empty": np.zeros((0, 3)),
    "a_name_longer_than_four_letters": np.ones((1, 1)),
}


@pytest.mark.parametrize("compressed", [False, True])
def test_numbers_are_those_that_scipy_reads(tmp_path, compressed):
    path = tmp_path / "a.mat"
    io.savemat(path, HELD, do_compression=compressed)
    found, expected = read_mat(path, HELD), io.loadmat(path)
    assert found.keys() == HELD.keys()
    for name in HELD:
        np.testing.assert_array_equal(found[name], expected[name])
        assert found[name].dtype == expected[name].dtype
    assert mat_shapes(path) == {name: shape for name, shape, _ in io.whosmat(path)}
    assert list(read_mat(path, ["i2", "nothing"])) == ["i2"]


@pytest.mark.parametrize("compressed", [False, True])
def test_structs_cells_and_texts(tmp_path, compressed):
    path = tmp_path / "a.mat"
    deep = {"text": "Grüße", "cells": cell([np.eye(2), "b", {"x": 3.0}]), "none": np.zeros((0, 0))}
    rows = np.zeros((2,), dtype=[("n", object)])
    rows["n"] = [1.0, "two"]
    io.savemat(
        path, {"deep": deep, "rows": rows, "lines": np.array(["ab", "cd"])}, do_compression=compressed
    )
    found = read_mat(path, ["deep", "rows", "lines"])
    assert member(found["deep"], "text") == "Grüße"
    matrix, text, inner = cells(member(found["deep"], "cells"), 3)
    np.testing.assert_array_equal(matrix, np.eye(2))
    assert (text, float(member(inner, "x")[0, 0])) == ("b", 3.0)
    assert member(found["deep"], "none").size == 0
    assert [float(row["n"].item()) if row["n"] != "two" else "two" for row in found["rows"].ravel()] == [
        1.0,
        "two",
    ]
    assert found["lines"] == Unread("several rows of text")
    with pytest.raises(RecordingError, match="no field 'y'"):
        member(inner, "y")
    with pytest.raises(RecordingError, match="3 cells, expected 2"):
        cells(found["deep"]["cells"], 2)


def test_what_no_data_set_needs_is_left_unread(tmp_path):
    from scipy import sparse

    path = tmp_path / "a.mat"
    io.savemat(path, {"c": np.array([1 + 2j]), "s": sparse.csc_matrix(np.eye(3)), "n": 4.0})
    found = read_mat(path, "csn")
    assert (found["c"], found["s"], found["n"][0, 0]) == (Unread("complex numbers"), Unread("class 5"), 4.0)


def element(kind, data):
    return struct.pack("<II", kind, len(data)) + data + bytes(-len(data) % 8)


def variable(kind, shape, *parts, name=b"a"):
    flags = element(6, struct.pack("<II", kind, 0))
    return element(
        14, flags + element(5, struct.pack(f"<{len(shape)}i", *shape)) + element(1, name) + b"".join(parts)
    )


def file_of(path, *elements):
    path.write_bytes(b"MATLAB 5.0 MAT-file".ljust(124) + b"\x00\x01IM" + b"".join(elements))
    return path


def test_an_object_is_passed_over(tmp_path):
    made = element(14, element(6, struct.pack("<II", 17, 0)) + element(1, b"s") + element(1, b"MCOS"))
    path = file_of(tmp_path / "a.mat", made, variable(6, (1, 1), element(9, struct.pack("<d", 7.0))))
    assert read_mat(path, "a")["a"] == 7.0


@pytest.mark.parametrize(
    "content",
    [
        variable(6, (1 << 30, 1 << 30), element(9, bytes(8))),
        variable(1, (1 << 30, 1)),
        variable(1, (1 << 30, 1 << 30, 1 << 30)),
        variable(2, (1 << 30, 1), element(5, struct.pack("<i", 0)), element(1, b"")),
        variable(2, (1 << 30, 1), element(5, struct.pack("<i", 8)), element(1, b"")),
        variable(6, (-1, 2), element(9, bytes(16))),
        variable(6, (1, 1), element(99, bytes(8))),
        element(14, b""),
        struct.pack("<II", 14, 0xFFFFFFF0) + bytes(64),
        element(15, zlib.compress(struct.pack("<II", 14, 0xFFFFFFF0) + bytes(64))),
    ],
)
def test_sizes_that_are_only_claimed_allocate_nothing(tmp_path, content):
    path = file_of(tmp_path / "a.mat", content)
    with pytest.raises(RecordingError, match=r"not a readable MATLAB file|larger than"):
        read_mat(path, "a")


def test_a_compressed_variable_that_expands_beyond_its_size_is_refused(tmp_path):
    whole = variable(6, (1, 1), element(9, bytes(8)))
    bomb = zlib.compress(whole + bytes(50_000_000))[:-4]
    with pytest.raises(RecordingError, match="hold another number"):
        read_mat(file_of(tmp_path / "a.mat", struct.pack("<II", 15, len(bomb)) + bomb), "a")


def test_nesting_has_an_end(tmp_path):
    content = variable(6, (1, 1), element(9, bytes(8)), name=b"")
    for _ in range(40):
        content = variable(1, (1, 1), content)
    with pytest.raises(RecordingError, match="nested more than"):
        read_mat(file_of(tmp_path / "a.mat", content), "a")


def test_a_file_of_another_kind(tmp_path):
    path = tmp_path / "a.mat"
    with pytest.raises(RecordingError, match="no such file"):
        read_mat(path, "a")
    for content in (b"", b"MATLAB 5.0".ljust(128), b"x" * 500):
        path.write_bytes(content)
        with pytest.raises(RecordingError, match="not a readable MATLAB file"):
            mat_shapes(path)
