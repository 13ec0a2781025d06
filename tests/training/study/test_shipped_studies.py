"""The studies that come with the project: each is planned on small copies of its data; cells run."""

from __future__ import annotations

import io
import math
import re
from pathlib import Path

import pytest
import yaml
from rich.console import Console
from support.look_alikes import WRITERS, deap_signals, dreamer_signals
from support.nightly import often
from support.small_pairs import TINY
from support.training_files import without_pictures

from bci_m2s.errors import ConfigurationError
from bci_m2s.files.shipped import folder
from bci_m2s.session.setup.shipped import find_study
from bci_m2s.training.check.listing import _listed
from bci_m2s.training.data.load import load_sessions
from bci_m2s.training.datasets import deap, dreamer, find_dataset
from bci_m2s.training.methods import METHODS
from bci_m2s.training.settings import laid_over
from bci_m2s.training.study import command
from bci_m2s.training.study.cell import read_outcome
from bci_m2s.training.study.command import plan
from bci_m2s.training.study.settings import load_study
from bci_m2s.training.study.variants import make_variants

DOCS = Path(__file__).resolve().parents[3] / "docs"
NAMES = (
    *("paper-table-seed", "paper-table-seed-iv", "paper-table-seed-v", "paper-table-deap"),
    *("paper-table-dreamer", "ablation-losses", "ablation-attention", "ablation-cpc", "grid-window-steps"),
    *("cross-subject", "eegmat", "stress-predict", "brain-body-behaviour", "simulated"),
)
TABLES = [name for name in NAMES if name.startswith("paper-table")]
EVERY_METHOD = {*METHODS} - {
    "majority",
    "permuted",
    "pairwise-cpc",
    "unicode-cpc",
    "pairwise-released",
    "unicode-released",
    "unicode-attention",
    "unicode-native",
}
OF_EEG = {"eco-fet", "vigilancenet"}
# Of a whole copy: people and sessions, of which the number of cells depends.
WHOLE = {
    "seed": (12, 3),
    "seed-iv": (15, 3),
    "seed-v": (16, 3),
    "deap": (32, 1),
    "dreamer": (23, 1),
    "eegmat": (36, 1),
    "stress-predict": (35, 1),
    "brain-body-behaviour": (29, 2),
    "demo-62ch-eye": (24, 1),
}
NETWORKS = {"m2s-electrode": {"head_width": 4}, "m2s-sequence": {"causal": True}}
QUICK = {
    "pretrain": {"epochs": 1, "batch": 64},
    "finetune": {"epochs": 2, "batch": 64, "learning_rates": [1e-3], "weight_decays": [1e-4]},
    "windows": {"every_hops": 4},
}


@pytest.fixture(scope="session")
def copies(tmp_path_factory):
    """Data set → the folder of a small copy, written when it is first asked for."""
    base, written = tmp_path_factory.mktemp("copies"), {}

    def copy(name):
        if name not in written:
            WRITERS[name](base / name)
            written[name] = str(base / name)
        return written[name]

    return copy


@pytest.fixture
def short(monkeypatch):
    """DEAP with ten trials of 8 s."""
    monkeypatch.setattr(deap, "N_TRIALS", 10)
    monkeypatch.setattr(deap, "N_SAMPLES", 1024)


def own(name, out, copy, **changes):
    """A copy of a shipped study that names other folders, as one with data of their own would write it."""
    values = yaml.safe_load(find_study(name).read_text(encoding="utf-8"))
    for data, entry in values["data"].items():
        root = {"data": {"root": copy(data)}} if data in WRITERS else {}
        entry["changes"] = laid_over(laid_over(entry.get("changes", {}), root), changes)
    path = out / f"{name}.yaml"
    path.write_text(yaml.safe_dump(values, sort_keys=False))
    return path


def listed_once():
    """``listed``, of each contract and data once, as the features that it stands for are computed."""
    known = {}

    def found(settings, features, console):
        key = settings.model_dump_json(include={"contract", "data"})
        if key not in known:
            known[key] = listed(settings, features, console)
        return known[key]

    return found


def listed(settings, _features, console):
    """The sessions of a data set, of raw signals without a feature: a plan looks at trials."""
    data_set, _ = find_dataset(settings.data.format)
    if data_set.read is not None:
        return load_sessions(settings, None, console)
    segments = data_set.sessions(settings.data, settings.contract, lambda _: None)
    return [_listed(data_set, session) for session in segments if session]


def planned(path, out):
    """Study, variants and cells."""
    study = load_study(path)
    variants = make_variants(study, path, out)
    return study, variants, plan(variants, out, Console(file=io.StringIO()))


