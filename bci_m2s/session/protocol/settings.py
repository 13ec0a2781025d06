"""Protocol files: what a guided session consists of. Unknown keys are refused, the nearest is named."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from bci_m2s.errors import ConfigurationError
from bci_m2s.files.explain import refused
from bci_m2s.files.yaml_file import read_yaml
from bci_m2s.files.yaml_kind import refuse_other
from bci_m2s.sources import Name
from bci_m2s.types import TRIAL_START, TRIAL_STOP

Share = Annotated[float, Field(ge=0, le=1)]
Duration = Annotated[float, Field(ge=0, le=86_400)]
Positive = Annotated[float, Field(gt=0, le=86_400)]
Text = Annotated[str, Field(max_length=1000)]


MOST_TRIALS = 2000  # of a session: a day of trials of 14 s


def _word(text: str) -> str:
    if not text.strip() or "/" in text or not text.isprintable():
        raise ValueError("a printable text without a slash")
    return text


def _pattern(text: str) -> str:
    try:
        re.compile(text)
    except (re.error, RecursionError, OverflowError) as problem:
        raise ValueError(f"a regular expression: {problem}") from None
    return text


def _all_different(texts: list[str]) -> list[str]:
    if len(set(texts)) < len(texts):
        raise ValueError("each once")
    return texts


Word = Annotated[str, Field(min_length=1, max_length=60), AfterValidator(_word)]
Pattern = Annotated[str, Field(max_length=300), AfterValidator(_pattern)]


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class PersonSettings(_Settings):
    """A simulated person who takes part instead of a real one: signals, and answers to the questions."""

    subject: Annotated[int, Field(ge=0)] = 0
    """Which simulated person."""
    visit: Annotated[int, Field(ge=0)] = 0
    """Which visit of the person."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Selects the population from which the person comes."""
    montage: Name = "seed-62"
    """A name that `bci-m2s montages` lists, or that of a montage of mne."""
    eeg_rate_hz: Annotated[float, Field(ge=64, le=20_000)] = 1000.0
    """Sampling rate of the EEG."""
    effect: Annotated[float, Field(ge=0, le=10)] = 1.0
    """Strength of the state in the signals; 0 removes it."""


class CheckSettings(_Settings):
    """The signal check at the beginning."""

    enabled: bool = True
    """Whether signals are checked before anything else."""
    good_share: Share = 0.8
    """Of the model's channels of every stream that must be good."""
    good_for_s: Duration = 5.0
    """The session goes on by itself when enough is good for so long."""
    give_up_s: Positive = 600.0
    """Without a hand on the keyboard the session ends when enough was not good in this time."""


class BaselineSettings(_Settings):
    """Rest with eyes open, which the model measures this person by."""

    duration_s: Duration = 60.0
    """Length; 0 for none. It lasts longer where the model has not had enough good signal by then."""
    text: Text = "Please look at the cross and relax."
    """What the participant reads."""


class ItemSettings(_Settings):
    """One thing to show."""

    label: Word
    """The class that it is to bring about."""
    clip: Text = ""
    """A film, sound or picture, relative to the protocol's folder; empty for a text alone."""
    text: Text = ""
    """What the participant reads before a clip, or during a trial without one."""
    duration_s: Positive | None = None
    """Length of the trial; `null`: the clip's own, or that of `trials.duration_s`."""


class ScreenSettings(_Settings):
    """Where clips are shown."""

    number: Annotated[int, Field(ge=0, le=15)] | None = None
    """Number of the screen, from 0; `null`: the second one where there are two."""
    fullscreen: bool = True
    """Whether they fill the screen."""
    volume: Annotated[float, Field(ge=0, le=100)] = 100.0
    """Loudness, percent."""
    options: Annotated[list[Text], Field(max_length=64)] = []
    """More options of mpv, each `--name` or `--name=value`."""


class TrialSettings(_Settings):
    """The labelled trials."""

    show: Literal["clips", "text", "program", "markers"] = "text"
    """`clips`: mpv plays them; `program`: a command per trial; `text`: words on the screen; `markers`: an
    experiment program shows what it wants and sends markers."""
    items: Annotated[list[ItemSettings], Field(max_length=1000)] = []
    """What is shown, and which class it stands for."""
    repeats: Annotated[int, Field(ge=1, le=100)] = 1
    """How often the list is shown."""
    order: Literal["random", "fixed"] = "random"
    """`random`: balanced, so that classes and their order are not confounded; `fixed`: as listed."""
    seed: Annotated[int, Field(ge=0, le=2**31 - 1)] | None = None
    """Of the random order; `null`: a new one, which is stored with the session."""
    countdown_s: Duration = 3.0
    """Between the announcement of a trial and its beginning."""
    duration_s: Positive | None = None
    """Length of trials that have none of their own."""
    rest_s: Duration = 5.0
    """After each trial and its questions."""
    screen: ScreenSettings = ScreenSettings()
    """Where clips are shown."""
    command: Annotated[list[Text], Field(max_length=64)] = []
    """For `program`: the command and its arguments; `{item}` is the clip, `{duration_s}` the length."""
    prints_onset: bool = False
    """For `program`: it prints a line `onset` when it shows the item; else its start is the onset."""
    start: Pattern = TRIAL_START + "(?P<label>.+)"
    """For `markers`: regular expression of a trial's first marker; its group `label` is the class."""
    stop: Pattern = TRIAL_STOP + ".+"
    """For `markers`: the same for its end; not needed where `duration_s` is given."""
    count: Annotated[int, Field(ge=1, le=10_000)] | None = None
    """For `markers`: how many trials there are; `null`: until `done` comes."""
    done: Text = "experiment/done"
    """For `markers`: this marker ends the trials."""

    @model_validator(mode="after")
    def _fits(self) -> TrialSettings:
        if self.show == "markers":
            if "label" not in re.compile(self.start).groupindex:
                raise ValueError("trials.start with a group (?P<label>...)")
            return self
        if not self.items:
            raise ValueError(f"items for show: {self.show!r}")
        if len(self.items) * self.repeats > MOST_TRIALS:
            raise ValueError(f"at most {MOST_TRIALS} trials, items times repeats")
        for item in self.items:
            if self.show in ("clips", "program") and not item.clip:
                raise ValueError(f"a clip for every item where show is {self.show!r}")
            if self.show == "text" and item.duration_s is None and self.duration_s is None:
                raise ValueError("duration_s for trials of text")
        if self.show == "program" and not self.command:
            raise ValueError("a command for show: 'program'")
        return self


