"""The claims of the M2S paper, each beside what the cells of a study say.

A claim is looked at in each data set, protocol and head by itself. Its rows are found by what they are: the
method and the settings of their training files, never their names. The first row of that kind counts.

seen
    every difference that the claim is about has the claimed sign, as a mean over people; of the gain of M2S
    it is more than ``POINTS``. Beside it stands whether the interval excludes 0 (bootstrap over people and
    seeds, not corrected for the number of claims).
not seen
    one of them has not.
not testable here
    rows that it is about are missing; which, is said.

Differences are of balanced accuracy on the same people, the mean of the directions named. Where several
rivals or settings stand at choice, the best is taken by the same windows that it is compared on, which
favours it: the gain of M2S is rather too small, and a rise and fall rather too easily seen.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from bci_m2s.training.settings import TrainingSettings
from bci_m2s.training.study.groups import ACROSS, OWN
from bci_m2s.training.study.sections.rows import (
    TERMS,
    Entry,
    Step,
    attention_of,
    difference,
    is_m2s,
    shared,
    step_of,
    terms_of,
    without,
)

SEEN, NOT_SEEN, NOT_TESTABLE = "seen", "not seen", "not testable here"
POINTS = 0.05
WEIGHTS = "pretrain.loss.weights"
WORDS = {"cpc": "M2M CPC", "reconstruction": "reconstruction", "club": "CLUB"}
NAMES_OF_ATTENTION = {"sts": "STS", "multi-head": "multi-head attention", "none": "no attention"}
NO_M2S = "no row is pre-trained with contrastive loss, M2M CPC, reconstruction and CLUB"


@dataclass(frozen=True)
class Finding:
    """What came of a claim. figures : the differences it rests on, or what is missing"""

    claim: str
    verdict: str
    figures: str


Test = Callable[[Sequence[Entry]], "list[Step] | str"]


def find_claims(entries: Sequence[Entry]) -> list[Finding]:
    """Every claim on the rows of one data set, protocol and head, in the order of the paper."""
    found = []
    for claim, test in CLAIMS.items():
        steps = test(entries)
        if isinstance(steps, str):
            found.append(Finding(claim, NOT_TESTABLE, steps))
        elif not steps or any(math.isnan(step.found.mean) for step in steps):
            found.append(Finding(claim, NOT_TESTABLE, "the rows share no direction, or no person"))
        else:
            is_seen = all(step.found.mean > step.more_than for step in steps)
            texts = "; ".join(step.text for step in steps)
            found.append(Finding(claim, SEEN if is_seen else NOT_SEEN, texts))
    return found


def _first_m2s(entries: Sequence[Entry]) -> Entry | None:
    return next((one for one in entries if is_m2s(one.settings)), None)


def cross_modal_gain(entries: Sequence[Entry]) -> list[Step] | str:
    """M2S less the best rival of each cross-modal direction, more than ``POINTS``.

    A rival is a row of another method, or of the contrastive loss alone (CLIP).
    """
    ours = _first_m2s(entries)
    if ours is None:
        return NO_M2S
    rivals = [
        one
        for one in entries
        if one.point == ours.point
        and (one.settings.finetune.method != "pretrained" or terms_of(one.settings) == {"contrastive"})
    ]
    pairs, names = [], []
    for direction in ours.directions(ACROSS):
        there = [one for one in rivals if direction in one.rows]
        if there:
            best = max(there, key=lambda one: one.mean([direction]))
            pairs.append((ours.rows[direction], best.rows[direction]))
            names.append(f"{best.name} in {direction}")
    if not pairs:
        return "no other method answers across signals"
    return [step_of(f"{ours.name} less the best other ({', '.join(names)})", pairs, POINTS)]


def own_above_across(entries: Sequence[Entry]) -> list[Step] | str:
    """M2S: each signal by a classifier of its own labels less by one of the other's."""
    ours = _first_m2s(entries)
    if ours is None:
        return NO_M2S
    lines = [
        (f"{target} → {target}", across)
        for across in ours.directions(ACROSS)
        for target in [across.split(" → ")[1]]
        if f"{target} → {target}" in ours.rows
    ]
    if not lines:
        return f"{ours.name} has no figures both within and across signals"
    return [difference(f"{ours.name}, own less other signal's labels", ours, ours, lines)]


