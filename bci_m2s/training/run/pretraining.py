"""``bci-m2s pretrain``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console

from bci_m2s.files.access import make_private_folder
from bci_m2s.training.check.training_file import Checked, count
from bci_m2s.training.data.prepare import UnitData
from bci_m2s.training.experiment import Experiment, open_experiment, write_json
from bci_m2s.training.methods import METHODS
from bci_m2s.training.methods.epochs import kept_epoch, last_epoch
from bci_m2s.training.methods.notes import mask_note
from bci_m2s.training.methods.pretrain import Job, pretrain
from bci_m2s.training.results.evaluation import identity_probe
from bci_m2s.training.results.report import write_curves
from bci_m2s.training.run.progress import bar, finetune_command

CHECKPOINT = "pretrain.safetensors"
PANELS = (
    ("total", "validation_contrastive", "contrastive", "cpc", "validation_cpc"),
    ("reconstruction", "validation_reconstruction"),
    ("vicreg", "validation_vicreg"),
    ("club_a", "club_b", "club_fit"),
    ("validation_matched", "validation_matched_chance", "club_at_ceiling"),
)


def run_pretrain(
    checked: Checked, folder: Path | None, console: Console, device: str, resume: bool
) -> None:
    """Pre-train every split and seed of a training file."""
    experiment = open_experiment(checked, folder, console, device=device, begin=not resume)
    names, settings = experiment.names, experiment.settings
    console.print(
        f"{experiment.name}: {count(len(names.subjects), 'person', 'people')}, "
        f"{count(len(names.sessions), 'session')}, {count(len(names.trials), 'trial')}; "
        f"{count(len(experiment.splits), 'split')} × {count(len(settings.seeds), 'seed')}, "
        f"on {experiment.device}"
    )
    methods = (settings.finetune.method, *settings.controls)
    following = finetune_command(experiment)
    if not any(METHODS[name].pretrained for name in methods):
        console.print(f"Nothing to pre-train for {', '.join(methods)}. Next: {following}", soft_wrap=True)
        return
    try:
        for data, seed, unit in experiment.units():
            make_private_folder(unit)
            pretrain_unit(experiment, experiment.job(seed), data, unit)
    except KeyboardInterrupt:
        again = f"bci-m2s pretrain {checked.path} --run {experiment.folder} --resume"
        console.print(f"Stopped. The last complete epoch is kept; continue with: {again}", soft_wrap=True)
        raise
    experiment.say_notes()
    console.print(f"Pre-trained: {experiment.folder}. Next: {following}", soft_wrap=True)


def pretrain_unit(experiment: Experiment, job: Job, data: UnitData, unit: Path) -> None:
    """Pre-train one split with one seed, from its checkpoint where there is one."""
    console, seed, epochs = experiment.console, job.seed, last_epoch(job.settings)
    title = f"{data.split.name} seed {seed}"
    with bar(console, title, epochs) as advance:

        def on_epoch(epoch: int, row: dict[str, float]) -> None:
            shown = ("total", "contrastive", "vicreg", "cpc", "reconstruction", "club_a", "club_b")
            losses = ", ".join(f"{name} {row[name]:.2f}" for name in shown if name in row)
            advance(epoch, losses)

        networks, rows = pretrain(
            job, data.parts["train"], data.parts["validation"], unit / CHECKPOINT, on_epoch=on_epoch
        )
    panels = PANELS if experiment.pictures else ()
    write_curves(unit / "pretrain", rows, f"{experiment.name}, {title}", panels)
    kept = kept_epoch(rows, job.settings)
    result = kept_words(rows, kept)
    probes = {}
    for name in job.pair:
        probe = identity_probe(networks[name], data.parts["train"], name)
        if probe is not None:
            probes[name] = {"accuracy": probe.accuracy, "chance": probe.chance}
            result += f"; person identified from {name} {probe.accuracy:.2f} (chance {probe.chance:.2f})"
    notes = [note] if (note := mask_note(job.settings, data.parts["train"])) else []
    about = {
        "seed": seed,
        "kept": kept,
        "last": rows[-1] if rows else {},
        "identity": probes,
        "notes": notes,
    }
    write_json(unit / "pretrain.json", about)
    console.print(f"{title}: {count(len(rows), 'epoch')}{result}")
    for note in notes:
        experiment.note(note, data.split.name)


def kept_words(rows: Sequence[Mapping[str, float]], kept: int) -> str:
    """What became of a pre-training, in words behind its number of epochs. kept : from 1, 0 for none"""
    if not rows:
        return ""
    row = rows[kept - 1]
    parts = [f"kept {kept}"] if kept < len(rows) else []
    parts += [f"{name} {row[name]:.2f}" for name in ("contrastive", "vicreg", "cpc") if name in row][:1]
    if "validation_matched" in row:
        chance = row["validation_matched_chance"]
        parts.append(f"unseen moments paired {row['validation_matched']:.3f} (chance {chance:.3f})")
    if share := row.get("club_at_ceiling", 0.0):
        parts.append(f"CLUB at its ceiling in {share:.0%} of the batches")
    return "".join(f", {part}" for part in parts)
