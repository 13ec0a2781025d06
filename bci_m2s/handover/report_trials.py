"""The report's section on trials: self-reports, and answers against labels."""

from __future__ import annotations

import math
from collections.abc import Sequence

from bci_m2s.files.html_page import Page
from bci_m2s.handover.answer_figures import confusion_figure
from bci_m2s.handover.marks import rating_scales
from bci_m2s.handover.summary import Summary
from bci_m2s.handover.votes import Votes
from bci_m2s.handover.whole import Whole

MOST_TRIALS = 500


def add_trials(page: Page, whole: Whole) -> None:
    """Trials with their self-reports, and the answers against their labels, of all takes."""
    page.section("Trials")
    if not (whole.trials or whole.labelled):
        page.paragraph("There are no labelled trials in this recording.")
        return
    lines = list(dict.fromkeys(votes.line for take in whole.takes for votes in take.votes))
    scales = rating_scales(whole.trials)
    columns = ["trial", "attempt", "label", "item", "start, s", "length, s", *scales, *lines]
    columns += ["excluded", "flags"]
    if not whole.trials:
        columns = ["trial", "label", "start, s", "length, s", *lines]
    is_one = len(whole.takes) == 1
    rows = [
        row if is_one else [str(take.take), *row]
        for take in whole.takes
        for row in (_shown(take, scales, lines) if whole.trials else _marked(take, lines))
    ]
    columns = columns if is_one else ["take", *columns]
    page.table(columns, rows[:MOST_TRIALS], ["take", "trial", "attempt", "start, s", "length, s"])
    if not is_one:
        page.paragraph("Times count from the beginning of each take.", "note")
    _add_confusion(page, whole)


def _shown(found: Summary, scales: Sequence[str], lines: Sequence[str]) -> list[list[str]]:
    """Every attempt at a trial of a guided session."""
    votes = _answers(found)
    return [
        [
            *(str(trial.number), str(trial.attempt), trial.label, trial.item),
            *(_seconds(trial.start_s), _seconds(trial.duration_s)),
            *(trial.ratings.get(scale, "") for scale in scales),
            *("" if trial.excluded else votes.get((line, trial.number), "–") for line in lines),
            *(trial.excluded, ", ".join(trial.flags)),
        ]
        for trial in found.trials
    ]


def _marked(found: Summary, lines: Sequence[str]) -> list[list[str]]:
    """The labelled stretches of a session without a protocol."""
    votes = _answers(found)
    return [
        [
            *(str(one.number), one.label, _seconds(one.start_s), _seconds(one.stop_s - one.start_s)),
            *(votes.get((line, one.number), "–") for line in lines),
        ]
        for one in found.labelled
    ]


def _answers(found: Summary) -> dict[tuple[str, int], str]:
    """The vote of each line on each trial."""
    return {
        (votes.line, number): votes.classes[vote]
        for votes in found.votes
        for number, vote in zip(votes.numbers, votes.vote.tolist(), strict=True)
    }


def _add_confusion(page: Page, whole: Whole) -> None:
    judged = [votes for votes in whole.votes if len(votes.truth)]
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
    for doubt in dict.fromkeys(take.doubt for take in whole.takes if take.doubt):
        page.paragraph(doubt[:1].upper() + doubt[1:] + ".", "warning")


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


def _seconds(value: float) -> str:
    return f"{value:.1f}" if math.isfinite(value) else "–"