class RatingSettings(_Settings):
    """One question after each trial."""

    scale: Word
    """Name of the scale: its markers, table and files have it."""
    kind: Literal["sam", "choice", "text"] = "sam"
    """`sam`: a row of pictograms from 1 to `points`; `choice`: one of `choices`; `text`: free text."""
    question: Text = ""
    """What is asked; empty for the usual words of the scale."""
    points: Annotated[int, Field(ge=3, le=9)] = 9
    """For `sam`: how many there are."""
    choices: Annotated[list[Word], Field(max_length=9), AfterValidator(_all_different)] = []
    """For `choice`: at most nine answers, chosen by their numbers."""

    @model_validator(mode="after")
    def _fits(self) -> RatingSettings:
        if self.kind == "choice" and len(self.choices) < 2:
            raise ValueError("two choices or more for kind: 'choice'")
        return self

    @property
    def words(self) -> str:
        """The question in words."""
        usual = {
            "valence": "How pleasant did you feel?",
            "arousal": "How excited did you feel?",
            "dominance": "How much in control did you feel?",
            "emotion": "What did you feel most?",
        }
        return self.question or usual.get(self.scale, f"{self.scale}?")


def _of_different_scales(ratings: list[RatingSettings]) -> list[RatingSettings]:
    scales = [rating.scale for rating in ratings]
    if len(set(scales)) < len(scales):
        raise ValueError(f"each scale once, not {', '.join(scales)}")
    return ratings


class BreakSettings(_Settings):
    """A longer rest."""

    after_trials: Annotated[int, Field(ge=0, le=10_000)] = 0
    """After every so many trials; 0: only after the last."""
    duration_s: Duration = 30.0
    """Length; the participant may end it by a key. 0 for none."""
    text: Text = "A break. Please relax; you may move."
    """What the participant reads."""


class LiveSettings(_Settings):
    """The live run at the end: no labels, only the model's estimates."""

    duration_s: Duration = 60.0
    """Length; 0 for none."""
    text: Text = "Thank you. Now please do what you like."
    """What the participant reads."""


class ProtocolSettings(_Settings):
    """A whole protocol file."""

    name: Word = "protocol"
    """Name of the protocol: in markers, tables and reports."""
    pipeline: Name
    """The pipeline that runs during the session: a shipped name, or a path relative to this file."""
    simulated: PersonSettings | None = None
    """A simulated person instead of LSL streams."""
    check: CheckSettings = CheckSettings()
    """The signal check."""
    baseline: BaselineSettings = BaselineSettings()
    """Rest before the trials."""
    trials: TrialSettings
    """The labelled trials."""
    ratings: Annotated[
        list[RatingSettings], Field(max_length=20), AfterValidator(_of_different_scales)
    ] = []
    """Questions after each trial, in this order."""
    rating_timeout_s: Duration = 0.0
    """An answer that does not come in this time is missing; 0: there is no limit."""
    breaks: BreakSettings = BreakSettings()
    """Breaks."""
    live: LiveSettings = LiveSettings()
    """The live run."""
    report: bool = True
    """Whether a report, over all takes, is written once the session is complete."""
    fast_speed: Annotated[float, Field(ge=1, le=100)] = 5.0
    """How many times faster time passes for a simulated person with `--fast`."""


def load_protocol(path: Path) -> ProtocolSettings:
    """Read a protocol file.

    Raises
    ------
    ConfigurationError
        One line: file, line, key, got, expected; the first problem of several.
    """
    values, lines = read_yaml(path)
    refuse_other(path, values, "protocol")
    values.setdefault("name", path.stem[:60])
    try:
        settings = ProtocolSettings.model_validate(values)
    except ValidationError as problem:
        raise refused(path, lines, problem, ProtocolSettings) from None
    for number, item in enumerate(settings.trials.items, 1):
        if item.clip and settings.trials.show == "clips" and not (path.parent / item.clip).is_file():
            raise ConfigurationError(
                f"{path}: trials.items: item {number}: clip: got {item.clip!r}, "
                f"expected a file in {path.parent}"
            )
    return settings
