"""The small curve: its words, its span, and that it is painted."""

import math

import numpy as np
import pytest
from support.pictures import colours_of, longest_run, pixels

from bci_m2s.panel.answer.sparkline import MOST, Sparkline, figure
from bci_m2s.panel.look.theme import DARK, LIGHT


@pytest.fixture
def line(qtbot):
    made = Sparkline(DARK, "age", "ms")
    qtbot.addWidget(made)
    made.resize(300, 90)
    return made


def test_without_values_it_says_none(line):
    line.tick(100.0)
    assert line.words == "age –"
    assert DARK.accent not in colours_of(line)


def test_words_are_the_newest_value_and_the_p99_of_the_span(line):
    for number in range(101):
        line.add(100 + 0.25 * number, float(number))
    line.tick(125.0)
    assert line.words == "age 100 ms · p99 99 ms"
    line.add(125.25, 6.2)
    line.tick(126.0)
    assert line.words.startswith("age 6.2 ms")


def test_only_the_last_two_minutes_count(line):
    line.add(100.0, 1000.0)
    line.add(150.0, 5.0)
    line.tick(150.0)
    assert line.words == f"age 5 ms · p99 {figure(float(np.percentile([1000, 5], 99)))} ms"
    line.add(221.0, 5.0)
    line.tick(221.0)
    assert line.words == "age 5 ms · p99 5 ms"


def test_an_old_value_is_not_of_now(line):
    line.add(100.0, 6.0)
    line.tick(103.0)
    assert line.words == "age – · p99 6 ms"
    line.add(103.0, math.nan)
    line.tick(103.5)
    assert line.words == "age – · p99 6 ms"


def test_broken_values_do_no_harm(line):
    for stamp_s, value in ((math.nan, 1.0), (math.inf, 1.0), (100.0, math.inf), (100.1, -math.inf)):
        line.add(stamp_s, value)
    line.tick(100.2)
    assert line.words == "age –"
    line.add(100.3, 5.0)
    line.tick(101.0)
    assert line.words == "age 5 ms · p99 5 ms"
    assert not line.grab().isNull()


def test_memory_is_bounded(line):
    for number in range(MOST + 1000):
        line.add(100 + 0.001 * number, 1.0)
    assert len(line._values) == MOST


def test_a_hole_stays_empty(line):
    def drawn():
        image = pixels(line)
        return ((image & 0xFF).astype(int) > (image >> 16 & 0xFF).astype(int) + 40).any(axis=0)

    for number in range(480):
        line.add(100 + 0.25 * number, 5.0)
    line.tick(220.0)
    whole = drawn().sum()
    for number in range(480, 600):
        if number > 520:
            line.add(100 + 0.25 * number, 5.0)
    line.tick(250.0)
    assert drawn().sum() < 0.95 * whole
    assert drawn().sum() > 0.8 * whole


@pytest.mark.parametrize(
    ("value", "end"), [(0.0, "1 ms"), (6.0, "10 ms"), (21.0, "50 ms"), (101, "200 ms")]
)
def test_the_axis_has_a_round_end(line, value, end):
    line.add(100.0, value)
    line.tick(100.0)
    assert line.plot.getPlotItem().getAxis("left")._tickLevels[0][-1] == (1.0, end)


@pytest.mark.parametrize(("value", "text"), [(6.0, "6"), (6.23, "6.2"), (14.6, "15"), (1200.4, "1200")])
def test_figures_have_no_digits_that_dance(value, text):
    assert figure(value) == text


def test_another_theme_has_other_colours(line):
    def drawn(colour):
        return longest_run((pixels(line) & 0xFFFFFF) == int(colour[1:], 16))

    line.add(100.0, 5.0)
    line.tick(100.0)
    assert drawn(DARK.grid) > 50
    line.set_theme(LIGHT)
    assert drawn(LIGHT.grid) > 50
    assert drawn(DARK.grid) < 5  # as a blend of the new colours it may come
