"""The benchmarks measure what they declare. Nothing here depends on how fast the machine is."""

from __future__ import annotations

import importlib
import json
import math
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from support.command_line import bci

from bci_m2s.commands.bench.benchmark import Benchmark, NotHere, Round, Run
from bci_m2s.commands.bench.found import MARK, files, load, load_all
from bci_m2s.errors import BciM2sError, StreamError, UsageError
from bci_m2s.lsl.child import JsonChild
from bci_m2s.lsl.configuration import read_settings

ROOT = Path(__file__).resolve().parents[2]
BENCHMARKS = ROOT / "benchmarks"
HEAVY = ("torch", "mne", "pylsl", "scipy", "PyQt6", "psutil", "matplotlib", "sklearn", "distributed")
TINY = {"batch": 6, "channels": 3}  # of a training
ALL = load_all()


@pytest.fixture
def part(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], ModuleType]:
    """Loads a file of benchmarks/ that others use."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module


@pytest.fixture
def measured(
    part: Callable[[str], ModuleType], tmp_path: Path
) -> Callable[..., tuple[list[Round], list[str]]]:
    """Measures two rounds of a benchmark in this process; returns them and the notes."""
    del part  # for its path

    def run(
        name: str, benchmark: Benchmark | None = None, **settings: Any
    ) -> tuple[list[Round], list[str]]:
        chosen = benchmark or load(files()[name])
        assert settings.keys() <= chosen.settings.keys()
        notes: list[str] = []
        how = Run(2, {**chosen.settings, **settings}, "", tmp_path, notes.append)
        rounds: Iterator[Round] = chosen.measure(how)
        found = list(rounds)
        assert len(found) == 2
        for one in found:
            assert one.keys() <= {figure.name for figure in chosen.figures}
        return found, notes

    return run


def pair(value: float | tuple[float, float]) -> tuple[float, float]:
    assert isinstance(value, tuple)
    return value


@pytest.mark.parametrize("benchmark", ALL, ids=lambda one: one.name)
def test_a_benchmark_says_what_it_is(benchmark: Benchmark) -> None:
    assert benchmark.name in files()
    assert benchmark.question.endswith("?")
    assert 0 < benchmark.minutes <= 30
    names = [figure.name for figure in benchmark.figures]
    assert len(set(names)) == len(names)
    for need in benchmark.needs:
        assert set(need.figures) <= set(names)
    for figure in benchmark.figures:
        if figure.goal is not None and figure.goal.of_ratio:
            assert figure.reference
            assert figure.is_speedup != figure.goal.is_most, figure.name


def test_what_has_a_goal_has_a_benchmark() -> None:
    goals = {benchmark.name for benchmark in ALL if any(figure.goal for figure in benchmark.figures)}
    core = {"acquisition", "estimate", "features", "encoder", "training", "replay", "memory", "startup"}
    assert goals >= core | {"panel", "overview", "participants"}


def test_to_list_them_nothing_heavy_is_loaded() -> None:
    code = (
        "import sys\nfrom bci_m2s.commands.bench.found import load_all\nload_all()\n"
        f"print([name for name in {HEAVY} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=240
    )
    assert done.stdout.strip() == "[]"


def test_the_readme_has_every_file() -> None:
    text = (BENCHMARKS / "README.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"^\| `(\w+)\.py` \|", text, re.MULTILINE))
    assert listed == {path.stem for path in BENCHMARKS.glob("*.py")}


def test_what_is_no_benchmark_is_a_part_of_one_or_stands_alone() -> None:
    for path in BENCHMARKS.glob("*.py"):
        assert (path.stem in files()) == (MARK in path.read_text(encoding="utf-8"))


def test_a_real_one_is_run_and_kept(tmp_path: Path) -> None:
    sizes = ("--set", "channels=3", "--set", "rate=256", "--set", "hops=4")
    done = bci("bench", "features", "--rounds", "2", *sizes, "--output", tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    kept = json.loads((tmp_path / "features.json").read_text(encoding="utf-8"))
    assert len(kept["rounds"]) == 2
    for one in kept["rounds"]:
        assert one.keys() == {"torcheeg's way", "whole window, 1 s", "whole window, 5 s"}
        assert all(part > 0 for parts in one.values() for part in parts)
    assert any(note.startswith("largest difference") for note in kept["notes"])
    assert "≥ 20 ×" in (tmp_path / "table.md").read_text(encoding="utf-8")


def test_a_script_is_the_command(tmp_path: Path) -> None:
    command = [sys.executable, str(BENCHMARKS / "features.py"), "--set", "hop=1", "--output", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 2
    assert "--set: features: got 'hop=1'; nearest: 'hops'" in done.stderr


def test_features_are_not_timed_when_the_ways_disagree(
    measured: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    benchmark = load(files()["features"])
    monkeypatch.setattr(sys.modules[benchmark.measure.__module__], "SAME_SIGNAL_NATS", 0.0)
    with pytest.raises(BciM2sError, match=r"disagree by .* nothing was timed"):
        measured("features", benchmark, channels=2, rate=256)


def test_features_refuse_a_rate_with_half_samples(measured: Callable[..., Any]) -> None:
    with pytest.raises(UsageError, match="rate: got 250, expected a multiple of 4"):
        measured("features", rate=250)


def test_the_encoders_answer_as_those_written_out(measured: Callable[..., Any]) -> None:
    found, notes = measured("encoder", seconds=0.0, largest=1)
    assert found[0].keys() == {f"{which}, batch 1" for which in ("EEG", "eyes", "STS")}
    assert all(part > 0 for value in found[0].values() for part in pair(value))
    assert len(notes) == 3


def test_encoders_that_disagree_are_not_timed(
    part: Callable[[str], ModuleType], measured: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(part("plain"), "three", lambda values: values)
    with pytest.raises(BciM2sError, match=r"STS: the scores differ by .*: nothing was timed"):
        measured("encoder", seconds=0.0, largest=1)


def test_a_replay_gives_estimates_from_the_first_window_on(measured: Callable[..., Any]) -> None:
    found, notes = measured("replay", seconds=7.0)
    (note,) = notes
    assert re.fullmatch(r"\d+ estimates have the same bits with chunks of 37 samples", note)
    ours, real_ms = pair(found[0]["a second of signal"])
    assert real_ms == 1e3
    assert ours > 0


def test_replays_with_other_bits_are_not_timed(
    measured: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    benchmark = load(files()["replay"])
    module = sys.modules[benchmark.measure.__module__]
    digests = iter(("a", "b"))
    monkeypatch.setattr(module, "replay", lambda *_arguments: (1.0, 1, next(digests)))
    with pytest.raises(BciM2sError, match="gave other bits: nothing was timed"):
        measured("replay", benchmark, seconds=2.0)


def test_a_point_of_growth_has_time_memory_and_estimates(part: Callable[[str], ModuleType]) -> None:
    first, second = part("growth_point").grow(2, 4, 128.0, [1.0, 3.0])
    assert first["ms"] > 0
    assert first["mb"] > 0
    assert 0 < first["estimates"] < second["estimates"]


def test_bare_inlets_are_counted_by_all_that_was_measured(part: Callable[[str], ModuleType]) -> None:
    """The last two of them took alike: a line through these alone would never rise."""
    module = part("participants")
    loads = {1: 0.02, 8: 0.06, 16: 0.1, 24: 0.14, 32: 0.18, 48: 0.26, 64: 0.26}
    found = module.people_at(1.2, {people: module.Load(0.0, load) for people, load in loads.items()})
    assert 200 < found < 400
    assert math.isnan(module.people_at(1.2, {1: module.Load(0.0, 0.1), 8: module.Load(0.0, 0.1)}))
    assert module.people_at(1.2, {2: module.Load(0.0, 0.1)}) == pytest.approx(24.0)


def test_growth_says_where_it_bends(part: Callable[[str], ModuleType]) -> None:
    """Channels cost 3 ms and 10 µs each, people 4 ms each, the length of the session nothing."""
    module = part("growth")
    found = {name: {"ms": 3.0 + 0.01 * size} for name, size in module.SCALES["channels"].items()}
    found |= {name: {"ms": 4.0 * size} for name, size in module.SCALES["participants"].items()}
    found |= {name: {"ms": 3.0} for name in ("1 min", "10 min", "1 h")}
    found |= {name: {"ms": 3.0} for name in list(module.SCALES["sampling rate, Hz"])[:2]}  # too few
    assert list(module.bends(found)) == [
        "channels: no bend up to 256",
        "participants: 4e+03 µs for each, from the first on",
        "length of the session, min: no bend up to 60",
    ]
    found |= {name: {"ms": 1.0 + 0.01 * size} for name, size in module.SCALES["channels"].items()}
    assert next(module.bends(found)) == "channels: 1 ms whatever they are, 10 µs for each: bends at 100"


def test_growth_is_drawn_as_far_as_it_was_measured(tmp_path: Path) -> None:
    benchmark = load(files()["growth"])
    assert benchmark.draw is not None
    medians = {figure.name: (1.0, 1.0) for figure in benchmark.figures if "8 h" not in figure.name}
    benchmark.draw(tmp_path / "growth.svg", medians)
    assert "<svg" in (tmp_path / "growth.svg").read_text(encoding="utf-8")


@pytest.mark.nightly
def test_both_sides_of_training_take_their_steps(measured: Callable[..., Any]) -> None:
    found, notes = measured("training", **TINY)
    assert all(part > 0 for part in pair(found[0]["one step"]))
    assert re.match(r"losses and gradients agree to \d\.\de-(09|[1-9]\d)", notes[0])


def test_sides_that_disagree_are_not_timed(
    part: Callable[[str], ModuleType], measured: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(part("plain"), "three", lambda values: values)
    with pytest.raises(BciM2sError, match=r"the sides disagree: \d"):
        measured("training", **TINY)


@pytest.mark.parametrize(("name", "settings"), [("training", {**TINY, "device": "cuda"}), ("cuda", {})])
def test_cuda_is_refused_in_words_where_there_is_none(
    measured: Callable[..., Any], name: str, settings: dict[str, Any]
) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device")
    with pytest.raises(NotHere, match="no CUDA device"):
        measured(name, **settings)


def test_half_precision_is_a_side_like_the_others(part: Callable[[str], ModuleType]) -> None:
    """The bf16 side of device=cuda, taken on the CPU: its loss is near, and not the same."""
    sides = part("training_sides")
    sides.torch.manual_seed(0)
    batch, model = sides.make_batch(6, 3), sides.pair_model(3, 0.0)
    ways = sides.Way(), sides.Way(half=True)
    exact, half = (sides.Side(model, way).loss(batch, 1).item() for way in ways)
    assert 0 < abs(half - exact) < 0.05 * exact


def test_all_sides_of_cuda_run_where_there_is_one(measured: Callable[..., Any]) -> None:
    import torch

    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    found, _ = measured("training", **TINY, device="cuda")
    assert len(found[0]) == 3
    found, _ = measured("cuda")
    assert len(found[0]) == 8


def test_only_the_contained_way_parts_the_machines(
    part: Callable[[str], ModuleType], tmp_path: Path
) -> None:
    make = part("beyond_one_machine").configurations
    settings = {}
    for contained in (True, False):
        for number, text in enumerate(make(3, contained)):
            path = tmp_path / f"{contained}-{number}.cfg"
            path.write_text(text, encoding="utf-8")
            settings[contained, number] = read_settings(path)
    assert len({settings[True, number]["lab.SessionID"] for number in range(3)}) == 3
    assert len({settings[False, number]["lab.SessionID"] for number in range(3)}) == 1
    assert settings[True, 0]["multicast.AddressesOverride"] == "{239.255.172.215}"
    assert "multicast.AddressesOverride" not in settings[False, 0]


def room_of_two(module: ModuleType, tmp_path: Path) -> dict[str, Any]:
    settings = {**module.BENCHMARK.settings, "seconds": 0.5, "longest_s": 30.0}
    run = Run(1, settings, "", tmp_path, lambda _words: None)
    texts: list[str] = module.configurations(2, contained=True)
    what: dict[str, Any] = module.spec(run, texts, people=2, away=1)
    return what


@pytest.mark.live
def test_two_machines_find_the_people_of_each_other_and_connect(
    part: Callable[[str], ModuleType], tmp_path: Path
) -> None:
    module = part("beyond_one_machine")
    if not module.has_namespaces(""):
        pytest.skip("no iproute2")
    try:
        found = module.in_a_room(room_of_two(module, tmp_path))
    except NotHere as why:
        pytest.skip(str(why))
    assert [one["own"] for one in found["found"]] == [2, 2]
    assert {seen for one in found["watched"] for seen in one["seen"]} == {2}, "others' people were seen"
    assert [one["deliver"] for one in found["opened"]] == [2, 2]
    values = module.figures(found, 30.0)
    assert values.keys() <= {figure.name for figure in module.BENCHMARK.figures}
    assert values["an outlet, threads"] == 2
    assert values["seen at a look"] == 100


@pytest.mark.live
@pytest.mark.skipif(sys.platform != "linux", reason="network namespaces are Linux's")
def test_nothing_is_left_of_a_room_that_was_killed(
    part: Callable[[str], ModuleType], tmp_path: Path
) -> None:
    module = part("beyond_one_machine")
    if not module.has_namespaces(""):
        pytest.skip("no iproute2")
    what = {**room_of_two(module, tmp_path), "seconds": 60.0}
    command = ["beyond_one_machine_child", "enter", json.dumps(what)]
    room = JsonChild("the room", command, {"PYTHONPATH": f"{ROOT}{os.pathsep}{BENCHMARKS}"})
    try:
        room.receive(60.0)
    except StreamError as why:
        pytest.skip(str(why))
    wait_until(
        lambda: len(family(room.pid)) >= 6
    )  # unshare, the room, two programs on each of two machines
    members = family(room.pid)
    room.kill()
    wait_until(lambda: not any(is_alive(pid) for pid in members))


def family(pid: int) -> set[int]:
    """A process and all that come of it."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it ended
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found


