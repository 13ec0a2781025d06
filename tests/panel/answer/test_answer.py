"""The estimate now: what is said of an answer, when it is not said any more, and that it is painted."""

import dataclasses

import numpy as np
import pytest
from PyQt6.QtWidgets import QApplication
from support.nightly import nightly
from support.pictures import colours_of, longest_run, pixels, value_of

from bci_m2s.colours import CLASS_COLOURS, class_colour
from bci_m2s.panel.answer.answer import AnswerView, best_columns
from bci_m2s.panel.client.answers import (
    NO_ESTIMATE,
    WORDS,
    Answer,
    AnswerLine,
    age,
    clock,
    contrast,
    duration,
    legible,
    seconds_left,
    shown_answer,
)
from bci_m2s.panel.look.theme import DARK, LIGHT
from bci_m2s.text import modality_name
from bci_m2s.types import Status

CLASSES = ("negative", "neutral", "positive")
NONE = np.full(3, np.nan)


def answer(*shares, stamp_s=100.0, **changes):
    shares = np.array(shares or (0.05, 0.14, 0.81))
    made = Answer("emotion", "eeg", stamp_s, shares, float(shares.max()), 6.2, Status.OK)
    return dataclasses.replace(made, **changes)


def refusal(status, reason="", **changes):
    return answer(probabilities=NONE, confidence=np.nan, status=status, reason=reason, **changes)


# ---- words ----


def test_an_estimate_is_its_class_with_confidence_source_age_and_rate():
    said = shown_answer(answer(), CLASSES, rate_hz=4.0)
    assert (said.headline, said.number, said.place) == ("POSITIVE", "0.81", 2)
    assert said.detail == "from EEG · age 6 ms · 4 Hz"
    assert said.shares == (0.05, 0.14, 0.81)
    assert said.tone == "ok"


def test_unknown_has_no_number_beside_it_and_says_which_class_is_likeliest():
    said = shown_answer(answer(0.3, 0.3, 0.4, unknown=True), CLASSES)
    assert (said.headline, said.place, said.number) == ("unknown", -1, "")
    assert said.detail.startswith("(positive 0.40) below the model's limit\n")
    assert said.shares == (0.3, 0.3, 0.4)


@pytest.mark.parametrize(
    ("status", "tone"),
    [
        (Status.FILLING, "muted"),
        (Status.SETTLING, "muted"),
        (Status.BASELINE, "muted"),
        (Status.GAP, "warn"),
        (Status.BAD_SIGNAL, "warn"),
        (Status.STALE, "warn"),
        (Status.MISMATCH, "warn"),
        (Status.FAILED, "bad"),
    ],
)
def test_without_an_estimate_the_reason_stands_there(status, tone):
    said = shown_answer(refusal(status, "14 of 62 channels bad"), CLASSES)
    assert (said.headline, said.detail, said.tone) == (NO_ESTIMATE, "14 of 62 channels bad", tone)
    assert said.shares == ()
    assert shown_answer(refusal(int(status)), CLASSES).detail == WORDS[status]


def test_a_status_of_a_later_version_is_no_estimate():
    said = shown_answer(refusal(99), CLASSES)
    assert (said.headline, said.detail, said.tone) == (NO_ESTIMATE, "status 99", "warn")


def test_what_is_left_to_wait_is_read_from_the_reason():
    assert seconds_left("baseline, 12 s left") == 12.0
    assert seconds_left("window fills, 3.25 s left") == 3.25
    assert seconds_left("14 of 62 channels bad") is None
    assert shown_answer(refusal(Status.BASELINE, "baseline, 12 s left"), CLASSES).left_s == 12.0


def test_small_words():
    assert modality_name("eeg+eye") == "EEG + eye"
    assert [duration(value) for value in (3.2, 130, 4000)] == ["3 s", "2 min", "1 h 7 min"]
    assert [age(value) for value in (0.0062, 0.9996, 3.24, 700.0)] == ["6 ms", "1.0 s", "3.2 s", "12 min"]
    times = [clock(value) for value in (0, 61.9, 3600, 3725, -3)]
    assert times == ["0:00", "1:01", "1:00:00", "1:02:05", "0:00"]
    assert [clock(value, with_hours=True) for value in (61, 36_061.9)] == ["0:01:01", "10:01:01"]


