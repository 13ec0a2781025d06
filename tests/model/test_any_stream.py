"""Whatever a sender says of its stream: it runs in the model's unit, or it is refused by name."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from support.nightly import tries
from support.small_sessions import contract

from bci_m2s.model.stream_check import NUMERIC_FORMATS, check_stream, stream_doubts
from bci_m2s.pipeline.steps import StepStage
from bci_m2s.signal.units import NOT_STATED, UNITS
from bci_m2s.types import Chunk, StreamInfo

CONTRACT = contract()
SPEC, WINDOW = CONTRACT.modalities["eeg"], CONTRACT.window
SECONDS = 2
# What a word means, in microvolts: written down here once more, so that a wrong table is found.
BASES = {
    1.0: (
        "uV",
        "µV",
        "μV",
        "uVolt",
        "µVolt",
        "μvolts",
        "microvolt",
        "micro-volt",
        "micro volt",
        "microV",
        "-6",
    ),
    1e-3: ("nV", "nVolt", "nanovolt", "nano-volt", "nanoV", "-9"),
    1e3: ("mV", "mVolt", "millivolt", "milli-volt", "milliV", "-3"),
    1e6: ("V", "volt", "0"),
}
MANGLED = {
    "µV".encode().decode("latin-1"): 1.0,
    "μV".encode().decode("latin-1"): 1.0,
    "µV".encode().decode("cp1252"): 1.0,
    "μV".encode().decode("cp1252"): 1.0,
    "μV".encode("shift-jis").decode("latin-1"): 1.0,
    "µV".encode("latin-1").decode("utf-8", "replace"): 1.0,
}
OTHER_NAMES = ("EEG {}-Ref", "{}.", "EEG-{}", "Muse_{}", "{}-A1", "eeg {}-(A1+A2)/2", "POL {}")
WRITTEN = (str, str.upper, str.capitalize, "({})".format, "[{}]".format, " {} ".format)
NOTHING = ("", " ", "n/a", "N/A", "NA", "nan", "None", "null", "unknown", "Unknown", "?", "unspecified")
OTHER = (
    *(
        name
        for unit in UNITS
        if not unit.is_voltage
        for name in (unit.name, unit.short, *unit.others)
        if name
    ),
    *(
        "microvlts",
        "µVs",
        "uVV",
        "mircovolts",
        "uV/Hz",
        "uV²",
        "uV^2",
        "dB",
        "%",
        ".V",
        "-",
        "−6",
        "+6",
        "6",
    ),
    *(
        "-12",
        "1e-6",
        "furlongs",
        "kV",
        "pV",
        "A",
        "uA",
        "Ω",
        "counts",
        "ADC",
        "µ",
        "u",
        "Â",
        "脳",
        "V?",
        "\0",
    ),
)


def plural(word: str) -> str:
    return word + "s" if word.casefold().endswith("volt") else word


SPELLINGS = MANGLED | {
    write(form(word)): factor
    for factor, words in BASES.items()
    for word in words
    for form in (str, plural)
    for write in WRITTEN
}


def electrode(label: str) -> str:
    """The name of the small contract's that stands in a label."""
    return next((name for name in SPEC.channels if name in label.upper()), "")


@dataclass(frozen=True)
class Described:
    """A stream, and what is true of it. factors : to microvolts, of each channel of the stream"""

    info: StreamInfo
    factors: NDArray[np.float64]
    wrong: frozenset[str]  # fields that make it unfit