def pretrained_above_supervised(entries: Sequence[Entry]) -> list[Step] | str:
    """M2S less the same encoders trained by labels alone, each signal by its own labels."""
    ours = _first_m2s(entries)
    if ours is None:
        return NO_M2S
    beside = (one for one in entries if one.point == ours.point and _is_supervised(one.settings))
    if (theirs := next(beside, None)) is None:
        return "no row trains the same encoders by labels alone (supervised)"
    lines = [(one, one) for one in ours.directions(OWN) if one in theirs.rows]
    return [difference(f"{ours.name} less {theirs.name}, own labels", ours, theirs, lines)]


def _is_supervised(settings: TrainingSettings) -> bool:
    tuned = settings.finetune
    from_labels = tuned.method == "pretrained" and tuned.start == "random" and not tuned.freeze
    return tuned.method == "supervised" or from_labels


def contrastive_matters_most(entries: Sequence[Entry]) -> list[Step] | str:
    """Across signals, M2S and each row without another term, less the row without contrastive loss.

    The rows without a term are equal to M2S but for that weight.
    """
    for ours in (one for one in entries if is_m2s(one.settings)):
        rest = without(ours.settings, WEIGHTS)
        dropped: dict[str, Entry] = {}
        for one in entries:
            terms = terms_of(one.settings)
            is_less = len(terms) == len(TERMS) - 1 and terms < set(TERMS)
            if is_less and without(one.settings, WEIGHTS) == rest:
                dropped.setdefault(next(iter(set(TERMS) - terms)), one)
        first = dropped.pop("contrastive", None)
        if first is not None and dropped:
            above = {ours.name: ours} | {f"without {WORDS[term]}": one for term, one in dropped.items()}
            return [
                difference(f"{words} less without contrastive loss", one, first, shared(one, first, ACROSS))
                for words, one in above.items()
            ]
    return "no rows are M2S without its contrastive loss and M2S without another term, all else equal"


def attention_order(entries: Sequence[Entry]) -> list[Step] | str:
    """STS less multi-head attention less none, in all directions; rows are equal but for the networks."""
    networks = [f"contract.modalities.{name}.network" for name in _modalities(entries)]
    for ours in (one for one in entries if is_m2s(one.settings) and attention_of(one.settings) == "sts"):
        rest = without(ours.settings, *networks)
        chain = {"sts": ours}
        for one in entries:
            if is_m2s(one.settings) and without(one.settings, *networks) == rest:
                chain.setdefault(attention_of(one.settings), one)
        ordered = [(name, chain[name]) for name in NAMES_OF_ATTENTION if name in chain]
        if len(ordered) == len(NAMES_OF_ATTENTION):
            return [
                difference(f"{NAMES_OF_ATTENTION[a]} less {NAMES_OF_ATTENTION[b]}", one, other, lines)
                for (a, one), (b, other) in itertools.pairwise(ordered)
                for lines in [shared(one, other, OWN, ACROSS)]
            ]
    return "no rows are M2S with STS, with multi-head attention and with none, all else equal"


def _modalities(entries: Sequence[Entry]) -> list[str]:
    return list(dict.fromkeys(name for one in entries for name in one.settings.contract.modalities))