def is_alive(pid: int) -> bool:
    """Whether it runs; what only waits to be reaped does not."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def wait_until(is_so: Callable[[], bool], longest_s: float = 90.0) -> None:
    ends_s = time.monotonic() + longest_s
    while not is_so():
        assert time.monotonic() < ends_s
        time.sleep(0.1)


@pytest.mark.live
@pytest.mark.nightly  # receivers look for the sender for a minute, which a busy machine exceeds
@pytest.mark.parametrize(
    ("name", "sizes", "figures"),
    [
        ("acquisition", ("seconds=0.4", "channels=8", "rate=500"), 7),
        ("recording", ("seconds=3",), 4),
        ("estimate", ("seconds=3",), 12),
        ("memory", ("seconds=1", "people=1"), 6),
        ("participants", ("seconds=2", "most=1"), 2),
        ("startup", (), 7),
        ("panel", ("seconds=3",), 6),
        ("overview", ("seconds=2", "people=2"), 4),
    ],
)
def test_a_live_one_measures_and_loses_nothing(
    tmp_path: Path, name: str, sizes: tuple[str, ...], figures: int
) -> None:
    settings = [word for size in sizes for word in ("--set", size)]
    done = bci("bench", name, "--rounds", "1", *settings, "--output", tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    (one,) = json.loads((tmp_path / f"{name}.json").read_text(encoding="utf-8"))["rounds"]
    assert len(one) == figures
    assert one.get("samples lost", [0.0]) == [0.0]
    assert all(part > 0 for key, parts in one.items() if key != "samples lost" for part in parts)
