"""Whatever a training file has in whatever key, an error is one line of ours, with the key and its line."""

from __future__ import annotations

import pytest
import yaml
from pydantic import ValidationError

from bci_m2s.errors import ContractError
from bci_m2s.files.explain import refused
from bci_m2s.model.feature_size import check_size
from bci_m2s.training.settings import TrainingSettings
from tests.support.wrong_values import assert_all_keys, assert_words

FILE = yaml.safe_load(r"""
preset: sound
base: ''
contract:
  format: bci_m2s-model
  version: 1
  name: x
  description: d
  simulated: true
  heads:
    emotion:
      classes: [calm, tense]
      valence_arousal:
        calm: [0.1, 0.2]
        tense: [0.3, 0.1]
  window: {steps: 5, step_s: 1.0, hop_s: 0.25}
  training: {a: b}
  modalities:
    eeg:
      stream_type: EEG
      rate_min_hz: 240
      rate_max_hz: 1100
      channels: [TP9, AF7, AF8, TP10]
      units: [uV, uV, uV, uV]
      reference: as recorded
      feature:
        name: de
        n_features: 20
        params:
          bands_hz:
            delta: [1, 4]
            theta: [4, 8]
            alpha: [8, 14]
            beta: [14, 31]
            gamma: [31, 50]
          order: 3
          notch_hz: [50.0]
      normaliser:
        name: baseline
        params: {duration_s: 20.0}
      smoothing:
        name: none
        params: {}
      quality:
        railed_share: 0.5
        noisy_ratio: 8.0
        sentinels: [0.0]
        limit: 1000.0
        rails: [-1.0, 2.0]
      amplitude:
        uV: [1.0, 2.0]
      max_missing: 0.25
      layout: channel-major
      network:
        name: m2s-electrode
        params: {depth: 2, ffn: 128}
      calibration:
        emotion: {temperature: 1.0, unknown_below: 0.2, ece_before: 0.1, ece_after: 0.1, windows: 3,
          trials: 3, windows_of: ''}
      drift: {views: {profile: {whole: 2.0, channel: 3.0}}, smoothing_s: 2.0, share: 0.02, people: 16,
        validation_people: 8, own_sessions: 0, pairs: 0,
        wait_s: 0.0}
    eye:
      stream_type: Gaze
      rate_min_hz: 100
      rate_max_hz: 130
      channels: [gaze_x, gaze_y, pupil_left, pupil_right, confidence]
      units: ['', '', '', '', '']
      feature:
        name: eye
        params:
          columns: {gaze_x: gaze_x, gaze_y: gaze_y, pupil_x: pupil_left, pupil_y: pupil_right,
            confidence: confidence}
          gaze_unit: normalized
          degrees_per_unit_x: 35.0
          degrees_per_unit_y: 20.0
          loss_values: [-1.0]
          blink_duration: true
          pupil_bands_hz:
          - [0.02, 0.1]
          - [0.1, 0.3]
          - [0.3, 0.6]
          - [0.6, 1.0]
      normaliser:
        name: rolling
        params: {}
      smoothing:
        name: moving_average
        params: {}
      max_missing: 0.3
      network:
        name: m2s-sequence
        params: {depth: 2, ffn: 128, causal: true, dropout: 0.1}
    skin:
      stream_type: GSR
      rate_min_hz: 4
      rate_max_hz: 130
      channels: [gsr, ecg]
      units: [uS, '']
      feature:
        name: physiology
        params:
          columns: {gsr: gsr}
          notch_hz: []
      normaliser:
        name: rolling
        params: {}
      network:
        name: m2s-sequence
        params: {depth: 2}
pair: [eeg, eye, skin]
data:
  format: simulated
  root: data
  feature: ''
  raw: false
  subjects: ['1']
  persons: 3
  sessions: 1
  simulator: {seed: 1, montage: muse}
  markers:
    start: t(?P<label>.+)
    stop: ''
    duration_s: 3.0
    column: ''
    labels: {a: calm}
    stamps: sent
    head: ''
  streams:
    eeg:
      gap_s: 1.0
      rename: {a: b}
      unit: uV
      rate_hz: 256.0
      resample_hz: 0.0
      reference: Cz
      missing_channels: refuse
      bad_channels: training_mean
  files:
  - {file: '*', time: a, time_unit: s, rate_hz: 5.0, type: EEG, marker: m, timezone: '+02:00',
    offset_s: 1.0}
  threshold: 5.0
split:
  kind: named
  test_subjects: 1
  validation_subjects: 1
  folds: 5
  validation_by_seed: false
  stimuli: shared
  stimulus_folds: 5
  train_trials: 3
  validation_trials: 1
  test: ['1']
  validation: ['2']
  seed: 0
labels: {people: 2, unpaired: false, new_person_trials: 1, seed: 0}
windows: {every_hops: 1, straddling: false, own_session: false}
pretrain:
  epochs: 2
  batch: 4
  learning_rate: 0.0001
  weight_decay: 0.0001
  sampler: mixed
  last_batch: merge
  loss:
    weights: {contrastive: 1.0, cpc: 1.0, reconstruction: 0.1, club: 0.3, cpc_cross: 1.0, cpc_within: 0.1,
      vicreg: 0.0}
    max_logit_scale: 4.0
    mask_same_trial: true
    mask_reach: 3
    cpc_min_context: 2
    club_per_step: true
    club_derangement: true
    club_floor: true
    club_ceiling: 20.0
  predictions: 2
  context: 64
  club_hidden: 32
  club_learning_rate: 0.001
  club_weight_decay: 0.0
  select: validation
  patience: 3
  stop_after: 0
  club_inner_steps: 3
  club_limit: 50.0
  causal_only: true
  layers_start: copies
  precision: float32
  compile: false
finetune:
  epochs: 1
  batch: 4
  learning_rates: [0.001]
  weight_decays: [0.0]
  freeze: true
  start: random
  method: pretrained
  frozen_dropout: false
  frozen_in_optimiser: false
  last_batch: drop
  label_smoothing: 0.1
  class_weight: none
  adapt_norm: true
  classifier: network
  readout: 2
  linear: false
  labels: own
  select: last
  stop_after: 0
  oracle: false
  most_unknown: 0.2
  trials_per_class: 0
  keep: [eeg]
  storage: float32
controls: [random]
permutations: 2
seeds: [0, 1]
""")
MODALITIES = FILE["contract"]["modalities"]


