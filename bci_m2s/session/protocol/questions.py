"""The questions after a trial, and who answers them."""

from __future__ import annotations

from collections.abc import Callable

from bci_m2s.recording import trials as grammar
from bci_m2s.session.protocol.settings import RatingSettings
from bci_m2s.session.protocol.stage import Stage

ANSWER_S = 1.0  # that a simulated person thinks


def ask(stage: Stage, number: int, is_too_late: Callable[[], bool] = lambda: False) -> None:
    """The questions after a trial. is_too_late : whether the next one has begun"""
    for question in stage.settings.ratings:
        if stage.controls.interrupted.is_set():
            break  # it is shown again
        answer = _answer(stage, question, is_too_late)
        if answer:
            stage.mark(grammar.rating_text(number, question.scale, answer))
        else:
            stage.notify(f"trial {number}: no answer for {question.scale}")
    if stage.settings.ratings:
        stage.write_table()


def _answer(stage: Stage, question: RatingSettings, is_too_late: Callable[[], bool]) -> str | None:
    def can_answer() -> bool:
        return not is_too_late() and (stage.conduct.has_keyboard or stage.takes.can_answer())

    stage.set_step("question", question.words)
    if stage.conduct.person is not None:
        stage.controls.question = question
        has_thought = stage.controls.wait(ANSWER_S)
        stage.controls.question = None
        return stage.conduct.person.answer(question) if has_thought else None
    return stage.controls.wait_for_answer(question, stage.settings.rating_timeout_s, can_answer)