@pytest.mark.parametrize("theme", [DARK, LIGHT])
@pytest.mark.parametrize("colour", CLASS_COLOURS)
def test_class_colours_can_be_read_in_both_themes(colour, theme):
    assert contrast(legible(colour, theme.surface), theme.surface) >= 3.0


def test_a_colour_with_contrast_enough_stays():
    assert contrast("#000000", "#FFFFFF") == pytest.approx(21.0)
    assert legible("#56B4E9", DARK.surface) == "#56B4E9"


# ---- time ----


def test_the_rate_is_measured_and_begins_anew_after_a_hole():
    line = AnswerLine(CLASSES)
    for number in range(9):
        line.take(answer(stamp_s=100 + 0.25 * number))
    assert line.rate_hz == pytest.approx(4.0)
    line.take(answer(stamp_s=110.0))
    assert np.isnan(line.rate_hz)
    line.take(answer(stamp_s=111.0))
    assert line.rate_hz == pytest.approx(1.0)


def test_an_old_answer_is_never_left_standing():
    line = AnswerLine(CLASSES)
    assert line.shown(99.0).detail == "waiting for the first window"
    line.take(answer(stamp_s=100.0))
    assert line.shown(100.1).headline == "POSITIVE"
    assert line.shown(101.9).headline == "POSITIVE"
    late = line.shown(103.2)
    assert (late.headline, late.tone) == (NO_ESTIMATE, "warn")
    assert late.detail.startswith("no estimate for 3 s")
    line.take(answer(stamp_s=104.0))
    assert line.shown(104.1).headline == "POSITIVE"


def test_a_refusal_grows_old_too():
    line = AnswerLine(CLASSES)
    line.take(refusal(Status.BASELINE, "baseline, 12 s left"))
    assert line.shown(100.0).tone == "muted"
    assert line.shown(104.0).detail.startswith("no estimate for 4 s")


def test_an_estimate_of_long_ago_is_not_shown_though_it_just_came():
    line = AnswerLine(CLASSES)
    line.take(answer(stamp_s=100.0))
    assert line.shown(112.0).detail == "the newest one is 12 s old"


# ---- the view ----


@pytest.fixture
def view(qtbot):
    made = AnswerView(DARK)
    qtbot.addWidget(made)
    made.resize(480, 420)
    return made


def test_before_an_engine_is_heard_the_view_says_so(view):
    assert [block.shown.headline for block in view.blocks.values()] == [NO_ESTIMATE]
    assert view.blocks["", ""].shown.detail == "waiting for a session"
    view.tick(100.0)
    assert not view.grab().isNull()


def test_the_view_shows_the_newest_answer(view):
    view.set_heads({"emotion": CLASSES})
    view.show_answer("emotion", answer(0.9, 0.05, 0.05))
    view.show_answer("emotion", answer())
    view.tick(100.1)
    block = view.blocks["", "emotion"]
    assert block.shown.headline == "POSITIVE"
    assert "POSITIVE 0.81" in block.accessibleName()
    assert class_colour(2).upper() in colours_of(view)


def test_bars_are_emptied_without_an_estimate(view):
    view.set_heads({"emotion": CLASSES})
    view.show_answer("emotion", answer(0.3, 0.3, 0.4))
    view.tick(100.0)
    full = colours_of(view)
    view.show_answer("emotion", refusal(Status.BAD_SIGNAL, "14 of 62 channels bad"))
    view.tick(100.3)
    empty = colours_of(view)
    wanted = {class_colour(place).upper() for place in range(3)}
    assert wanted <= full
    assert not wanted & empty
    assert DARK.warn in empty


@pytest.mark.parametrize("size", [(250, 190), (480, 420)])
def test_nothing_jumps_when_an_answer_is_unknown_or_missing(view, size):
    view.resize(*size)
    view.set_heads({"emotion": CLASSES})
    view.show()
    block = view.blocks["", "emotion"]

    def places_of(given, now_s):
        view.show_answer("emotion", given)
        view.tick(now_s)
        QApplication.processEvents()  # the layout
        first = block._headline.geometry()  # its width depends on whether there is a number
        parts = (block._detail, block.bars)
        return first.top(), first.height(), [part.geometry() for part in parts], block._detail.font()

    known = places_of(answer(stamp_s=100.0), 100.0)
    assert places_of(answer(0.3, 0.3, 0.4, unknown=True, stamp_s=101.0), 101.0) == known
    assert places_of(refusal(Status.BASELINE, "baseline, 12 s left", stamp_s=102.0), 102.0) == known


