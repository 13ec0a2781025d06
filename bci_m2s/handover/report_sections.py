"""Sections of the report, each added to a page from the summary."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from bci_m2s.colours import CLASS_COLOURS
from bci_m2s.files.html_page import Page
from bci_m2s.handover.answer_figures import age_figure, rating_figure
from bci_m2s.handover.marks import TRIAL_GRAMMAR
from bci_m2s.handover.methods import contract_rows, methods_paragraph
from bci_m2s.handover.report_signals import clock
from bci_m2s.handover.summary import STAGES, Summary, bad_shares, label_counts, refusals
from bci_m2s.handover.whole import Whole
from bci_m2s.recording.trials import RATING
from bci_m2s.review.event_lines import TOGETHER_S, event_lines, together
from bci_m2s.review.facts import RecordingFacts
from bci_m2s.review.picture import session_figure
from bci_m2s.text import modality_name
from bci_m2s.types import BoolArray

REFUSED = ("refused", "drift_started", "drift_ended", "failover", "stale", "inference_failed")
MOST_EVENTS = 200


def add_head(page: Page, whole: Whole) -> None:
    """The numbers that matter most, of all takes."""
    streams = [stream for take in whole.takes for stream in take.facts.raw_streams if stream.is_regular]
    figures = [(clock(whole.length_s), "recorded")]
    if len(whole.takes) > 1:
        figures.append((str(len(whole.takes)), "takes"))
    figures.append((f"{sum(one.lost_s for one in streams):.1f} s", "of samples lost, all streams"))
    figures += [
        (f"{100 * (1 - share):.1f} %", f"of {modality_name(name)} channel time good")
        for name, share in bad_shares(whole.takes).items()
    ]
    made: dict[str, list[BoolArray]] = {}
    for name, answers in (line for take in whole.takes for line in take.lines):
        made.setdefault(name, []).append(answers.made)
    for name, parts in made.items():
        windows = np.concatenate(parts)
        share = 100 * float(np.mean(windows)) if len(windows) else 0.0
        figures.append((f"{share:.0f} %", f"of {name}: windows with an estimate"))
    if (ages := whole.ages) is not None:
        figures.append((f"{ages.percentiles_ms('age')[0]:.0f} ms", "median age of an estimate"))
    if whole.labelled:
        figures.append((str(len(whole.labelled)), "labelled trials that count"))
    page.figures(figures)


def add_timeline(page: Page, found: Summary) -> None:
    """The session as a picture, the self-reports below it."""
    page.section(found.titled("The session at a glance"))
    figure = session_figure(_told(found), CLASS_COLOURS, lambda _words: None)
    caption = (
        "From the top: markers; for each line of estimates the probabilities of the classes (hatched: no "
        "estimate), what made them and why there was none; bad channels and gaps; the signal of every "
        "channel; pupil or gaze."
    )
    page.picture(figure, "probabilities, quality and signals over time", caption)
    ratings = rating_figure(found.trials, found.label_order, found.facts.end_s)
    if ratings is not None:
        page.heading("Self-reports")
        caption = (
            "One point per answer, at the trial's end. Spans are trials, coloured by label; pale: excluded."
        )
        page.picture(ratings, "self-reports over time", caption)


def add_answers(page: Page, found: Summary) -> None:
    """What was estimated, what was refused and why, how old it was."""
    page.section(found.titled("Estimates and refusals"))
    if not found.lines:
        page.paragraph("There are no estimates: no model ran, or they are lost.")
        return
    rows = []
    for name, answers in found.lines:
        counts = ", ".join(f"{label} {count}" for label, count in label_counts(answers).items())
        why = ", ".join(f"{reason} {count}" for reason, count in refusals(answers)) or "–"
        rows.append([name, str(int(answers.made.sum())), counts, str(int((~answers.made).sum())), why])
    page.table(["line", "estimates", "answers", "none", "why there was none"], rows, ["estimates", "none"])
    reasons = [event for event in found.facts.events if event.kind in REFUSED]
    if reasons:
        page.heading("Refused, drifted, silent, changed over")
        page.table(
            ["s", "kind", "what"],
            [[f"{e.time_s:.1f}", e.kind, e.message] for e in reasons[:MOST_EVENTS]],
            ["s"],
        )
    if found.ages is not None:
        page.heading("Ages")
        page.picture(
            age_figure(found.ages.published_s, found.ages.stages_ms["age"], found.facts.end_s),
            "ages of the estimates",
            "Age of the newest sample when each estimate was published.",
        )
        rows = [[stage, *(_ms(value) for value in found.ages.percentiles_ms(stage))] for stage in STAGES]
        page.table(["milliseconds", "median", "95 %", "99 %"], rows, ["median", "95 %", "99 %"])
    else:
        page.paragraph(
            "Ages are not known: there is no estimates.csv beside the recording, or it was a replay.",
            "note",
        )


def add_events(page: Page, found: Summary) -> None:
    """Everything that happened, neighbours of a kind joined."""
    page.section(found.titled("Events"))
    lines = together(event_lines(_told(found)), TOGETHER_S)
    rows = [
        ["" if math.isnan(line.time_s) else f"{line.time_s:.1f}", line.kind, line.words()] for line in lines
    ]
    if not rows:
        page.paragraph("Neither markers nor events are in the recording.")
        return
    page.table(["s", "kind", "what"], rows[:MOST_EVENTS], ["s"])
    if len(rows) > MOST_EVENTS:
        page.paragraph(f"… and {len(rows) - MOST_EVENTS} more, see events.jsonl.", "note")


def add_model(page: Page, whole: Whole) -> None:
    """The contract, and the paragraph for a paper."""
    page.section("Model and contract")
    models = whole.models
    for found in models:
        if len(models) > 1:
            page.heading(f"From take {found.take}")
        page.table(["", ""], contract_rows(found))
    if not models:
        page.paragraph("No model ran in this session, or its description is lost.")
    page.section("For the methods section")
    page.paragraph(methods_paragraph(whole), "methods")
    page.paragraph(
        "Written from the recording; check it against your protocol, and cite the release that you used.",
        "note",
    )


# ---- parts ----


def _told(found: Summary) -> RecordingFacts:
    """The facts with markers for people: trials by number and label, and answers, not their grammar."""
    if not found.trials:
        return found.facts
    grammar, own = (*TRIAL_GRAMMAR, RATING), set(found.facts.guided_markers)
    kept = [mark for mark in found.facts.markers if not (mark in own and mark[1].startswith(grammar))]
    for trial in (one for one in found.trials if math.isfinite(one.start_s)):
        kept.append((trial.start_s, f"{trial.number}: {trial.label}"))
        answers = ", ".join(f"{scale} {value}" for scale, value in trial.ratings.items())
        if answers and math.isfinite(trial.stop_s):
            kept.append((trial.stop_s, answers))
    return replace(found.facts, markers=tuple(sorted(kept)))


def _ms(value: float) -> str:
    return f"{value:.0f}" if math.isfinite(value) else "–"