def load(path, values, lines):
    try:
        return TrainingSettings.model_validate(values)
    except (ContractError, ValidationError) as problem:
        raise refused(path, lines, problem, TrainingSettings, values=values) from None


def test_every_key_is_tried():
    assert_all_keys(TrainingSettings, FILE)


SECTIONS = ("data", "split", "labels", "windows", "pretrain", "finetune", "controls")


@pytest.mark.parametrize("section", SECTIONS)
def test_a_section(section):
    others = {key: value for key, value in FILE.items() if key not in ("contract", section)}
    contract = {**FILE["contract"], "modalities": {"eeg": MODALITIES["eeg"], "eye": MODALITIES["eye"]}}

    def load_section(path, values, lines):
        whole = {**others, "pair": ["eeg", "eye"], "contract": contract, **values}
        return load(path, whole, lines)

    assert assert_words({section: FILE[section]}, load_section) > 10


@pytest.mark.parametrize("modality", MODALITIES)
def test_a_modality(modality):
    def load_one(path, values, lines):
        contract = {**FILE["contract"], "modalities": values["contract"]["modalities"]}
        settings = load(
            path, {"pair": [modality], "data": {"format": "simulated"}, "contract": contract}, lines
        )
        spec = settings.contract.modalities.get(modality)
        if (
            spec is None
            or values["contract"]["modalities"][modality]["feature"] == MODALITIES[modality]["feature"]
        ):
            return  # the feature is as it was: to build it again would take long and tell nothing
        check_size_of(path, modality, spec, settings.contract.window, lines, values)

    assert assert_words({"contract": {"modalities": {modality: MODALITIES[modality]}}}, load_one, 3) > 100


def check_size_of(path, name, spec, window, lines, values):
    try:
        check_size(spec, window, name)
    except ContractError as problem:
        raise refused(path, lines, problem, TrainingSettings, ("contract",), values["contract"]) from None


def test_the_rest_of_a_contract():
    eye = {"eye": MODALITIES["eye"]}

    def load_rest(path, values, lines):
        contract = {**values["contract"], "modalities": eye}
        return load(path, {"pair": ["eye"], "data": {"format": "simulated"}, "contract": contract}, lines)

    rest = {key: value for key, value in FILE["contract"].items() if key != "modalities"}
    assert assert_words({"contract": rest}, load_rest, 1) > 50


def test_of_two_modalities_the_one_that_is_meant():
    """Keys that both have, and a value that one lacks."""
    cases = {
        ("eye", "feature", "name"): "dee",
        ("eeg", "normaliser", "name"): "base",
        ("eye", "units"): ["", "", ""],
        ("eye", "rate_min_hz"): 2000,
        ("skin", "network", "params", "depth"): "two",
    }
    for place, wrong in cases.items():
        values = yaml.safe_load(yaml.safe_dump(FILE))
        holder = values["contract"]["modalities"]
        for part in place[:-1]:
            holder = holder[part]
        holder[place[-1]] = wrong
        with pytest.raises(
            Exception, match=r"file\.yaml:7: contract\.modalities\." + r"\.".join(place) + ": got"
        ):
            load("file.yaml", values, {(): 1, ("contract", "modalities", *place): 7})