@st.composite
def streams(draw: st.DrawFn) -> Described:
    labels = list(draw(st.permutations([*SPEC.channels, "AUX"])))
    wrong = set()
    change = draw(
        st.sampled_from(
            ("none", "none", "none", "case", "blanks", "spelt", "missing", "twice", "no labels")
        )
    )
    stands_in = draw(st.sampled_from(("refuse", "training_mean")))
    if change in ("twice", "no labels") or (change == "missing" and stands_in == "refuse"):
        wrong.add("channels")
    place = labels.index(draw(st.sampled_from(SPEC.channels)))
    labels = {
        "case": [label.lower() for label in labels],
        "blanks": [f" {label} " for label in labels],
        "spelt": [draw(st.sampled_from(OTHER_NAMES)).format(label) for label in labels],
        "missing": [*labels[:place], *labels[place + 1 :]],
        "twice": [*labels, labels[place]],
        "no labels": [""] * len(labels),
    }.get(change, labels)
    one = draw(st.sampled_from(tuple(SPELLINGS)))
    word = st.sampled_from(tuple(SPELLINGS)) | st.sampled_from(NOTHING) | st.just(one)
    units = [draw(st.just(one) if draw(st.booleans()) else word) for _ in labels]
    if draw(st.integers(0, 4)) == 0:
        units[draw(st.integers(0, len(units) - 1))] = draw(st.sampled_from(OTHER))
    wanted = set(SPEC.channels) - ({labels[place]} if change == "twice" else set())
    if any(unit in OTHER and electrode(label) in wanted for label, unit in zip(labels, units, strict=True)):
        wrong.add("units")
    rate_hz = draw(
        st.sampled_from((128.0, 250.0, 256.0, 256.0, 500.0, 0.0, 127.9, 127.8, 3000.0, -256.0, np.nan))
    )
    if not 0.999 * SPEC.rate_min_hz <= rate_hz <= 1.001 * SPEC.rate_max_hz:
        wrong.add("rate_hz")
    channel_format = draw(
        st.sampled_from((*NUMERIC_FORMATS, "float32", "double64", "string", "undefined", ""))
    )
    if channel_format not in NUMERIC_FORMATS:
        wrong = {"channel_format"}  # nothing else is asked of texts
    info = StreamInfo(
        "any",
        draw(st.sampled_from(("EEG", "eeg", "Signal"))),
        rate_hz=rate_hz,
        labels=tuple(labels),
        units=tuple(units),
        channel_format=channel_format,
        missing_channels=stands_in,
    )
    return Described(info, np.array([SPELLINGS.get(unit, 1.0) for unit in units]), frozenset(wrong))


def features(info: StreamInfo, samples: NDArray[np.generic]) -> NDArray[np.float64]:
    times = 1000 + np.arange(len(samples)) / info.rate_hz
    stage = StepStage(SPEC, WINDOW, info)
    return np.array([step.values for _, step in stage.push(Chunk.of(times, samples)) if step is not None])


def sent(described: Described) -> NDArray[np.generic]:
    """A known signal in the units and in the number format of the stream."""
    info = described.info
    signal = np.random.default_rng(0).normal(0.0, 20.0, (round(SECONDS * info.rate_hz), len(info.labels)))
    kind = np.dtype(
        {"float32": np.float32, "double64": np.float64}.get(info.channel_format, info.channel_format)
    )
    values = signal / described.factors
    if kind.kind == "i":
        values = np.rint(values).clip(np.iinfo(kind).min, np.iinfo(kind).max)
    return values.astype(kind)


def in_unit(word: str) -> Described:
    """A whole stream in one unit."""
    info = StreamInfo("any", "EEG", rate_hz=128.0, labels=SPEC.channels, units=(word,) * len(SPEC.channels))
    factors = np.full(len(SPEC.channels), SPELLINGS.get(word, 1.0))
    return Described(info, factors, frozenset({"units"} if word in OTHER else ()))


def check(described: Described) -> None:
    info = described.info
    problems = check_stream(SPEC, info)
    assert {problem.field for problem in problems} == described.wrong, problems
    for problem in problems:
        assert f"{problem.field}: got" in str(problem)
        assert "\n" not in str(problem)
    if problems:
        return
    samples = sent(described)
    in_microvolts = replace(info, units=("µV",) * info.n_channels, channel_format="double64")
    expected = features(in_microvolts, samples.astype(np.float64) * described.factors)
    assert len(expected) > 2
    np.testing.assert_allclose(features(info, samples), expected, rtol=1e-9, atol=1e-9)
    unstated = any(
        unit.strip().casefold() in NOT_STATED and electrode(label) in SPEC.channels
        for label, unit in zip(info.labels, info.units, strict=True)
    )
    assert any("units: not stated" in doubt for doubt in stream_doubts(SPEC, info)) == unstated


@given(streams())
@settings(max_examples=tries(30, 60))
@example(in_unit("-6"))
def test_a_stream_runs_in_the_models_unit_or_is_refused_by_name(described: Described) -> None:
    check(described)


def test_every_word_alone() -> None:
    """Accepted or refused as its meaning is, without samples."""
    for word in (*SPELLINGS, *NOTHING, *OTHER):
        described = in_unit(word)
        assert {problem.field for problem in check_stream(SPEC, described.info)} == described.wrong, word


def test_values_are_those_of_each_unit() -> None:
    for words in BASES.values():
        check(in_unit(words[0]))
