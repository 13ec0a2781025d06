"""Pickles from elsewhere: plain data come through, anything else is refused by name."""

import collections
import os
import pickle
import struct

import numpy as np
import pytest

from bci_m2s.errors import RecordingError
from bci_m2s.training.formats import pickles
from bci_m2s.training.formats.pickles import load_plain, read_npz, read_pickle

PLAIN = {
    "matrix": np.arange(12.0).reshape(3, 4),
    "fortran": np.asfortranarray(np.arange(6, dtype=np.int32).reshape(2, 3)),
    "big-endian": np.arange(5, dtype=">f4"),
    "flags": np.array([True, False]),
    "scalar": np.float64(2.5),
    "count": np.int64(7),
    3: ["text", (1, 2.5, None, True), b"\x00\xff"],
}


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_plain_data_come_through(protocol):
    found = load_plain(pickle.dumps(PLAIN, protocol), "f")
    assert found.keys() == PLAIN.keys()
    for name in ("matrix", "fortran", "big-endian", "flags"):
        np.testing.assert_array_equal(found[name], PLAIN[name])
        assert found[name].dtype == PLAIN[name].dtype
    assert (found["scalar"], found["count"], found[3]) == (2.5, 7, PLAIN[3])


def test_an_array_of_python_2_comes_through():
    raw = np.array([1.5, -2.0]).tobytes()
    old = (
        b"\x80\x02cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
        b"(K\x01K\x02\x85cnumpy\ndtype\nU\x02f8K\x00K\x01\x87R(K\x03U\x01<NNNJ\xff\xff\xff\xff"
        b"J\xff\xff\xff\xffK\x00tb\x89U\x10" + raw + b"tb."
    )
    np.testing.assert_array_equal(load_plain(old, "f"), [1.5, -2.0])


class Calls:
    """Pickles as a call of any function."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda path: (os.system, f"touch {path}"), f"{os.system.__module__}.system"),
        (lambda path: (eval, f"__import__('os').mkdir({path!r})"), "eval"),
        (lambda path: (os.mkdir, path), f"{os.mkdir.__module__}.mkdir"),
    ],
)
def test_a_call_is_refused_by_name_and_never_made(tmp_path, protocol, call, named):
    canary = tmp_path / "canary"
    hidden = {"data": np.zeros(2), "more": [Calls(*call(str(canary)))]}
    data = pickle.dumps(hidden, protocol)
    with pytest.raises(RecordingError, match=r"^s\.npz: refused.*" + named):
        load_plain(data, "s.npz")
    assert not canary.exists()
    pickle.loads(data)  # the canary is alive: an ordinary reader does run it
    assert canary.exists()


@pytest.mark.parametrize(
    ("held", "named"),
    [
        (collections.OrderedDict(a=1), "collections.OrderedDict"),
        ({1, 2}, "set"),
        (1j, "complex"),
        (np.array([{}, 1], dtype=object), "'O8'"),
        (np.zeros(2, dtype="U3"), "'U3'"),
        (np.zeros(2, dtype=[("a", "f8")]), "'V8'"),
        (np.ndarray, "_?Class|type"),
        (np.dtype("f8"), "Dtype"),
    ],
)
def test_other_kinds_of_objects_are_refused(held, named):
    with pytest.raises(RecordingError, match=named):
        load_plain(pickle.dumps([held]), "f")


def test_deep_wide_and_cyclic_data_are_refused(monkeypatch):
    nested: list = []
    for _ in range(30):
        nested = [nested]
    cycle: list = []
    cycle.append(cycle)
    laughs: list = [0] * 10
    for _ in range(9):
        laughs = [laughs] * 10
    for held in (nested, cycle):
        with pytest.raises(RecordingError, match="deeply"):
            load_plain(pickle.dumps(held), "f")
    monkeypatch.setattr(pickles, "MAX_OPCODES", 1000)
    with pytest.raises(RecordingError, match="objects"):
        load_plain(pickle.dumps(laughs), "f")
    with pytest.raises(RecordingError, match="more than 1000 objects"):
        load_plain(pickle.dumps(list(range(2000))), "f")


def test_sizes_that_only_claim_to_be_large_allocate_nothing():
    far_memo = b"\x80\x02]r" + struct.pack("<I", 0x7FFFFFFF) + b"."
    with pytest.raises(RecordingError, match="objects"):
        load_plain(far_memo, "f")
    claimed = b"\x80\x05\x96" + struct.pack("<Q", 1 << 40) + b"abc."
    with pytest.raises(RecordingError, match="not a readable pickle"):
        load_plain(claimed, "f")
    shape = pickle.dumps(np.zeros(4)).replace(b"K\x04\x85", b"K\x08\x85")
    with pytest.raises(RecordingError, match=r"32 bytes for shape \(8,\)"):
        load_plain(shape, "f")


def test_every_truncation_is_an_error_of_ours():
    whole = pickle.dumps(PLAIN)
    for length in range(len(whole)):
        with pytest.raises(RecordingError, match="f: "):
            load_plain(whole[:length], "f")


def test_damaged_bytes_give_data_or_an_error_of_ours():
    rng = np.random.default_rng(5)
    whole = np.frombuffer(pickle.dumps(PLAIN), np.uint8)
    refused = 0
    for _ in range(2000):
        damaged = whole.copy()
        damaged[rng.integers(len(whole), size=3)] = rng.integers(256, size=3)
        try:
            load_plain(damaged.tobytes(), "f")
        except RecordingError:
            refused += 1
    assert 200 < refused < 2000


def test_files_name_themselves(tmp_path, monkeypatch):
    path = tmp_path / "1_1"
    with pytest.raises(RecordingError, match="1_1: No such file"):
        read_pickle(path)
    path.write_bytes(pickle.dumps({"a": 1}))
    assert read_pickle(path) == {"a": 1}
    monkeypatch.setattr(pickles, "MAX_BYTES", 4)
    with pytest.raises(RecordingError, match="1_1: larger"):
        read_pickle(path)


def test_npz_reads_arrays_and_pickled_members(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, data=pickle.dumps({0: np.ones((2, 3))}), label=np.arange(3), rest=np.zeros(1))
    found = read_npz(path, ("data", "label"))
    np.testing.assert_array_equal(found["data"][0], np.ones((2, 3)))
    np.testing.assert_array_equal(found["label"], [0, 1, 2])
    assert found.keys() == {"data", "label"}


def test_npz_refuses_what_is_not_plain(tmp_path, monkeypatch):
    canary, path = tmp_path / "canary", tmp_path / "a.npz"
    call = Calls(os.mkdir, str(canary))
    np.savez(path, data=pickle.dumps([call]), objects=np.array([call], dtype=object))
    with pytest.raises(RecordingError, match=r"a\.npz: data: refused.*mkdir"):
        read_npz(path, ["data"])
    with pytest.raises(RecordingError, match=r"a\.npz: .*allow_pickle"):
        read_npz(path, ["objects"])
    assert not canary.exists()
    with pytest.raises(RecordingError, match=r"no array .*label"):
        read_npz(path, ["label"])
    monkeypatch.setattr(pickles, "MAX_BYTES", 100)
    with pytest.raises(RecordingError, match="'data' is larger than 100"):
        read_npz(path, ["data"])


@pytest.mark.parametrize("share", [0.0, 0.3, 0.6, 0.99])
def test_a_truncated_npz_is_an_error_of_ours(tmp_path, share):
    path = tmp_path / "a.npz"
    np.savez_compressed(path, data=np.arange(1000))
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(RecordingError, match=r"a\.npz: "):
        read_npz(path, ["data"])