def cpc_helps(entries: Sequence[Entry]) -> list[Step] | str:
    """A row with M2M CPC less the row that is equal but for it, in all directions.

    That is the contrastive loss of pre-training alone, or a method that there is with CPC, `…-cpc`.
    """
    steps = []
    for plain in entries:
        rest = _without_cpc(plain.settings)
        for one in entries:
            if _has_cpc(plain.settings, one.settings) and _without_cpc(one.settings) == rest:
                lines = shared(one, plain, OWN, ACROSS)
                steps.append(difference(f"{one.name} less {plain.name}", one, plain, lines))
                break
    return steps or "no rows are a contrastive method with and without M2M CPC, all else equal"


def _has_cpc(plain: TrainingSettings, more: TrainingSettings) -> bool:
    """Whether the second is the first and M2M CPC."""
    if terms_of(plain) == {"contrastive"}:
        return terms_of(more) == {"contrastive", "cpc"}
    return more.finetune.method == f"{plain.finetune.method}-cpc"


def _without_cpc(settings: TrainingSettings) -> dict[str, object]:
    return without(settings, WEIGHTS, "finetune.method")


def predictions_rise_and_fall(entries: Sequence[Entry]) -> list[Step] | str:
    """For each window, the best number of prediction steps N less the fewest, and less the most.

    There are three or more.
    """
    families = _families(entries, _predictions, "pretrain.predictions")
    if steps := [step for family in families if len(family) > 2 for step in _rise_and_fall(family)]:
        return steps
    return "no rows are M2S with three or more numbers of prediction steps N at one window, all else equal"


def _rise_and_fall(family: Mapping[float, Entry]) -> list[Step]:
    counts = sorted(family)
    every = [set(one.directions(OWN, ACROSS)) for one in family.values()]
    names = sorted(set.intersection(*every))
    if not names:
        return []
    lines = [(name, name) for name in names]
    best = max(counts, key=lambda n: family[n].mean(names))
    window = f"{_window_s(family[best].settings):g} s: "
    return [
        difference(f"{window}N = {best:g} (the best) less N = {end:g}", family[best], family[end], lines)
        for end in (counts[0], counts[-1])
    ]


def longer_windows_help(entries: Sequence[Entry]) -> list[Step] | str:
    """For each number of prediction steps, the longest window less the shortest."""
    families = _families(entries, _window_s, "contract.window", "windows")
    if steps := [_long_less_short(family) for family in families if len(family) > 1]:
        return steps
    return (
        "no rows are M2S with windows of several lengths at one number of prediction steps, all else equal"
    )


def _long_less_short(family: Mapping[float, Entry]) -> Step:
    short, long = min(family), max(family)
    lines = shared(family[long], family[short], OWN, ACROSS)
    words = f"N = {_predictions(family[long].settings):g}: {long:g} s less {short:g} s"
    return difference(words, family[long], family[short], lines)


def _predictions(settings: TrainingSettings) -> float:
    return settings.pretrain.predictions


def _window_s(settings: TrainingSettings) -> float:
    return settings.contract.window.steps * settings.contract.window.step_s


def _families(
    entries: Sequence[Entry], value: Callable[[TrainingSettings], float], *keys: str
) -> Iterator[dict[float, Entry]]:
    """M2S rows that are equal but for some keys, by their value."""
    ours = [(one, without(one.settings, *keys)) for one in entries if is_m2s(one.settings)]
    for i, (_, rest) in enumerate(ours):
        if any(other == rest for _, other in ours[:i]):
            continue
        family: dict[float, Entry] = {}
        for one, of_one in ours:
            if of_one == rest:
                family.setdefault(value(one.settings), one)
        yield family


CLAIMS: dict[str, Test] = {
    "across signals, more than 5 points above the second best": cross_modal_gain,
    "labels of the same signal a little above labels of the other": own_above_across,
    "supervised encoders a little below pre-trained ones": pretrained_above_supervised,
    "without the contrastive loss, most is lost across signals": contrastive_matters_most,
    "STS above multi-head attention above none": attention_order,
    "M2M CPC improves a contrastive method": cpc_helps,
    "with more prediction steps N accuracy rises, then falls": predictions_rise_and_fall,
    "longer windows help at one N": longer_windows_help,
}
