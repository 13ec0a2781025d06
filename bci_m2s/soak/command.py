"""``bci-m2s soak``: a session under faults drawn at random, for a given time."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from rich.console import Console
from rich.markup import escape

from bci_m2s.errors import UsageError, nearest
from bci_m2s.lsl.configuration import lsl_on_this_machine
from bci_m2s.review.verify import verify
from bci_m2s.session.setup.build import make_folder
from bci_m2s.session.terminal.view import make_console
from bci_m2s.soak.usage import Usage, growth_mib_per_h, measure

if TYPE_CHECKING:  # liblsl reads its configuration when it is imported
    from bci_m2s.soak.case import Case
    from bci_m2s.soak.rig import Rig

BROKEN_STATUS = 1
MODALITIES = ("cap", "ear")
SHARED_EVERY = 6  # rounds
NO_FAULTS = "none"
QUIET_S = 5.0  # between two measurements of a session without faults
RESTART_WEIGHT = 6.0  # restarted senders are the main purpose of a soak
ONCE = ("huge marker",)  # liblsl keeps the memory of each text in its pool of samples, 5 MB every time
LONGEST_SILENCE_S = 1.0  # between estimates, while one of three sensors has no faults
MOST_GROWTH_MIB_PER_H = 2.0
GROWTH_AFTER_S = 7200.0  # a shorter run is warm-up: each kind of fault may enlarge some pool
MOST_NEW_THREADS = 4  # liblsl queries the network with short-lived threads
MOST_NEW_DESCRIPTORS = 8


@dataclass(slots=True)
class Results:
    """The results of a soak so far."""

    outcomes: list[Case] = field(default_factory=list)
    usages: list[Usage] = field(default_factory=list)
    longest_s: float = 0.0
    oldest_s: float = 0.0
    broken: list[str] = field(default_factory=list)


def run_soak(
    minutes: float,
    seed: int,
    output: Path | None = None,
    patience: float = 1.0,
    faults: str = "",
) -> int:
    """Run faults against a session of three modalities; print each, and the accounts at the end.

    Parameters
    ----------
    minutes : duration without the start and the end
    seed : of the faults and of the senders' noise
    output : new folder for the recording; None deletes it at the end
    patience : factor on the promised times, for a busy machine
    faults : of these kinds alone, see ``parse_kinds``

    Returns
    -------
    int
        0, or 1 when a promise was not kept.

    Raises
    ------
    UsageError
        There is no fault of such a name.
    """
    console = make_console()
    with lsl_on_this_machine():
        from bci_m2s.soak.rig import Rig

        deck = Deck(np.random.default_rng(seed), parse_kinds(faults))
        with _folder(output) as folder:
            console.print(
                f"soak: {minutes:g} min, seed {seed}, patience {patience:g}, recording in {folder}"
            )
            with Rig(folder, MODALITIES, "fused", seed, patience) as rig:
                results = soak(rig, 60 * minutes, deck, console)
                started_s = time.monotonic()
                rig.finish()
                console.print(f"stopped in {time.monotonic() - started_s:.2f} s")
            return report(console, rig, results)


@contextmanager
def _folder(output: Path | None) -> Iterator[Path]:
    if output is not None:
        yield make_folder(output)
        return
    with tempfile.TemporaryDirectory(prefix="bci_m2s-soak-") as name:
        yield Path(name)


def parse_kinds(text: str) -> tuple[str, ...] | None:
    """Names of faults, separated by commas; "" means all (None), ``NO_FAULTS`` none. Raises UsageError."""
    from bci_m2s.soak.faults import FAULTS, SHARED_FAULTS

    if text in ("", NO_FAULTS):
        return () if text else None
    kinds, known = tuple(name.strip() for name in text.split(",")), (*FAULTS, *SHARED_FAULTS)
    for name in kinds:
        if name not in known:
            raise UsageError(f"--faults: got {name!r}{nearest(name, known)}")
    return kinds


def soak(rig: Rig, seconds: float, deck: Deck, console: Console) -> Results:
    """Draw and run faults until the time is over, one at a time per modality."""
    results, started_s, number = Results(), time.monotonic(), 0
    results.usages.append(measure(0.0))
    while time.monotonic() - started_s < seconds:
        number += 1
        rig.watch.restart_longest(rig.now_s())
        shared = deck.is_shared(number)
        if deck.is_empty:
            time.sleep(QUIET_S)
        for outcome in _round(rig, deck, shared):
            results.outcomes.append(outcome)
            style = "red" if outcome.broken else None
            console.print(
                f"{time.monotonic() - started_s:6.1f} s  {escape(outcome.describe())}",
                style=style,
                soft_wrap=True,
            )
        if not shared:
            results.longest_s = max(results.longest_s, rig.watch.longest_s)
            results.oldest_s = max(results.oldest_s, rig.watch.oldest_s)
        results.usages.append(measure(time.monotonic() - started_s))
    return results


class Deck:
    """Draws faults: every kind once, then by weight. kinds : names to draw from; None for all"""

    def __init__(self, rng: np.random.Generator, kinds: Sequence[str] | None = None) -> None:
        from bci_m2s.soak.faults import FAULTS, SHARED_FAULTS

        self._rng = rng
        self._kinds = {
            shared: [name for name in every if kinds is None or name in kinds]
            for shared, every in ((False, FAULTS), (True, SHARED_FAULTS))
        }
        self._new = {shared: list(rng.permutation(names)) for shared, names in self._kinds.items()}

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to draw."""
        return not any(self._kinds.values())

    def is_shared(self, number: int) -> bool:
        """Whether round `number`, from 1 on, has a fault of the whole session."""
        return bool(self._kinds[True]) and (number % SHARED_EVERY == 0 or not self._kinds[False])

    def draw(self, shared: bool) -> tuple[str, np.random.Generator]:
        """A fault's name, and the generator for its own draws."""
        (own,) = self._rng.spawn(1)
        if self._new[shared]:
            return str(self._new[shared].pop()), own
        names = self._kinds[shared]
        restarts = np.array([name.startswith("killed") for name in names])
        again = [name not in ONCE or len(names) == 1 for name in names]
        weights = np.where(restarts, RESTART_WEIGHT, 1.0) * again
        return str(self._rng.choice(names, p=weights / weights.sum())), own


