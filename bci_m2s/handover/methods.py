"""The paragraph for a paper's methods section, with the session's numbers, and the contract in words."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np

from bci_m2s.handover.marks import rating_scales
from bci_m2s.handover.summary import Summary
from bci_m2s.handover.votes import Votes
from bci_m2s.model.contract import ModalityContract
from bci_m2s.review.draw_signals import unit_of
from bci_m2s.review.facts import RecordingStream
from bci_m2s.text import modality_name


def methods_paragraph(found: Summary) -> str:
    """What was done, in the past tense; only what is known of this session."""
    parts = [_software(found), *_streams(found), *_model(found), *_answers(found), *_trials(found)]
    return " ".join(parts)


def contract_rows(found: Summary) -> list[tuple[str, str]]:
    """What the model demands and is, by name."""
    session, contract = found.facts.session, found.contract
    if session is None or session.model is None:
        return []
    model = session.model
    rows = [("model", model.name), ("file", model.file), ("sha256", model.sha256)]
    rows.append(("trained on", "simulated people" if model.simulated else "real recordings"))
    rows += [("pipeline", session.pipeline.file), ("pipeline: modality", session.pipeline.modality)]
    threshold = session.pipeline.values().get("unknown_below")
    if threshold is not None:
        rows.append(
            ("pipeline: unknown below", f"{_short(threshold)}, instead of the model's own thresholds")
        )
    rows += [(f"head {head}", ", ".join(classes)) for head, classes in session.heads.items()]
    if contract is None:
        return rows
    if contract.description:
        rows.append(("description", contract.description))
    window = contract.window
    rows.append(
        ("window", f"{window.steps} steps of {window.step_s:g} s, a new estimate every {window.hop_s:g} s")
    )
    for name, spec in contract.modalities.items():
        rows += _modality_rows(name, spec)
    for key in ("data", "subjects", "split", "seed", "selection", "recipe"):
        if key in contract.training:
            rows.append((f"training: {key}", _short(contract.training[key])))
    return rows


def _modality_rows(name: str, spec: ModalityContract) -> list[tuple[str, str]]:
    title = modality_name(name)
    stated = [f"{head} below {one.unknown_below:.2f}" for head, one in spec.calibration.items()]
    return [
        (
            f"{title}: stream",
            f"{len(spec.channels)} channels, {spec.rate_min_hz:g} to {spec.rate_max_hz:g} Hz, "
            f"{_reference(spec)}",
        ),
        (
            f"{title}: features",
            f"{spec.feature.name}, {spec.feature.n_features} per step {_short(spec.feature.params)}",
        ),
        (f"{title}: normaliser", f"{spec.normaliser.name} {_short(spec.normaliser.params)}"),
        (
            f"{title}: missing features",
            f"at most {100 * spec.max_missing:.0f} % replaced by the training mean",
        ),
        (f"{title}: unknown", ", ".join(stated) or "never"),
    ]


def _reference(spec: ModalityContract) -> str:
    stated = spec.reference
    return f"reference: {stated if isinstance(stated, str) else ', '.join(stated)}"


def _short(value: object) -> str:
    return "" if value in ({}, None) else str(value)


def _software(found: Summary) -> str:
    session = found.facts.session
    if session is None:
        return "The recording holds no description of a session."
    names = {"python": "Python", "numpy": "NumPy", "scipy": "SciPy", "torch": "PyTorch", "liblsl": "liblsl"}
    versions = [f"{names[key]} {session.versions[key]}" for key in names if session.versions.get(key)]
    made_up = found.facts.simulated
    first = f"This session was simulated ({' and '.join(made_up)}). " if made_up else ""
    return (
        f"{first}Signals were received over Lab Streaming Layer and processed with bci_m2s "
        f"{session.bci_m2s} "
        f"({', '.join(versions)}); the recording lasted {_minutes(found.facts.end_s)}."
    )


def _streams(found: Summary) -> list[str]:
    texts = []
    named = found.modalities or {
        one.info.type or one.info.name: one
        for one in found.facts.raw_streams
        if one.is_regular and one.n_samples
    }
    for name, stream in named.items():
        info, lost = stream.info, ""
        if len(stream.gaps):
            lost = f"; {stream.lost_s:.1f} s were lost in {_count(len(stream.gaps), 'gap')}"
        reference = f", referenced to {info.reference}" if info.reference else ""
        unit = _units(stream)
        text = (
            f"{modality_name(name)[:1].upper()}{modality_name(name)[1:]} ({info.name}) was recorded from "
            f"{_count(info.n_channels, 'channel')}{unit} at {info.rate_hz:g} Hz "
            f"(measured: {stream.rate_hz:.2f} Hz){reference}{lost}."
        )
        if found.facts.answers and name in found.bad:
            share = 100 * found.bad_share(name)
            text += f" Channels were bad (lost, flat, railed or noisy) in {share:.1f} % of channel time."
        texts.append(text)
    return texts


def _units(stream: RecordingStream) -> str:
    units = dict.fromkeys(unit_of(stream, channel) for channel in range(min(stream.info.n_channels, 64)))
    known = [unit for unit in units if unit not in ("unit unknown", "normalized")]
    return f" in {' and '.join(known)}" if known else ""


def _model(found: Summary) -> list[str]:
    session, contract = found.facts.session, found.contract
    if session is None or session.model is None:
        return ["No model ran."]
    model = session.model
    heads = "; ".join(f"{head}: {', '.join(classes)}" for head, classes in session.heads.items())
    trained = "simulated people" if model.simulated else "recordings of people"
    texts = [
        f"Estimates were made by the model {model.name!r} (SHA-256 {model.sha256[:12]}…; {heads}), trained "
        f"on {trained}."
    ]
    if contract is None:
        return texts
    window, used = contract.window, [name for name in contract.modalities if name in found.modalities]
    features = [_features(name, contract.modalities[name]) for name in used]
    texts.append(
        f"Each estimate rested on {window.steps} steps of {window.step_s:g} s; a new one was due "
        f"every {window.hop_s:g} s. Features ({'; '.join(features)}) came from causal filters only."
    )
    return texts


def _features(name: str, spec: ModalityContract) -> str:
    return f"{modality_name(name)}: {spec.feature.name}, normalised by {spec.normaliser.name}"


def _answers(found: Summary) -> list[str]:
    texts = []
    for name, answers in found.lines:
        made, unknown = answers.made, answers.made & answers.unknown
        texts.append(
            f"For {name} there were {_count(int(made.sum()), 'estimate')}, {int(unknown.sum())} of them "
            f"below the model's threshold (unknown), and {int((~made).sum())} times none."
        )
    if found.ages is not None:
        median, high, _ = found.ages.percentiles_ms("age")
        texts.append(
            f"The newest sample was {median:.0f} ms old when an estimate was published (median; 95th "
            f"percentile {high:.0f} ms)."
        )
    return texts


def _trials(found: Summary) -> list[str]:
    if not found.labelled:
        return []
    counts = Counter(trial.label for trial in found.labelled)
    length_s = float(np.median([trial.stop_s - trial.start_s for trial in found.labelled]))
    listed = ", ".join(f"{label} {count}" for label, count in counts.items())
    n_trials = _count(len(found.labelled), "labelled trial")
    texts = [f"{n_trials} counted ({listed}; median length {length_s:.1f} s)."]
    if why := Counter(trial.excluded for trial in found.trials if trial.excluded):
        texts.append(f"Excluded: {', '.join(f'{reason} {count}' for reason, count in why.items())}.")
    if scales := rating_scales(found.trials):
        texts.append(f"After each trial the participant answered on {', '.join(scales)}.")
    return texts + [_agreement(votes) for votes in found.votes if len(votes.truth)]


def _agreement(votes: Votes) -> str:
    n, (low, high) = len(votes.truth), votes.interval
    enough = f"{votes.needed} right are needed" if votes.needed <= n else "no number right would suffice"
    return (
        f"For {votes.line}, {votes.n_right} of {_count(n, 'trial')} were answered as labelled "
        f"({100 * votes.n_right / n:.0f} %, 95 % interval {100 * low:.0f} to {100 * high:.0f} %; chance "
        f"{100 * votes.chance:.0f} %; {enough} for p ≤ 0.05, binomial over trials)."
    )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _minutes(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 or math.isnan(seconds) else f"{seconds / 60:.1f} min"
