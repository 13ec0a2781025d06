"""One of each kind of extension of bci_m2s; docs/extend.md explains them."""

import zlib
from functools import partial

import numpy as np
from sklearn.neighbors import NearestCentroid

from bci_m2s.errors import RecordingError
from bci_m2s.networks import NetworkKind, Setting
from bci_m2s.signal.normalise import NoBaseline
from bci_m2s.sources import LocalSource, Name, StreamSettings
from bci_m2s.training.datasets.layout import DataSet, RawSegment, Trial
from bci_m2s.training.datasets.raw import regular_stream
from bci_m2s.training.methods import of_classifier
from bci_m2s.types import Chunk, Estimate, Step, StreamInfo


class Loudness:
    settle_s = 0.0

    def __init__(self, params, labels, rate_hz, step_s, hop_s):
        self.names, self.n_blocks, self.powers = labels, round(step_s / hop_s), []

    def reset(self):
        self.powers = []

    def push(self, samples, missing):
        power = np.where(missing, np.nan, samples**2).mean(axis=0)
        self.powers = [*self.powers, power][-self.n_blocks :]
        values = np.log(np.mean(self.powers, axis=0) + 1e-9)
        step = Step(values, "missing samples" if np.isnan(values).any() else "", zlib.crc32(power))
        return step if len(self.powers) == self.n_blocks else None


class Tone(LocalSource):
    n_sent = 0

    def pull(self, timeout_s):
        self.wait(timeout_s)
        due = np.arange(self.n_sent, int((self.clock() - self.begun_s) * 128))
        self.n_sent += len(due)
        samples = 50 * np.sin(np.outer(due, np.arange(1, self.info.n_channels + 1)))
        return Chunk.of(self.begun_s + due / 128, np.float32(samples), self.clock())


class ToneStream(StreamSettings):
    labels: list[Name] = ["a", "b"]

    def make_source(self, environment):
        labels, units = tuple(self.labels), ("microvolts",) * len(self.labels)
        info = StreamInfo("tone", environment.stream_type, "", "", "", 128.0, labels, units)
        return Tone(info, environment.clock)


class Diary:
    kind, problem, file = "file", "", None

    def __init__(self, folder, session, title="diary"):
        self.path = folder / f"{title}.txt"

    def open(self):
        self.file = self.path.open("x")

    def take(self, item):
        if isinstance(item, Estimate):
            self.file.write(f"{item.modality} {item.status.name} {item.class_index}\n")

    def close(self):
        if self.file:
            self.file.close()


def build_dense(*, n_features, n_channels, classes, width):
    from bci_m2s.networks.m2s import Classifier, Projection, SingleModality, nn  # here, as it loads torch

    encoder = nn.Sequential(nn.Linear(n_features, width), nn.ReLU())
    heads = nn.ModuleDict({name: Classifier(16, 16, n) for name, n in classes.items()})
    return SingleModality(encoder, Projection(width, 16), heads)


class Clipped(NoBaseline):
    def apply(self, values):
        return np.clip(values, -50.0, 50.0)


def read_arrays(root, on_problem):
    if not any(root.iterdir()):
        raise RecordingError(f"{root}: no folder of a person")
    for person in sorted(root.iterdir()):
        stream = partial(regular_stream, rate_hz=128.0, labels=("a", "b"), units=("microvolts",) * 2)
        eeg = stream(partial(np.load, person / "eeg.npy"), "eeg", "EEG")
        ecg = stream(partial(np.load, person / "ecg.npy"), "ecg", "ECG")
        labels = enumerate(np.load(person / "labels.npy").tolist())
        trials = [Trial(str(n), 8.0 * n, 8.0 * n + 8.0, {"mood": label}) for n, label in labels]
        yield [RawSegment(person.name, "1", {"eeg": eeg, "ecg": ecg}, tuple(trials))]


DENSE = NetworkKind(build_dense, {"width": Setting(16, 1, 512, "width of the embedding")})
ARRAYS = DataSet("arrays", {"mood": ("calm", "excited")}, subjects=(), read_raw=read_arrays)
NEAREST_MEAN = of_classifier(NearestCentroid())
