"""Damaged files for every loader: some of each, nightly a thousand; ``run.py`` does as many as wanted."""

import io
import struct
import zipfile

import numpy as np
import pytest
from support.fuzz_loaders import LOADERS, attempt, brainvision_seeds, fif_seeds, recover_seeds, write_seed
from support.fuzz_runs import run
from support.nightly import tries


def keeps_its_promise(name, count, seed):
    failures = []
    outcome = run(name, count, seed, failures.append)
    assert not failures, f"example {failures[0].number}: {failures[0].trace}"
    assert outcome.refused > 0
    assert outcome.read > 0  # some damage does no harm, or the loader refuses everything


@pytest.mark.parametrize("name", LOADERS)
def test_a_damaged_file_gives_data_or_one_line(name):
    share = LOADERS[name].share
    keeps_its_promise(name, tries(max(share // 2, 30), share), 0)


@pytest.mark.nightly
@pytest.mark.parametrize("name", LOADERS)
def test_a_thousand_damaged_files_give_data_or_one_line(name):
    keeps_its_promise(name, 1000, 1)


def test_a_bug_is_told_from_a_refusal():
    """The harness itself: what a loader must not raise is counted and kept."""
    failures = []
    name = "pipeline"
    sound = LOADERS[name]
    try:
        LOADERS[name] = type(sound)(sound.main, sound.seeds, _trips_over_brackets, ())
        outcome = run(name, 100, 0, failures.append)
    finally:
        LOADERS[name] = sound
    assert 0 < outcome.failures == len(failures) < 100
    assert all("IndexError" in failure.trace and b"]" in failure.content for failure in failures)


def _trips_over_brackets(path):
    if b"]" in path.read_bytes():
        raise IndexError


# ---- what the fuzzer found ----


def refusal(name, folder, file, content):
    (folder / file).write_bytes(content)
    message = attempt(LOADERS[name], folder)
    assert message
    return message


def npz(folder, header):
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        head = header.ljust(118).encode()
        content = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head + bytes(100)
        archive.writestr("data.npy", content)
    return refusal("npz", folder, "d.npz", made.getvalue())


def test_npz_with_a_header_that_is_never_closed(tmp_path):
    assert "not a readable npz" in npz(tmp_path, "{'descr': '<f8', 'fortran_order': False, 'shape': (5,)")


@pytest.mark.parametrize("count", [2**40, 2**55, 10**30])
def test_npz_that_claims_more_than_there_is_memory(tmp_path, count):
    message = npz(tmp_path, f"{{'descr': '<f8', 'fortran_order': False, 'shape': ({count},)}}")
    assert "not a readable npz" in message


def test_fif_with_a_tag_of_negative_size(tmp_path):
    """mne would read the first tag for ever: a place before the file's first byte is its first byte."""
    content = bytearray(fif_seeds(tmp_path)[0].content)
    struct.pack_into(">i", content, 36 + 8, -905_969_660)
    assert "the tag at byte 36 has -905969660 bytes" in refusal("fif", tmp_path, "f_raw.fif", content)


def test_fif_of_complex_numbers(tmp_path):
    import mne

    raw = mne.io.RawArray(np.ones((1, 30)) + 1j, mne.create_info(["a"], 50.0, "eeg"), verbose="error")
    raw.save(tmp_path / "made_raw.fif", fmt="double", verbose="error")
    content = (tmp_path / "made_raw.fif").read_bytes()
    assert "complex numbers" in refusal("fif", tmp_path, "f_raw.fif", content)


@pytest.mark.parametrize("crc", [b"-00000ab", b"0x0000ab", b"+00000ab", b"0000_0ab", b"0000 0ab"])
def test_checksum_that_only_a_lenient_parser_takes_for_one(tmp_path, crc):
    seed = recover_seeds(tmp_path)[2]
    lines = seed.content.splitlines(keepends=True)
    lines[3] = lines[3][:-9] + crc + b"\n"
    write_seed(tmp_path, seed, b"".join(lines))
    assert attempt(LOADERS["recover"], tmp_path) == ""


def test_brainvision_message_with_control_characters(tmp_path):
    header, *others = brainvision_seeds(tmp_path)
    write_seed(tmp_path, others[0], others[0].content)
    damaged = header.content.replace(b"UTF-8", b"U\x7fF-8", 1)
    assert "unknown encoding: U?F-8" in refusal("brainvision", tmp_path, "b.vhdr", damaged)


@pytest.mark.parametrize("name", ["pipeline", "training"])
def test_key_that_no_terminal_can_show(tmp_path, name):
    main = LOADERS[name].main
    sound = LOADERS[name].seeds(tmp_path)[0].content
    assert "un?known" in refusal(name, tmp_path, main, sound + "un\u0602known: 1\n".encode())


@pytest.mark.parametrize("root", ["~nobody-of-this-name/x", '"a\\0b"'])
def test_training_data_in_an_impossible_folder(tmp_path, root):
    sound = LOADERS["training"].seeds(tmp_path)[0].content.decode()
    assert "format: simulated" in sound
    damaged = sound.replace("format: simulated", f"format: simulated\n  root: {root}")
    assert "data.root: got" in refusal("training", tmp_path, "t.yaml", damaged.encode())


def test_a_stretch_of_three_centuries_is_no_fifty_million_trials(tmp_path):
    seed = LOADERS["stress-predict"].seeds(tmp_path)[0]
    lines = seed.content.decode().splitlines()
    person, start, _, label = lines[-1].split(",")
    damaged = "\n".join([*lines[:-1], f"{person},{start},9999999999,{label}"]).encode()
    write_seed(tmp_path, seed, damaged)
    assert "expected at most 86400 s after" in attempt(LOADERS["stress-predict"], tmp_path)


def test_lsl_settings_with_a_key_that_no_terminal_can_show(tmp_path):
    content = b"[po\x03rts]\nIPv6 = allow\nIPv6 = allow\n"
    assert "po?rts.IPv6: occurs twice" in refusal("lsl", tmp_path, "lsl_api.cfg", content)
