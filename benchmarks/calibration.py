"""What `bci-m2s calibrate` does with noise, and with people whose labels are true: simulated people only.

**Noise**: the signals of simulated sessions with labels drawn at random, so that nothing can be learnt.
A session counts as promoted when any of its modalities is. Bar: at most 5 of 100.
**People**: each person's first visit calibrates; a second one (another cap position and baseline) is judged
by the model that a user would then run: the calibrated one where promoted, else the base model.
**A signal without labelled windows**, taught by the other one's answers: the same, see `taught_figures`.
Balanced accuracy in which every trial weighs the same; "both signals" is the mean of their probabilities.

No person of the demo model's training is used (another seed of the simulator), and none of those that the
candidates were developed on. A process; features are kept in --cache, and take most of the time.

    python benchmarks/calibration.py --cache /tmp/calibration
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from scipy.special import softmax

from bci_m2s.commands.bench.machine import describe, machine
from bci_m2s.model.model_file import load_model_file
from bci_m2s.session.setup.shipped import find_model
from bci_m2s.simulator import SimulatorSettings
from bci_m2s.training.calibration.base import Base
from bci_m2s.training.calibration.candidates import Situation, candidates, make, scores
from bci_m2s.training.calibration.decide import Problem, Verdict, decide
from bci_m2s.training.calibration.material import Material, Outside, Windows
from bci_m2s.training.calibration.nested import Candidate, Fold, balanced
from bci_m2s.training.calibration.pairs import FEWEST_PAIRS, paired
from bci_m2s.training.calibration.problems import make_problems
from bci_m2s.training.calibration.write import held_out_temperature, taught_by
from bci_m2s.training.data.load import read_features, write_features
from bci_m2s.training.data.sessions import SessionFeatures, from_raw, normalised
from bci_m2s.training.datasets.simulated import simulated_segments

EVERY_HOPS = 4
HEAD = "emotion"


def settings_of(base: Base, seed: int, n_trials: int) -> SimulatorSettings:
    """About n_trials / 3.4 minutes of signal; features do not depend on the rate."""
    return SimulatorSettings(
        montage="seed-62" if len(base.contract.modalities["eeg"].channels) == 62 else "muse",
        eeg_rate_hz=250.0,
        eye_rate_hz=60.0,
        rest_s=20.0,
        trial_s=15.0,
        pause_s=2.0,
        order="balanced",  # so many trials of each class
        n_trials=n_trials,
        seed=seed,
    )


def features_of(
    base: Base, settings: SimulatorSettings, person: int, visit: int, cache: Path
) -> SessionFeatures:
    """The features of a simulated session, kept on disk."""
    path = cache / f"{settings.seed}-{person}-{visit}.npz"
    if not path.exists():
        write_features(path, from_raw(simulated_segments(settings, person, visit), base.contract))
        print(f"features: person {person}, visit {visit}", file=sys.stderr, flush=True)
    return read_features(path)


def windows_of(session: SessionFeatures, base: Base, name: str) -> tuple[Windows, np.ndarray]:
    """A signal's windows inside trials, one a second, as `calibrate` finds them, and when they end."""
    window, spec = base.contract.window, base.contract.modalities[name]
    length_s, per_step = window.steps * window.step_s, window.blocks_per_step
    rows = normalised(session, name, spec, window, base.array(f"{name}.baseline.std"))
    good = session.usable[name] & ~np.isnan(rows).all(axis=1)
    features, trials, ends_s = [], [], []
    for number, trial in enumerate(session.trials):
        inside = (session.end_s <= trial.stop_s + 1e-6) & (session.end_s - length_s >= trial.start_s - 1e-6)
        for end in np.flatnonzero(inside)[::EVERY_HOPS]:
            steps = end - per_step * np.arange(window.steps - 1, -1, -1)
            if good[steps].all():
                features.append(rows[steps])
                trials.append(number)
                ends_s.append(session.end_s[end])
    return Windows(np.array(features, dtype=np.float64), np.array(trials)), np.array(ends_s)


def material_of(session: SessionFeatures, base: Base) -> Material:
    """Trials and windows, as `calibrate` finds them in the session's recording."""
    labels, classes = labels_of(session), base.contract.heads[HEAD].classes
    found = {name: windows_of(session, base, name)[0] for name in base.contract.modalities}
    return Material(HEAD, classes, labels, np.zeros(len(labels), dtype=np.int64), found)


def labels_of(session: SessionFeatures) -> np.ndarray:
    """The class of each trial."""
    return np.array([trial.labels[HEAD] for trial in session.trials])


