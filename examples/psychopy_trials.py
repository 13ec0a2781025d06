"""Trials whose marks bci_m2s understands, with the estimate read back; in PsychoPy, or without it.

    python psychopy_trials.py --classes negative,neutral,positive --trials 4

Start ``bci-m2s run`` or ``bci-m2s record`` first: what is marked before anybody listens is lost. Replace
``show`` by what your participants see and hear. Needs pylsl; PsychoPy is used where it is installed.
"""

from __future__ import annotations

import argparse
import random
import time

import pylsl

LISTENERS_S = 60.0  # how long to wait for a recorder


class Screen:
    """A PsychoPy window, or the terminal where PsychoPy is not installed."""

    def __init__(self) -> None:
        try:
            from psychopy import visual
        except ImportError:
            self._window = None
        else:
            self._window = visual.Window(fullscr=True, color="black")
            self._text = visual.TextStim(self._window, height=0.1)

    def show(self, words: str, seconds: float) -> None:
        """Show words for some seconds."""
        if self._window is None:
            print(words, flush=True)
        else:
            self._text.text = words
            self._text.draw()
            self._window.flip()
        time.sleep(seconds)


class Estimates:
    """The newest estimate of a running bci_m2s session; None while there is none."""

    def __init__(self) -> None:
        found = pylsl.resolve_byprop("type", "Emotion", timeout=5)
        self._inlet = pylsl.StreamInlet(found[0], max_buflen=10) if found else None
        self._labels = self._inlet.info().get_channel_labels() if self._inlet else []

    def newest(self) -> dict[str, float] | None:
        """The newest sample by label: a probability per class, confidence, age, status, unknown."""
        if self._inlet is None:
            return None
        samples, _ = self._inlet.pull_chunk(max_samples=1024)
        estimate = dict(zip(self._labels, samples[-1], strict=True)) if samples else None
        return estimate if estimate and estimate["status"] == 0 and not estimate["unknown"] else None


def balanced(classes: list[str], trials: int, seed: int) -> list[str]:
    """Each class `trials` times, in shuffled blocks of one of each: no class comes early or late."""
    generator = random.Random(seed)
    return [label for _ in range(trials) for label in generator.sample(classes, len(classes))]


def run(options: argparse.Namespace) -> None:
    """Rest, then trials; every part is marked when it begins and when it ends."""
    info = pylsl.StreamInfo("trials", "Markers", 1, 0, "string", "psychopy-trials")
    markers = pylsl.StreamOutlet(info)
    screen, estimates = Screen(), Estimates()
    if not markers.wait_for_consumers(LISTENERS_S):
        raise SystemExit("nobody records: start bci-m2s first")

    def part(name: str, words: str, seconds: float, label: str = "") -> None:
        markers.push_sample([f"{name}/start{label and '/' + label}"])
        screen.show(words, seconds)
        markers.push_sample([f"{name}/stop{label and '/' + label}"])

    part("baseline", "Please rest and look at the middle.", options.rest)
    for label in balanced(options.classes, options.trials, options.seed):
        screen.show("+", options.pause)
        part("trial", label, options.seconds, label)
        estimate = estimates.newest()
        if estimate is not None:  # adapt what comes next to it, or only log it
            shares = {name: round(estimate[name], 2) for name in options.classes if name in estimate}
            screen.show(f"estimate: {shares}", 0.5)
    screen.show("Thank you.", 1.0)


def main() -> None:
    """Read the options and run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--classes", type=lambda text: text.split(","), default="negative,neutral,positive")
    parser.add_argument("--trials", type=int, default=4, help="of each class")
    parser.add_argument("--seconds", type=float, default=20.0, help="of a trial")
    parser.add_argument(
        "--rest", type=float, default=70.0, help="seconds of rest first: the model's baseline, and some"
    )
    parser.add_argument("--pause", type=float, default=3.0)
    parser.add_argument("--seed", type=int, default=0, help="of the order; a new one for each person")
    run(parser.parse_args())


if __name__ == "__main__":
    main()