def splits(split, people, sessions):
    """How many parts of a data set test in turn."""
    in_turn = {
        "subjects": 1,
        "subject-folds": split.folds or people,
        "trials": people * sessions,
        "trial-folds": people * sessions * split.folds,
    }
    return in_turn[split.kind]


def count(variants, sizes):
    """The number of cells, by (people, sessions) of each data set."""
    return sum(
        splits(settings.split, *sizes[settings.contract.name])
        * (3 if METHODS[settings.finetune.method].draws else 1)
        for settings in variants.values()
    )


def test_there_are_these():
    paths = (folder("pipelines") / "studies").glob("*.yaml")
    assert sorted(path.stem for path in paths) == sorted(NAMES)
    for name in NAMES:
        assert f"#   bci-m2s study {name}\n" in find_study(name).read_text(encoding="utf-8")


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize("name", NAMES)
def test_it_is_planned(name, copies, tmp_path, monkeypatch):
    monkeypatch.setattr(command, "compute_sessions", listed_once())
    monkeypatch.setattr(command, "compute_raw_features", lambda *_: None)
    monkeypatch.setattr("os.fsync", lambda _: None)
    study, variants, jobs = planned(own(name, tmp_path, copies), tmp_path / "out")
    points = math.prod(map(len, study.grid.values()))
    assert len(variants) == len(study.data) * len(study.protocols) * len(study.methods) * points
    small = dict.fromkeys(WHOLE, (6, 1)) | {"seed-v": (6, 3), "demo-62ch-eye": (24, 1)}
    assert len(jobs) == len({job.folder for job in jobs}) == count(variants, small)
    assert {job.seed for job in jobs} == {0, 1, 2}
    for settings in variants.values():
        assert settings.finetune.select == settings.pretrain.select == "validation"
        assert settings.finetune.oracle == (name in TABLES)
    page = (DOCS / "studies.md").read_text(encoding="utf-8")
    (row,) = re.findall(rf"^\| `{name}` \|.*\|$", page, re.MULTILINE)
    assert row.split("|")[-2].strip() == f"{count(variants, WHOLE):,}"


@pytest.mark.parametrize("name", NAMES)
def test_its_rows_are_those_that_can_take_the_signals(name):
    """In the tables of methods every one that can is there, with the losses that make other rows."""
    study = load_study(find_study(name))
    methods = {entry.method for entry in study.methods.values()}
    assert next(iter(study.methods.values())).method == "pretrained"
    if not name.startswith(("ablation", "grid")):
        wanted = EVERY_METHOD - (OF_EEG if name in ("stress-predict", "brain-body-behaviour") else set())
        has_raw = name in ("paper-table-deap", "paper-table-dreamer", "eegmat")
        assert methods == wanted - (set() if has_raw else {"riemann"})
        assert list(study.methods)[:4] == ["M2S", "M2S aligned", "CLIP", "CLIP + M2M CPC"]


@pytest.mark.parametrize("name", NAMES)
def test_where_clips_repeat_they_are_kept_apart_beside(name):
    study = load_study(find_study(name))
    apart = {key: values["split"].get("stimuli") == "apart" for key, values in study.protocols.items()}
    if name in (*TABLES, "cross-subject", "brain-body-behaviour"):
        assert apart["people apart"] is False
        assert apart["people and clips apart"] is True
    else:
        assert not any(apart.values())


def test_losses_and_attention_are_those_that_the_rows_say(tmp_path, monkeypatch):
    monkeypatch.setattr("bci_m2s.training.study.variants._check_root", lambda *_: None)

    def rows(name):
        path = find_study(name)
        made = make_variants(load_study(path), path, tmp_path / name)
        return {variant.method: settings for variant, settings in made.items()}

    def weights(settings):
        of = settings.pretrain.loss.weights
        return (of.contrastive, of.cpc, of.reconstruction, of.club, of.vicreg)

    of_table = {key: weights(settings) for key, settings in rows("simulated").items()}
    assert of_table["M2S"] == (1.0, 1.0, 0.1, 0.3, 0.0)
    assert of_table["M2S aligned"] == (0.0, 0.0, 0.0, 0.0, 1.0)
    assert of_table["CLIP"] == (1.0, 0.0, 0.0, 0.0, 0.0)
    assert of_table["CLIP + M2M CPC"] == (1.0, 1.0, 0.0, 0.0, 0.0)
    of_losses = {key: weights(settings) for key, settings in rows("ablation-losses").items()}
    assert of_losses["M2S"] == (1.0, 1.0, 0.1, 0.3, 0.0)
    for place, term in enumerate(("contrastive", "CPC", "reconstruction", "CLUB")):
        missing = list(of_losses["M2S"])
        missing[place] = 0.0
        assert of_losses[f"without {term}"] == tuple(missing)
    of_cpc = rows("ablation-cpc")
    assert all(settings.pretrain.loss.weights.cpc for key, settings in of_cpc.items() if "CPC" in key)
    attention = {
        key: settings.contract.modalities["eeg"].network.params.get("attention", "sts")
        for key, settings in rows("ablation-attention").items()
    }
    assert attention == {"STS": "sts", "multi-head": "multi-head", "none": "none"}