def taught_figures(
    base: Base, first: SessionFeatures, later: SessionFeatures
) -> dict[str, tuple[float, float]]:
    """(base, model that a user would run) on a later visit, of a signal without labelled windows.

    The other signal has the first half of the trials; the second half passes for a live part, unlabelled.
    """
    labels, classes = labels_of(first), base.contract.heads[HEAD].classes
    half = len(labels) // 2
    seen = {name: windows_of(first, base, name) for name in base.contract.modalities}
    tests = make_problems(material_of(later, base), base)
    outside = {
        name: {0: Outside(ends_s[it.trials >= half], it.features[it.trials >= half])}
        for name, (it, ends_s) in seen.items()
    }
    figures = {}
    for teacher, learner in (("eeg", "eye"), ("eye", "eeg")):
        early = seen[teacher][0].trials < half
        windows = Windows(seen[teacher][0].features[early], seen[teacher][0].trials[early])
        material = Material(
            HEAD, classes, labels[:half], np.zeros(half, dtype=np.int64), {teacher: windows}, {}, outside
        )
        problems = make_problems(material, base)
        (verdict,) = decide(problems, material.labels).values()
        it = tests[learner].situation
        before = accuracy(scores(make("base", it), it), it)
        after = before
        if verdict.is_promoted and len(paired(material, teacher, learner)[0]) >= FEWEST_PAIRS:
            own = make(verdict.chosen, problems[teacher].situation)
            cool = held_out_temperature(problems[teacher], verdict.chosen, material)
            made, _ = taught_by(own, cool, base, material, teacher, learner)
            after = accuracy(scores(made, it), it)
        figures[f"{learner} taught by {teacher}"] = before, after
    return figures


def remembered(candidate: Candidate) -> Candidate:
    """A candidate that is fitted once for each set of training trials, whatever their labels are."""
    folds: dict[bytes, Fold] = {}

    def fold(train: np.ndarray) -> Fold:
        if train.tobytes() not in folds:
            folds[train.tobytes()] = candidate(train)
        return folds[train.tobytes()]

    return fold


def noise(
    base: Base, sessions: Mapping[int, SessionFeatures], draws: int, permutations: int
) -> tuple[int, int, int]:
    """(promoted, tried, better than the base model): each session with several draws of labels."""
    promoted, count, better = 0, 0, 0
    for person, session in sessions.items():
        material = material_of(session, base)
        problems = make_problems(material, base)
        tried = {
            name: {key: remembered(one) for key, one in candidates(problem.situation).items()}
            for name, problem in problems.items()
        }
        generator = np.random.default_rng([7, person])
        for draw in range(draws):
            # in every run of as many trials as classes each class once, as true labels are
            n_runs = len(material.labels) // 3
            labels = np.concatenate([generator.permutation(3) for _ in range(n_runs)])
            with_noise = {name: relabelled(problem, labels) for name, problem in problems.items()}
            # what is not clearly better than the base model is not promoted whatever its p is
            verdicts = decide(with_noise, labels, draw, permutations=1, tried=tried)
            if any(verdict.chosen != "base" and verdict.is_better for verdict in verdicts.values()):
                better += 1
                verdicts = decide(with_noise, labels, draw, permutations, tried=tried)
                promoted += any(verdict.is_promoted for verdict in verdicts.values())
            count += 1
        print(f"noise: {count} sessions, {promoted} promoted", file=sys.stderr, flush=True)
    return promoted, count, better


def relabelled(problem: Problem, labels: np.ndarray) -> Problem:
    """The same windows with other labels."""
    situation = Situation(**{**vars(problem.situation), "labels": labels[problem.kept]})
    return Problem(situation, problem.kept)


def later_figures(
    base: Base, first: SessionFeatures, later: SessionFeatures
) -> tuple[dict[str, Verdict], dict[str, tuple[float, float]]]:
    """Calibrate on one visit; on another one (base, model that a user would run) by signal."""
    material, judged = material_of(first, base), material_of(later, base)
    problems, tests = make_problems(material, base), make_problems(judged, base)
    verdicts = decide(problems, material.labels)
    probabilities: dict[str, list[np.ndarray]] = {"base": [], "run": []}
    figures = {}
    for name, verdict in verdicts.items():
        it, chosen = tests[name].situation, verdict.chosen if verdict.is_promoted else "base"
        own = make(chosen, problems[name].situation)
        cool = held_out_temperature(problems[name], verdict.chosen, material) if chosen != "base" else None
        logits = {"base": scores(make("base", it), it), "run": scores(own, it)}
        figures[name] = tuple(accuracy(logits[key], it) for key in ("base", "run"))
        for key, values in logits.items():
            temperature = cool if key == "run" and cool is not None else it.temperature
            probabilities[key].append(by_trial(softmax(values / temperature, axis=1), it, tests[name].kept))
    figures["both signals"] = tuple(joint(probabilities[key], judged.labels) for key in ("base", "run"))
    return verdicts, figures


