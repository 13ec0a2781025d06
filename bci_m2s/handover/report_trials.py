"""The report's section on trials: self-reports, and answers against labels."""

from __future__ import annotations

import math

from bci_m2s.handover.answer_figures import confusion_figure
from bci_m2s.handover.marks import rating_scales
from bci_m2s.handover.page import Page
from bci_m2s.handover.summary import Summary
from bci_m2s.handover.votes import Votes

MOST_TRIALS = 500


def add_trials(page: Page, found: Summary) -> None:
    """Trials with their self-reports, and the answers against their labels."""
    if not (found.trials or found.labelled):
        page.section("Trials")
        page.paragraph("There are no labelled trials in this recording.")
        return
    page.section("Trials")
    voted = [dict(zip(votes.numbers, votes.vote.tolist(), strict=True)) for votes in found.votes]
    lines = [votes.line for votes in found.votes]
    if found.trials:
        scales = rating_scales(found.trials)
        columns = [
            "trial",
            "attempt",
            "label",
            "item",
            "start, s",
            "length, s",
            *scales,
            *lines,
            "excluded",
            "flags",
        ]
        rows = [
            [
                *(str(trial.number), str(trial.attempt), trial.label, trial.item),
                *(_seconds(trial.start_s), _seconds(trial.duration_s)),
                *(trial.ratings.get(scale, "") for scale in scales),
                *(
                    "" if trial.excluded else _vote(votes, by, trial.number)
                    for votes, by in zip(found.votes, voted, strict=True)
                ),
                *(trial.excluded, ", ".join(trial.flags)),
            ]
            for trial in found.trials[:MOST_TRIALS]
        ]
    else:
        columns = ["trial", "label", "start, s", "length, s", *lines]
        rows = [
            [
                *(str(one.number), one.label, _seconds(one.start_s), _seconds(one.stop_s - one.start_s)),
                *(_vote(votes, by, one.number) for votes, by in zip(found.votes, voted, strict=True)),
            ]
            for one in found.labelled[:MOST_TRIALS]
        ]
    page.table(columns, rows, ["trial", "attempt", "start, s", "length, s"])
    _add_confusion(page, found)


def _add_confusion(page: Page, found: Summary) -> None:
    judged = [votes for votes in found.votes if len(votes.truth)]
    if not judged:
        page.paragraph(
            "No label of these trials is a class of the model: there is nothing to compare.", "note"
        )
        return
    page.heading("Answers against labels")
    page.picture(confusion_figure(judged[:4]), "confusion matrices")
    columns = [
        "line",
        "right",
        "balanced accuracy",
        "95 % interval",
        "chance",
        "needed for p ≤ 0.05",
        "without an answer",
    ]
    page.table(columns, [_votes_row(votes) for votes in judged], columns[1:])
    text = (
        "One vote per trial: the class with the largest mean probability over the windows that lie wholly "
        "in it. Windows of a trial share its state, so trials are counted, not windows. Chance is that of "
        "always answering the most frequent label; needed is the smallest number right that chance reaches "
        "in 5 % of sessions at most (binomial)."
    )
    page.paragraph(text, "note")
    if found.doubt:
        page.paragraph(found.doubt[:1].upper() + found.doubt[1:] + ".", "warning")


def _votes_row(votes: Votes) -> list[str]:
    n, (low, high) = len(votes.truth), votes.interval
    needed = str(votes.needed) if votes.needed <= n else f"more than {n}"
    return [
        *(votes.line, f"{votes.n_right} of {n}", f"{100 * votes.balanced_accuracy:.0f} %"),
        *(
            f"{100 * low:.0f}–{100 * high:.0f} %",
            f"{100 * votes.chance:.0f} %",
            needed,
            str(len(votes.silent)),
        ),
    ]


def _vote(votes: Votes, voted: dict[int, int], number: int) -> str:
    return votes.classes[voted[number]] if number in voted else "–"


def _seconds(value: float) -> str:
    return f"{value:.1f}" if math.isfinite(value) else "–"