def quick(name, tmp_path, copy, method):
    """A study of one row and the first protocol, with small networks."""
    path = own(name, tmp_path, copy, **QUICK)
    values = yaml.safe_load(path.read_text())
    (entry,) = values["data"].values()
    training = yaml.safe_load((folder("pipelines") / "train" / f"{entry['training']}.yaml").read_text())
    sizes = {
        key: {"network": {"params": TINY | NETWORKS[spec["network"]["name"]]}}
        for key, spec in training["contract"]["modalities"].items()
    }
    entry["changes"] = laid_over(entry["changes"], {"contract": {"modalities": sizes}})
    values["methods"] = {method: values["methods"][method]}
    values["protocols"] = dict([next(iter(values["protocols"].items()))])
    path.write_text(yaml.safe_dump(values, sort_keys=False))
    return path


@pytest.mark.parametrize("name", often(TABLES, ["paper-table-seed-v"]))
def test_cells_of_a_table_run(name, copies, tmp_path, monkeypatch):
    signals = {
        "paper-table-deap": (deap, deap_signals, 16),
        "paper-table-dreamer": (dreamer, dreamer_signals, 6),
    }
    copy, methods = copies, ["M2S"]
    if name in signals:
        module, write, trials = signals[name]
        monkeypatch.setattr(module, "N_TRIALS", trials)
        write(tmp_path / "data", trials)
        copy, methods = (lambda _: str(tmp_path / "data")), ["M2S", "Riemannian tangent space"]
    for method in methods:
        path = quick(name, tmp_path, copy, method)
        _, _, jobs = planned(path, tmp_path / "out")
        with without_pictures():
            assert jobs[0].run() == "", jobs[0].log.read_text()
        results = read_outcome(jobs[0]).results
        assert results
        for result in results:
            assert 0 <= result.figures["balanced_accuracy"] <= 1
            has_oracle = method == "M2S" and result.tested_on != "both"
            assert (result.oracle is not None) == has_oracle, result


def test_an_absent_folder_is_named_with_how_to_name_ones_own(tmp_path):
    path = tmp_path / "mine.yaml"
    values = yaml.safe_load(find_study("paper-table-seed-v").read_text())
    values["data"]["seed-v"]["changes"]["data"] = {"root": "nowhere"}
    path.write_text(yaml.safe_dump(values, sort_keys=False))
    words = (
        f"{path}: data.seed-v: data.root of seed-v: got {tmp_path / 'nowhere'}, no such folder; expected "
        "your copy of seed-v: in a copy of the study, "
        "data: {seed-v: {training: seed-v, changes: {data: {root: FOLDER}}}}"
    )
    with pytest.raises(ConfigurationError) as told:
        make_variants(load_study(path), path, tmp_path / "out")
    assert str(told.value) == words
    assert not list(tmp_path.rglob("training.yaml"))


def test_a_method_that_needs_raw_eeg_is_refused_where_there_is_none(copies, tmp_path):
    path = own("paper-table-seed-v", tmp_path, copies)
    values = yaml.safe_load(path.read_text())
    values["methods"] = {"tangent space": {"method": "riemann"}}
    path.write_text(yaml.safe_dump(values, sort_keys=False))
    words = "within a session, tangent space: it takes raw EEG, and there is none: eeg, eye"
    with pytest.raises(ConfigurationError, match=words) as told:
        make_variants(load_study(path), path, tmp_path / "out")
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("method", ["vigilancenet", "eco-fet", "riemann"])
def test_a_method_of_eeg_is_refused_for_signals_without(method, copies, tmp_path):
    path = own("stress-predict", tmp_path, copies)
    values = yaml.safe_load(path.read_text())
    values["methods"] = {"of EEG": {"method": method}}
    path.write_text(yaml.safe_dump(values, sort_keys=False))
    with pytest.raises(ConfigurationError, match=r"people apart, of EEG: it takes .*EEG.* there "):
        make_variants(load_study(path), path, tmp_path / "out")