@pytest.mark.parametrize("size", [(250, 190), (300, 330), (480, 420)])
def test_the_words_of_an_unknown_answer_are_not_cut(view, size):
    view.resize(*size)
    view.set_heads({"emotion": CLASSES})
    view.show()
    view.show_answer("emotion", answer(0.3, 0.3, 0.4, unknown=True))
    view.tick(100.0)
    view.grab()
    detail = view.blocks["", "emotion"]._detail
    assert detail.heightForWidth(detail.width()) <= detail.height() + 1


def test_a_wait_is_muted_and_has_a_bar_that_grows(view):
    view.set_heads({"emotion": CLASSES})

    def bar_of(left_s, now_s):
        view.show_answer("emotion", refusal(Status.BASELINE, f"baseline, {left_s} s left", stamp_s=now_s))
        view.tick(now_s)
        return longest_run(pixels(view) == value_of(DARK.muted))

    begin, half, end = bar_of(20, 100.0), bar_of(10, 110.0), bar_of(1, 119.0)
    assert begin < 150 < half < 250 < 400 < end
    assert DARK.warn not in colours_of(view)


def test_each_head_has_its_block(view):
    view.set_heads({"valence": ("low", "high"), "arousal": ("low", "high")})
    view.show_answer("valence", answer(0.2, 0.8))
    view.show_answer("nonsense", answer(0.2, 0.8))
    view.tick(100.1)
    assert view.blocks["", "valence"].shown.headline == "HIGH"
    assert view.blocks["", "arousal"].shown.headline == NO_ESTIMATE
    assert list(view.blocks) == [("", "valence"), ("", "arousal")]


def test_modalities_stand_side_by_side(view):
    view.set_heads({"emotion": CLASSES}, ["eeg", "eye"])
    view.show_answer("emotion", answer())
    view.show_answer("emotion", refusal(Status.STALE, "signal 3.2 s old", modality="eye"))
    view.show_answer("emotion", answer(1.0, 0.0, 0.0, modality="other"))
    view.tick(100.1)
    assert view.blocks["eeg", "emotion"].shown.headline == "POSITIVE"
    assert view.blocks["eye", "emotion"].shown.detail == "signal 3.2 s old"
    view.set_heads({"emotion": CLASSES}, ["eeg"])
    assert list(view.blocks) == [("", "emotion")]


def test_blocks_stack_as_the_room_asks():
    assert best_columns(2, 350, 500) == 1
    assert best_columns(2, 900, 200) == 2
    assert best_columns(4, 700, 420) == 2
    assert best_columns(1, 100, 1000) == 1


@pytest.mark.parametrize("size", [(220, 140), *nightly((350, 300), (480, 420)), (1200, 200)])
@pytest.mark.parametrize("count", [1, *nightly(3), 9])
def test_long_names_do_not_leave_the_view(qtbot, size, count):
    """Nothing is painted within the margin, whatever the names are."""
    view = AnswerView(DARK)
    qtbot.addWidget(view)
    view.resize(*size)
    names = tuple(f"W{number}" + "W" * 28 for number in range(count))
    view.set_heads({"emotion": names})
    view.show_answer("emotion", answer(*np.full(count, 1 / count)))
    view.tick(100.0)
    image = pixels(view)
    edge = np.concatenate([image[3, 6:-6], image[-4, 6:-6], image[6:-6, 3], image[6:-6, -4]])
    assert len(np.unique(edge)) == 1
    assert len(np.unique(image)) > 10


def test_long_names_end_before_their_bars(view):
    view.set_heads({"emotion": tuple(f"W{number}" + "W" * 28 for number in range(3))})
    view.show_answer("emotion", refusal(Status.GAP, "gap"))
    view.tick(100.0)
    image = pixels(view)
    track = (image == value_of(DARK.raised)).sum(axis=0)
    left = int(np.flatnonzero(track > 20)[0])
    assert 100 < left < 300
    assert len(np.unique(image[200:-10, left - 6 : left - 1])) == 1
    assert len(np.unique(image[200:-10, left - 60 : left - 10])) > 2


def test_another_theme_has_other_colours(view):
    view.set_heads({"emotion": CLASSES})
    view.show_answer("emotion", answer())
    view.tick(100.0)
    assert DARK.text in colours_of(view)
    view.set_theme(LIGHT)
    assert LIGHT.text in colours_of(view)
    assert DARK.text not in colours_of(view)
