"""``bci-m2s evaluate``: every direction and control on the trials that were kept out of training."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from rich.console import Console

from bci_m2s.training.check.second_set import Second
from bci_m2s.training.check.training_file import Checked
from bci_m2s.training.data.prepare import UnitData
from bci_m2s.training.data.second_set import folder_on, load_second
from bci_m2s.training.experiment import Experiment, open_experiment
from bci_m2s.training.methods import METHODS, Method, NotPossible
from bci_m2s.training.methods.model_files import file_names
from bci_m2s.training.methods.permuted import Begun
from bci_m2s.training.results.beside import read_beside
from bci_m2s.training.results.evaluation import (
    EvaluationSetup,
    Result,
    evaluate_files,
)
from bci_m2s.training.results.means import SeedMeans, are_averaged, beside_their_methods, why_not_averaged
from bci_m2s.training.results.protocol import meant_to_test, people_of, protocol
from bci_m2s.training.results.report import ResultsOf, write_results
from bci_m2s.training.results.summary import (
    Difference,
    Summary,
    differences,
    not_counted,
    one_class_lines,
    summarise,
)
from bci_m2s.training.results.tables import by_method, difference_table, explained, table
from bci_m2s.training.run.live_model import live_model
from bci_m2s.training.run.progress import bar, finetune_command, has_live_model, say_how_to_run
from bci_m2s.training.run.raw_features import RawFeatures
from bci_m2s.training.run.units import check_finetuned, start
from bci_m2s.training.run.without_files import judge, judge_permuted, judge_raw
from bci_m2s.training.settings import TrainingSettings


@dataclass
class _Found:
    """What all splits and seeds gave.

    people : head → who had windows, by part, of each split
    not_possible : method → why, and in which splits
    """

    raw: RawFeatures
    results: list[Result] = field(default_factory=list)
    people: dict[str, list[dict[str, list[str]]]] = field(default_factory=dict)
    not_possible: dict[str, tuple[str, list[str]]] = field(default_factory=dict)
    means: SeedMeans | None = None

    def why_not(self) -> list[str]:
        """A line for each method that could not be tried, with the splits where it is not all of them."""
        lines, splits = [], max(map(len, self.people.values()), default=0)
        for name, (why, where) in self.not_possible.items():
            some = f" in {', '.join(where)}" if len(where) < splits else ""
            lines.append(f"{name}: not possible{some}: {why}.")
        return lines

    def note_people(self, data: UnitData) -> None:
        for head in data.settings.contract.heads:
            self.people.setdefault(head, []).append(people_of(data, head))


def run_evaluate(
    checked: Checked,
    folder: Path | None,
    console: Console,
    beside: Sequence[Path] = (),
    on: Second | None = None,
) -> None:
    """All directions and controls on the test windows of every split and seed.

    Parameters
    ----------
    beside : folders of other runs with the same people in every split, whose methods are rivals too
    on : other data, whose people all test in place of the test people of the splits
    """
    experiment = open_experiment(checked, folder, console, device="cpu")
    settings, results = experiment.settings, experiment.folder
    if on is not None:
        second = load_second(on, settings.contract, experiment.folder / "features", console)
        experiment = replace(experiment, second=second)
        results = experiment.folder / folder_on(on.path)
    others = [
        read_beside(
            run, experiment.every_split(), settings.contract.heads, results.relative_to(experiment.folder)
        )
        for run in beside
    ]
    found = _Found(RawFeatures(settings, experiment.folder / "features", console, experiment.second))
    if are_averaged(settings):
        found.means = SeedMeans(settings.seeds)
    crosses = METHODS[settings.finetune.method].crosses(settings.finetune.freeze)
    with bar(console, "evaluating", len(experiment.splits) * len(settings.seeds)) as advance:
        for number, (data, seed, unit) in enumerate(experiment.units()):
            title = f"{data.split.name} seed {seed}"
            if METHODS[settings.finetune.method].fit is not None:
                for name in file_names(settings.pair, crosses=crosses):
                    check_finetuned(experiment, unit / name)
            if seed == settings.seeds[0]:
                found.note_people(data)

            def notify(what: str, number: int = number, title: str = title) -> None:
                advance(number, f"{title}: {what}")

            _evaluate_unit(experiment, data, seed, unit, found, notify)
    experiment.say_notes()
    found.results += [result for results in others for result in results]
    if found.means is not None:
        found.results = beside_their_methods([*found.results, *found.means.done])
    summaries = summarise(found.results, settings.finetune.method)
    compared = differences(found.results, settings.finetune.method)
    lines = {
        head: [
            *protocol(
                settings,
                head,
                found.people[head],
                meant_to_test(experiment.splits, experiment.second),
                not_counted(found.results, head),
                experiment.second,
            ),
            *one_class_lines(found.results, head),
            *why_not_averaged(settings),
            *found.why_not(),
        ]
        for head in settings.contract.heads
    }
    title = experiment.name if on is None else f"{experiment.name} on {on.path.stem}"
    method, classes = settings.finetune.method, settings.contract.class_names
    of = ResultsOf(title, method, classes, settings.seeds, checked.pictures)
    write_results(results, of, found.results, summaries, compared, lines)
    for head in settings.contract.heads:
        _print_head(experiment, of, head, summaries, compared, lines[head])
    console.print(f"Results: {results / 'results.md'}", soft_wrap=True)
    if on is not None:
        return
    if model := live_model(experiment):
        say_how_to_run(experiment, model)
    elif has_live_model(experiment):
        one = finetune_command(experiment)
        console.print(f"Next: one model to run live: {one}", soft_wrap=True)


def _print_head(
    experiment: Experiment,
    of: ResultsOf,
    head: str,
    summaries: Sequence[Summary],
    compared: Sequence[Difference],
    lines: Sequence[str],
) -> None:
    console, settings = experiment.console, experiment.settings
    of_head = [summary for summary in summaries if summary.head == head]
    differing = [one for one in compared if one.head == head]
    console.print(table(of_head, f"{of.title}: {head}"))
    for title, of_method in by_method(differing).items():
        console.print(difference_table(of_method, title))
    for line in (*explained(of_head, differing), *lines):
        console.print(line, markup=False)
    for summary in of_head:
        if summary.method == settings.finetune.method:
            counts = zip(settings.contract.heads[head].classes, summary.support, strict=True)
            console.print(
                f"{summary.direction}: test windows {', '.join(f'{name} {n}' for name, n in counts)}; "
                f"confusion (rows truth) {summary.confusion}"
            )


def _evaluate_unit(
    experiment: Experiment,
    data: UnitData,
    seed: int,
    unit: Path,
    found: _Found,
    notify: Callable[[str], None],
) -> None:
    """The method and every control of one split with one seed."""
    settings = experiment.settings
    job, test = experiment.job(seed), data.parts["test"]
    setups = [
        EvaluationSetup(data.split.name, seed, head, len(spec.classes), data.names.subjects, found.means)
        for head, spec in settings.contract.heads.items()
    ]
    own: Method = METHODS[settings.finetune.method]
    crosses = own.crosses(settings.finetune.freeze)
    notify(settings.finetune.method)
    for setup in setups if own.fit is not None else []:
        judged = evaluate_files(setup, unit, settings.pair, test, settings.finetune.method, crosses=crosses)
        if experiment.second is not None:  # the oracle of a model file is of its own test people
            judged = [replace(result, oracle=None) for result in judged]
        found.results += judged
    without_files = [settings.finetune.method] if own.fit is None else []
    for name in (*without_files, *settings.controls):
        method: Method = METHODS[name]
        if not (method.draws or seed == settings.seeds[0] or are_others(settings)):
            continue
        begun = Begun(data, lambda: start(experiment, job, unit), settings.finetune)
        try:
            if method.permutes:
                found.results += judge_permuted(experiment, job, begun, name, setups, notify)
            elif method.feature:
                notify(name)
                found.results += judge_raw(experiment, job, data, name, setups, found.raw)
            else:
                notify(name)
                found.results += judge(experiment, job, begun, name, setups)
        except NotPossible as problem:
            _, where = found.not_possible.setdefault(name, (str(problem), []))
            if data.split.name not in where:
                where.append(data.split.name)


def are_others(settings: TrainingSettings) -> bool:
    """Whether each seed has other people's labels or validation people, for what draws nothing itself."""
    drawn = settings.labels.draw or settings.finetune.trials_per_class > 0
    return drawn or settings.split.validation_by_seed
