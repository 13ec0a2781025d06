"""CMCRD: a network of one signal learns beside one of the other signal, which was trained before.

Source: Kan, Wu, Cui, Huang, Xu, Wu, "CMCRD: Cross-Modal Contrastive Representation Distillation for Emotion
Recognition", arXiv 2504.09221 (IEEE Transactions on Affective Computing, 2026), and its authors' released
code: the networks, the losses and their weights, optimisers and rates. Labelled windows with both signals
train both; the student judges by its signal alone. Ours: a window's steps side by side, as many epochs and
windows per batch as other methods have, warm-up in the same quarter of them, the epoch that is best on
validation windows; a feature without gradient has none for its linear map either. The released code prints
its last score on training rows, and standardises test rows by themselves; neither is done here.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from bci_m2s.training.data.prepare import UnitData
from bci_m2s.training.data.windows import WindowSet
from bci_m2s.training.methods import Answers, Method
from bci_m2s.training.methods.adam import Adam
from bci_m2s.training.methods.contrast_banks import ContrastBanks, signed_weights
from bci_m2s.training.methods.own_networks import (
    Rows,
    Selection,
    in_parts,
    labelled_rows,
    probabilities,
    rows_of,
    train,
    two_signals,
    weighted_cross_entropy,
)
from bci_m2s.training.methods.pretrain import Job
from bci_m2s.training.methods.seeds import named_seed, seed_torch
from bci_m2s.training.methods.sgd import SGD
from bci_m2s.training.methods.stage_settings import FinetuneSettings
from bci_m2s.types import FloatArray

# As released.
WIDTH, LAYERS = 128, 4
TEACHER_RATE, MOMENTUM = 1e-3, 0.9  # of SGD
RATE, DECAY = 1e-3, 1e-3  # of AdamW, for the student
SHARE = 0.02  # of the contrastive loss
WARM = 4  # a quarter of the epochs: 10 of 40


class Perceptron(nn.Module):
    """Windows (B, T, F) to logits (B, classes). size : T·F"""

    def __init__(self, size: int, classes: int) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Flatten()]
        for number in range(LAYERS):
            layers += [nn.Linear(WIDTH if number else size, WIDTH), nn.BatchNorm1d(WIDTH), nn.ReLU()]
        self.layers = nn.Sequential(*layers)
        self.out = nn.Linear(WIDTH, classes)

    def features(self, windows: Tensor) -> Tensor:
        """(B, 128)"""
        found: Tensor = self.layers(windows)
        return found

    def forward(self, windows: Tensor) -> Tensor:
        logits: Tensor = self.out(self.features(windows))
        return logits


def learn(job: Job, data: UnitData, settings: FinetuneSettings) -> Answers:
    """Train a student of each signal; each answers for its signal, whose labels it has seen.

    Raises
    ------
    NotPossible
        Another number of signals than two; labels of one class on windows with both.
    """
    two_signals(job.contract, job.pair)
    heads = list(job.contract.heads)
    students = {
        name: {head: _student(job, data, settings, name, head) for head in heads} for name in job.pair
    }
    return {((name,), (name,)): partial(_answer, students[name], name) for name in job.pair}


def _answer(students: dict[str, Perceptron], name: str, windows: WindowSet, head: str) -> FloatArray:
    seen = rows_of(windows, (name,)).features[name]
    return probabilities(in_parts(students[head], seen))


def _student(job: Job, data: UnitData, settings: FinetuneSettings, name: str, head: str) -> Perceptron:
    other = next(one for one in job.pair if one != name)
    rows = labelled_rows(data.parts["train"], job.pair, head)
    classes = len(job.contract.heads[head].classes)

    def of(signal: str, role: str) -> tuple[Perceptron, Selection]:
        seed_torch(named_seed(job.seed, f"cmcrd {role} {signal} {head}"))
        network = Perceptron(rows.features[signal][0].numel(), classes)
        validation = rows_of(data.parts["validation"], (signal,), head)
        judge = partial(in_parts, network, validation.features[signal])
        return network, Selection(network, judge if settings.select == "validation" else None, validation)

    teacher, selection = of(other, "teacher")
    train_teacher(teacher, rows, other, selection, settings, job.seed)
    student, selection = of(name, "student")
    distil(teacher, student, rows, (other, name), selection, settings, job.seed)
    return student


def train_teacher(
    teacher: Perceptron, rows: Rows, name: str, selection: Selection, settings: FinetuneSettings, seed: int
) -> None:
    """By the labels of its signal. name : of the signal"""
    of_logits = weighted_cross_entropy(rows, teacher.out.out_features, settings.class_weight)
    train(
        teacher,
        [SGD(teacher.parameters(), lr=TEACHER_RATE, momentum=MOMENTUM)],
        lambda chosen: of_logits(teacher(rows.features[name][chosen]), rows.labels[chosen]),
        len(rows),
        epochs=settings.epochs,
        batch=settings.batch,
        seed=seed,
        after_epoch=selection.look,
    )
    selection.take()


def distil(
    teacher: Perceptron,
    student: Perceptron,
    rows: Rows,
    names: tuple[str, str],
    selection: Selection,
    settings: FinetuneSettings,
    seed: int,
) -> None:
    """Train a student by labels and beside a teacher, which stays as it is.

    names : of the teacher's signal, and of the student's; selection : of the student
    """
    teacher.eval()
    with torch.no_grad():
        of_teacher = in_parts(teacher.features, rows.features[names[0]])
        logits = teacher.out(of_teacher)
    knows = logits.argmax(dim=1) == rows.labels
    banks = ContrastBanks(WIDTH, rows.labels)
    both = nn.ModuleList([student, banks])
    of_logits = weighted_cross_entropy(rows, student.out.out_features, settings.class_weight)

    def loss(chosen: Tensor) -> Tensor:
        labels = rows.labels[chosen]
        features = student.features(rows.features[names[1]][chosen])
        guesses = student.out(features)
        right = (guesses.argmax(dim=1) == labels, knows[chosen])
        weights = signed_weights(logits[chosen], labels)
        contrast = banks((features, of_teacher[chosen]), right, chosen, weights)
        return of_logits(guesses, labels) + SHARE * contrast

    optimiser = Adam(both.parameters(), lr=RATE, weight_decay=DECAY, decoupled_weight_decay=True)
    next_epoch = _falling(optimiser, settings.epochs)

    def after_epoch() -> None:
        selection.look()
        next_epoch()

    train(
        both,
        [optimiser],
        loss,
        len(rows),
        epochs=settings.epochs,
        batch=settings.batch,
        seed=seed,
        after_epoch=after_epoch,
    )
    selection.take()


def rate(epoch: int, epochs: int) -> float:
    """Of an epoch, from 0: it rises over the first quarter of them and falls along a cosine."""
    warm = epochs // WARM
    if epoch < warm:
        return RATE * (epoch + 1) / warm
    return RATE * (1 + math.cos(math.pi * (epoch - warm) / (epochs - warm))) / 2


def _falling(optimiser: torch.optim.Optimizer, epochs: int) -> Callable[[], None]:
    """Sets the first epoch's rate, and at each call that of the one after."""
    numbers = iter(range(epochs + 1))

    def set_next() -> None:
        optimiser.param_groups[0]["lr"] = rate(next(numbers), epochs)

    set_next()
    return set_next


CMCRD = Method(learn=learn, takes=two_signals, pretrained=False)
