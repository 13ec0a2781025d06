"""The paragraph for a paper's methods section, with the session's numbers, and the contract in words."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from bci_m2s.handover.drifts import drifted_in
from bci_m2s.handover.marks import rating_scales
from bci_m2s.handover.summary import Summary, bad_shares
from bci_m2s.handover.votes import Votes
from bci_m2s.handover.whole import Whole
from bci_m2s.model.contract import ModalityContract
from bci_m2s.review.draw_signals import UNKNOWN_UNIT, unit_of
from bci_m2s.review.facts import RecordingStream
from bci_m2s.text import modality_name


def methods_paragraph(whole: Whole) -> str:
    """What was done, in the past tense; only what is known of this session, in all of its takes."""
    parts = [_software(whole), *_streams(whole), *_model(whole), *_answers(whole), *_trials(whole)]
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


def _software(whole: Whole) -> str:
    sessions = [take.facts.session for take in whole.takes if take.facts.session is not None]
    if not sessions:
        return "The recording holds no description of a session."
    names = {"python": "Python", "numpy": "NumPy", "scipy": "SciPy", "torch": "PyTorch", "liblsl": "liblsl"}
    listed = {key: _each(session.versions.get(key, "") for session in sessions) for key in names}
    versions = [f"{names[key]} {version}" for key, version in listed.items() if version]
    first = f"This session was simulated ({' and '.join(whole.simulated)}). " if whole.simulated else ""
    n_takes = len(whole.takes) + len(whole.unread)
    takes = f" in {n_takes} takes" if n_takes > 1 else ""
    return (
        f"{first}Signals were received over Lab Streaming Layer and processed with bci_m2s "
        f"{_each(session.bci_m2s for session in sessions)} "
        f"({', '.join(versions)}); the recording lasted {_minutes(whole.length_s)}{takes}."
    )


def _each(texts: Iterable[str]) -> str:
    """What takes say, each text once."""
    return " and ".join(dict.fromkeys(text for text in texts if text))


def _streams(whole: Whole) -> list[str]:
    alike: dict[tuple[object, ...], list[RecordingStream]] = {}
    for take in whole.takes:
        named = take.modalities or {
            one.info.type or one.info.name: one
            for one in take.facts.raw_streams
            if one.is_regular and one.n_samples
        }
        for name, stream in named.items():
            info = stream.info
            key = (name, info.name, info.labels, info.rate_hz, info.reference)
            alike.setdefault(key, []).append(stream)
    shares = bad_shares(whole.takes)
    return [_stream(str(key[0]), streams, shares) for key, streams in alike.items()]


def _stream(name: str, streams: Sequence[RecordingStream], shares: Mapping[str, float]) -> str:
    """One stream, as all takes have it."""
    info, lost = streams[0].info, ""
    if n_gaps := sum(len(stream.gaps) for stream in streams):
        lost = f"; {sum(stream.gaps_s for stream in streams):.1f} s were lost in {_count(n_gaps, 'gap')}"
    if early_s := sum(stream.early_s for stream in streams):
        lost += f"; it ended before the recording did, and {early_s:.1f} s are missing there"
    reference = f", referenced to {info.reference}" if info.reference else ""
    rates = _each(f"{stream.rate_hz:.2f}" for stream in streams)
    text = (
        f"{modality_name(name)[:1].upper()}{modality_name(name)[1:]} ({info.name}) was recorded from "
        f"{_count(info.n_channels, 'channel')}{_units(streams[0])} at {info.rate_hz:g} Hz "
        f"(measured: {rates} Hz){reference}{lost}."
    )
    if name in shares:
        share = 100 * shares[name]
        text += f" Channels were bad (lost, flat, railed or noisy) in {share:.1f} % of channel time."
    return text


def _units(stream: RecordingStream) -> str:
    counts = Counter(unit_of(stream, channel) for channel in range(stream.info.n_channels))
    known = {
        "normalized" if unit == "normalized" else f"in {unit}": count
        for unit, count in counts.items()
        if unit != UNKNOWN_UNIT
    }
    if len(counts) == 1:
        return "".join(f" {words}" for words in known)
    return f" ({', '.join(f'{count} {words}' for words, count in known.items())})" if known else ""


def _model(whole: Whole) -> list[str]:
    return [text for found in whole.models for text in _model_of(found)] or ["No model ran."]


def _model_of(found: Summary) -> list[str]:
    session, contract = found.facts.session, found.contract
    if session is None or session.model is None:
        return []
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


def _answers(whole: Whole) -> list[str]:
    counts: dict[str, Counter[str]] = {}
    for name, answers in (line for take in whole.takes for line in take.lines):
        made, unknown = answers.made, answers.made & answers.unknown
        counts.setdefault(name, Counter()).update(
            made=int(made.sum()), unknown=int(unknown.sum()), none=int((~made).sum())
        )
    texts = [
        f"For {name} there were {_count(one['made'], 'estimate')}, {one['unknown']} of them below the "
        f"model's threshold (unknown), and {one['none']} times none."
        for name, one in counts.items()
    ]
    for name, one in drifted_in(take.facts for take in whole.takes).items():
        driven = f", driven most by {one.driven_by}" if one.drivers else ""
        texts.append(
            f"In {_count(one.windows, 'window')} the features of {modality_name(name)} were further from "
            f"the model's training than its limit (drift{driven}); {one.fate}."
        )
    if (ages := whole.ages) is not None:
        median, high, _ = ages.percentiles_ms("age")
        texts.append(
            f"The newest sample was {median:.0f} ms old when an estimate was published (median; 95th "
            f"percentile {high:.0f} ms)."
        )
    return texts


def _trials(whole: Whole) -> list[str]:
    labelled, trials = whole.labelled, whole.trials
    if not labelled:
        return []
    counts = Counter(trial.label for trial in labelled)
    length_s = float(np.median([trial.stop_s - trial.start_s for trial in labelled]))
    listed = ", ".join(f"{label} {count}" for label, count in counts.items())
    n_trials = _count(len(labelled), "labelled trial")
    texts = [f"{n_trials} counted ({listed}; median length {length_s:.1f} s)."]
    if why := Counter(trial.excluded for trial in trials if trial.excluded):
        texts.append(f"Excluded: {', '.join(f'{reason} {count}' for reason, count in why.items())}.")
    if scales := rating_scales(trials):
        texts.append(f"After each trial the participant answered on {', '.join(scales)}.")
    return texts + [_agreement(votes) for votes in whole.votes if len(votes.truth)]


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
