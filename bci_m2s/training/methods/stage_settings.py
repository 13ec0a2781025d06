"""Settings of the two stages: pre-training on pairs, and classifiers on labels."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from bci_m2s.training.methods.loss_settings import LossSettings

Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=1)]
LastBatch = Literal["merge", "drop", "keep"]


class PretrainSettings(BaseModel):
    """Pre-training on pairs without labels (Algorithm 1)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    epochs: Annotated[int, Field(ge=0)] = 60
    """Passes through the training windows; 0 skips pre-training."""
    select: Literal["validation", "last"] = "validation"
    """Keep the epoch with the lowest loss on the unlabelled validation pairs, or the last."""
    patience: Annotated[int, Field(ge=0)] = 0
    """Stop after this many epochs without a lower one; 0 for never."""
    stop_after: Annotated[int, Field(ge=0)] = 0
    """Stop after this number of epochs, the learning rate falling as for `epochs`; 0 for all."""
    batch: Annotated[int, Field(ge=2)] = 256
    """Windows per batch."""
    learning_rate: Positive = 1e-4
    """Of Adam; falls to 0 along a cosine over all steps."""
    weight_decay: NotNegative = 1e-4
    """Of Adam."""
    sampler: Literal["mixed", "within-person", "within-session"] = "within-person"
    """Whose windows share a batch: anybody's, one person's, or one session's."""
    last_batch: LastBatch = "merge"
    """Windows left over at an epoch's end join the batch before, are dropped, or form a short batch."""
    loss: LossSettings = LossSettings()
    """Weights and choices of the four losses."""
    predictions: Count = 2
    """Number of steps that CPC predicts."""
    context: Count = 64
    """Width of CPC's context."""
    club_hidden: Count = 32
    """Width of the CLUB estimators."""
    club_learning_rate: Positive = 1e-3
    """Of the CLUB estimators' own fit."""
    club_weight_decay: NotNegative = 0.0
    """Of the CLUB estimators' own fit."""
    club_inner_steps: Count = 3
    """Steps of the CLUB estimators' own fit per batch."""
    club_limit: Positive | None = 50.0
    """Training stops when an epoch's weighted CLUB terms average more; `null` for never."""
    causal_only: bool = True
    """Refuse encoders that have seen the steps they are to predict."""
    layers_start: Literal["independent", "copies"] = "independent"
    """Independent initialisation, or all layers as copies of the first."""
    precision: Literal["float32", "bf16"] = "float32"
    """`bf16` uses autocast on CUDA; on the CPU always float32."""
    compile: bool = False
    """Compile the pair model, on CUDA only."""


class FinetuneSettings(BaseModel):
    """Classifier training on one modality's labels."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    epochs: Count = 100
    """Passes through the training windows."""
    batch: Annotated[int, Field(ge=2)] = 256
    """Windows per batch."""
    learning_rates: tuple[Positive, ...] = Field(default=(1e-3, 1e-4), min_length=1)
    """Every combination with `weight_decays` is tried; the best on validation trials is taken."""
    weight_decays: tuple[NotNegative, ...] = Field(default=(1e-4, 1e-2), min_length=1)
    """See `learning_rates`."""
    freeze: bool = True
    """Encoder and projection stay as pre-trained; false trains them too, as one modality alone does."""
    start: Literal["pretrained", "random"] = "pretrained"
    """`random` leaves the encoder as initialised: a control with `freeze`, else supervised training."""
    method: str = "pretrained"
    """How classifiers are trained: `pretrained` as described here, `supervised` with encoders that only
    labels train, or a method of an installed package."""
    frozen_dropout: bool = False
    """Released behaviour: dropout stays active in the frozen encoder."""
    frozen_in_optimiser: bool = False
    """Released behaviour: frozen parameters are given to Adam too."""
    last_batch: LastBatch = "merge"
    """As for pre-training."""
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Of the cross-entropy."""
    class_weight: Literal["balanced", "none"] = "balanced"
    """`balanced` gives every class the same weight; `none` as released."""
    adapt_norm: bool = True
    """A classifier trained on the other modality's labels takes its batch norm from this one's training
    windows. No label is used; both are assumed to hold the classes in the same shares."""
    classifier: Literal["network", "logistic"] = "network"
    """`network` as the paper's, trained epoch by epoch; `logistic`, not the paper's, a logistic regression
    of what it sees, fitted to its optimum: of these settings only `class_weight` and `readout` apply. It is
    for frozen encoders, whose signals a readout has brought into line: needs `freeze`, no `adapt_norm`."""
    readout: Annotated[int, Field(ge=0, le=1024)] = 0
    """Components of a canonical correlation of the modalities' projections on training pairs, without
    labels, that classifiers see; 0 for none. Not the paper's. Needs `freeze`."""
    linear: bool = False
    """A linear map of the features beside each classifier, of the same labels, how much of it by validation
    windows. For a modality's own labels alone; not the paper's. Needs `freeze`."""
    labels: str = "own"
    """For `--out`: `own`, or the modality whose labels train one classifier for all."""
    select: Literal["validation", "last"] = "validation"
    """Epoch and settings by validation trials, or the last epoch of the first setting."""
    stop_after: Annotated[int, Field(ge=0)] = 0
    """Training ends after this number of epochs, its learning rate falling as for `epochs`; 0 for all."""
    oracle: bool = False
    """Also report what selecting on the test trials would have given, labelled as such."""
    most_unknown: Annotated[float, Field(ge=0, le=0.9)] = 0.2
    """Largest share of validation windows that may fall below the confidence threshold."""
    trials_per_class: Annotated[int, Field(ge=0)] = 0
    """Number of labelled training trials used per class, over all people; 0 for all."""
    keep: tuple[str, ...] = ()
    """Modalities that the model file holds; empty for all."""
    storage: Literal["float32", "float16"] = "float32"
    """Number format of the network's weights in the model file."""
