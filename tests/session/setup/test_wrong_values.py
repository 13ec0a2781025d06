"""Whatever a pipeline has in whatever key, an error is one line of ours, with the key and its line."""

from __future__ import annotations

import yaml
from pydantic import ValidationError

from bci_m2s.files.explain import refused
from bci_m2s.session.setup.config import PipelineSettings
from bci_m2s.sources import SOURCES
from tests.support.wrong_values import assert_all_keys, assert_words

FILE = yaml.safe_load("""
model: x
streams:
  eeg:
    {source: lsl, name: a, type: EEG, source_id: q, host: h, wait_s: 3.0, gap_s: 1.0, rename: {a: b},
    unit: uV, rate_hz: 256.0, resample_hz: 0.0, reference: Cz, missing_channels: refuse,
    bad_channels: training_mean,
    stamps: sent}
  eye: {source: replay, file: a.xdf, name: a, type: b, loops: 1}
  skin: {source: simulated, stream: eeg, montage: muse, subject: 0, session: 0, seed: 0}
participants: {p01: {}, p07: {streams: {eeg: {name: Other}}}}
markers: {source: lsl, type: Markers}
record_also: all
modality: each
unknown_below: 0.3
back_after_s: 2.0
late_after_s: 2.0
drift: refuse
device: cpu
threads: 1
baseline: {start: first, marker: a}
outlet: {enabled: true, name: bci}
remote: {port: 5000, key: abcdefgh12345678}
shared_with_group: false
sinks: {status: {}}
""")


def test_every_key_with_every_kind_of_value():
    def load(path, values, lines):
        try:
            return PipelineSettings.model_validate(values)
        except ValidationError as problem:
            raise refused(path, lines, problem, PipelineSettings) from None

    for settings in (PipelineSettings, *SOURCES.values()):
        assert_all_keys(settings, FILE)
    assert assert_words(FILE, load) > 300