def _round(rig: Rig, deck: Deck, shared: bool) -> Sequence[Case]:
    """One shared fault, or one for every modality at once; nothing where there is none to draw."""
    from bci_m2s.soak.faults import run_fault

    if deck.is_empty:
        return []
    if shared:
        name, rng = deck.draw(True)
        return [run_fault(rig, name, rig.modalities[0], rng)]
    drawn = [deck.draw(False) for _ in rig.modalities]
    with ThreadPoolExecutor(len(drawn)) as pool:
        return list(
            pool.map(lambda fault, of: run_fault(rig, fault[0], of, fault[1]), drawn, rig.modalities)
        )


# ---- the end ----


def report(console: Console, rig: Rig, results: Results) -> int:
    """Print faults, samples, growth and replay of a finished rig; 1 when a promise was broken, else 0."""
    _report_faults(console, results)
    _report_samples(console, rig, results)
    _report_usage(console, rig, results)
    _report_replay(console, rig, results)
    return _verdict(console, results.broken)


def _verdict(console: Console, broken: Sequence[str]) -> int:
    for promise in broken:
        console.print(f"BROKEN: {escape(promise)}", style="bold red", soft_wrap=True)
    console.print("promises broken" if broken else "every promise was kept")
    return BROKEN_STATUS if broken else 0


def _report_faults(console: Console, results: Results) -> None:
    outcomes = results.outcomes
    for outcome in outcomes:
        results.broken += [f"{outcome.name} ({outcome.modality}): {promise}" for promise in outcome.broken]
    kinds = sorted({outcome.name for outcome in outcomes})
    console.print(f"\n{len(outcomes)} faults of {len(kinds)} kinds")
    for fault in kinds:
        same = [outcome for outcome in outcomes if outcome.name == fault]
        noticed = _times([outcome.detected_s for outcome in same])
        back = _times([outcome.back_s for outcome in same])
        console.print(f"  {len(same):4d}  {fault:36s} noticed {noticed}, back {back}", soft_wrap=True)
    console.print(
        f"  all: noticed {_times([outcome.detected_s for outcome in outcomes])}, "
        f"back {_times([outcome.back_s for outcome in outcomes])}"
    )