def accuracy(logits: np.ndarray, it: Situation) -> float:
    """Balanced accuracy, trials alike."""
    right = logits.argmax(axis=1) == it.labels[it.trials]
    shares = np.bincount(it.trials, right) / np.bincount(it.trials)
    return float(balanced(shares, it.labels, it.n_classes))


def by_trial(probabilities: np.ndarray, it: Situation, kept: np.ndarray) -> dict[int, np.ndarray]:
    """Mean probabilities of each trial: the signals' windows need not be the same."""
    return {
        int(kept[trial]): probabilities[it.trials == trial].mean(axis=0) for trial in np.unique(it.trials)
    }


def joint(parts: list[dict[int, np.ndarray]], labels: np.ndarray) -> float:
    """Balanced accuracy over trials of the mean probabilities of the signals that have windows."""
    guesses = np.full(len(labels), -1)
    for trial in range(len(labels)):
        own = [part[trial] for part in parts if trial in part]
        guesses[trial] = np.mean(own, axis=0).argmax() if own else -1
    return float(balanced((guesses == labels).astype(float), labels, 3))


def mean_of(values: list[float]) -> str:
    """Mean and its 95 % interval over people, by bootstrap."""
    drawn = np.random.default_rng(0).choice(values, (10_000, len(values))).mean(axis=1)
    low, high = np.percentile(drawn, [2.5, 97.5])
    return f"{np.mean(values):+.3f} [{low:+.3f}, {high:+.3f}]"


def main(print_line: Callable[[str], None] = print) -> None:
    """Print both proofs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--cache", type=Path, required=True, help="folder for features")
    parser.add_argument("--people", type=int, default=20)
    parser.add_argument("--draws", type=int, default=10, help="draws of noise labels per person")
    parser.add_argument("--permutations", type=int, default=999)
    parser.add_argument("--trials", type=int, default=30)
    parser.add_argument("--seed", type=int, default=300, help="population; 0 trained the demo model")
    parser.add_argument("--model", default="demo-62ch-eye")
    options = parser.parse_args()
    options.cache.mkdir(parents=True, exist_ok=True)
    path = find_model(options.model)
    base = Base(path, *load_model_file(path))
    settings = settings_of(base, options.seed, options.trials)
    print_line(describe(machine()))
    print_line(f"{options.people} simulated people, {options.trials} trials of 15 s per visit")
    visits = {
        person: tuple(features_of(base, settings, person, visit, options.cache) for visit in (0, 1))
        for person in range(options.people)
    }
    begun_s = time.process_time()
    gains: dict[str, list[tuple[float, float]]] = {}
    taken: dict[str, list[str]] = {}
    of_promoted: dict[str, list[float]] = {}
    for first, later in visits.values():
        verdicts, figures = later_figures(base, first, later)
        for name, pair in {**figures, **taught_figures(base, first, later)}.items():
            gains.setdefault(name, []).append(pair)
        for name, verdict in verdicts.items():
            taken.setdefault(name, []).append(verdict.chosen if verdict.is_promoted else "none")
            if verdict.is_promoted:
                of_promoted.setdefault(name, []).append(figures[name][1] - figures[name][0])
    for name, pairs in gains.items():
        before, after = np.mean(pairs, axis=0)
        gain = mean_of([run - was for was, run in pairs])
        print_line(f"later visit, {name}: base {before:.3f}, run {after:.3f}, gain {gain}")
    for name, chosen in taken.items():
        counts = ", ".join(f"{key} {chosen.count(key)}" for key in dict.fromkeys(sorted(chosen)))
        print_line(f"promoted, {name}: {counts}")
        if own := of_promoted.get(name):
            worse = sum(gain < 0 for gain in own)
            print_line(f"of these {len(own)}: gain {mean_of(own)}, worse than the base model {worse}")
    print_line(f"{(time.process_time() - begun_s) / len(visits):.1f} CPU s per person")
    begun_s = time.process_time()
    sessions = {person: pair[0] for person, pair in visits.items()}
    promoted, tried, better = noise(base, sessions, options.draws, options.permutations)
    print_line(
        f"noise: {promoted} of {tried} sessions promoted ({promoted / tried:.1%}); "
        f"{better / tried:.1%} clearly better than the base model, chance aside"
    )
    print_line(f"{(time.process_time() - begun_s) / tried:.1f} CPU s per noise session")


if __name__ == "__main__":
    main()