def _times(seconds: Sequence[float]) -> str:
    known = np.array([time_s for time_s in seconds if np.isfinite(time_s)])
    if not len(known):
        return "–"
    p50, p95 = np.percentile(known, [50, 95])
    return f"p50 {p50:.2f} p95 {p95:.2f} max {known.max():.2f} s"


def _report_samples(console: Console, rig: Rig, results: Results) -> None:
    from bci_m2s.soak.accounts import settle_accounts

    lost = rig.recorder.state().lost_samples
    accounts = settle_accounts(rig.path, rig.sent)
    console.print(f"recorder loss: {lost} samples")
    for account in accounts:
        console.print(f"  {account.describe()}", soft_wrap=True)
        results.broken += account.broken
    if lost:
        results.broken.append(f"recorder: {lost} samples lost, expected 0")
    if rig.engine.failure is not None:
        results.broken.append(f"engine: {rig.engine.failure}")
    missing = sum(account.in_gaps + account.outside for account in accounts)
    inside = sum(account.in_gaps for account in accounts)
    recorded = sum(account.recorded for account in accounts)
    reconnects = sum(len(sender.sent.pushed) for sender in rig.senders.values())
    console.print(
        f"{recorded} samples recorded, {missing} missing across outages, "
        f"{inside} of these inside logged gaps; reconnects: {reconnects}"
    )


def _report_usage(console: Console, rig: Rig, results: Results) -> None:
    first, last = results.usages[0], results.usages[-1]
    growth = growth_mib_per_h(results.usages)
    console.print(f"at first {first.describe()}; at last {last.describe()}")
    console.print(f"memory: {growth:+.2f} MiB/h after warm-up, over {last.at_s / 60:.1f} min")
    console.print(
        f"estimates: {rig.watch.judged}, skipped windows {rig.engine.skipped}; with one sensor sound, the "
        f"longest time between two {results.longest_s:.2f} s, the oldest {results.oldest_s:.2f} s old",
        soft_wrap=True,
    )
    if results.longest_s > LONGEST_SILENCE_S * rig.patience:
        results.broken.append(f"no estimate for {results.longest_s:.2f} s although one sensor was sound")
    if last.at_s >= GROWTH_AFTER_S and growth > MOST_GROWTH_MIB_PER_H:
        results.broken.append(
            f"memory grows by {growth:.1f} MiB/h, expected at most {MOST_GROWTH_MIB_PER_H:g}"
        )
    results.broken += _growth(first, last)


def _growth(first: Usage, last: Usage) -> list[str]:
    """Growth beyond the limits; unknown figures do not count."""
    grown = []
    if last.threads > first.threads + MOST_NEW_THREADS:
        grown.append(f"threads: {first.threads:g} at first, {last.threads:g} at last")
    if last.descriptors > first.descriptors + MOST_NEW_DESCRIPTORS:
        grown.append(f"descriptors: {first.descriptors:g} at first, {last.descriptors:g} at last")
    return grown


def _report_replay(console: Console, rig: Rig, results: Results) -> None:
    result = verify(rig.path)
    console.print(
        f"verify: {sum(result.equal.values())} lines are reproduced bit for bit, "
        f"{result.made} of them estimates"
    )
    if result.first is not None:
        results.broken.append(f"verify: {result.first.describe()}")
    if not result.made:
        results.broken.append("verify: no estimate to compare with")


def run_reconnects(count: int, seed: int, output: Path | None = None, senders: int = 6) -> int:
    """Restart several senders `count` times in total while they are recorded; print what grew.

    Parameters and result as of ``run_soak``; senders : their number
    """
    console = make_console()
    with lsl_on_this_machine(), _folder(output) as folder:
        from bci_m2s.soak.reconnects import Reconnects

        test = Reconnects(folder, senders, seed)
        accounts = test.run(count, console)
    for account in accounts:
        console.print(f"  {account.describe()}", soft_wrap=True)
        test.broken += account.broken
    first, last = test.usages[0], test.usages[-1]
    console.print(
        f"{len(test.back_s)} reconnects in {last.at_s:.0f} s, back {_times(test.back_s)}; "
        f"{test.unseen} senders were not found and were started again"
    )
    console.print(f"at first {first.describe()}; at last {last.describe()}")
    return _verdict(console, [*test.broken, *_growth(first, last)])
