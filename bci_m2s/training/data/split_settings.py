"""Which trials train, validate and test, and how windows are cut of them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from bci_m2s.errors import ContractError

Count = Annotated[int, Field(ge=1)]


class SplitSettings(BaseModel):
    """Which trials train, validate and test.

    subjects : `test_subjects` people test, `validation_subjects` validate, all others train
    subject-folds : people in `folds` parts that test in turn (0: one person at a time)
    trials : within each session the first `train_trials` trials train, the others test
    trial-folds : within each session `folds` blocks of trials test in turn
    named : the people in `test` test, those in `validation` validate, all others train
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["subjects", "subject-folds", "trials", "trial-folds", "named"] = "subjects"
    """How trials are divided."""
    test_subjects: Count = 4
    """For `subjects`: number of people that test."""
    validation_subjects: Count = 4
    """For `subjects` and `subject-folds`: number of people that validate."""
    folds: Annotated[int, Field(ge=0)] = 5
    """Number of parts; for `subject-folds`, 0 leaves one person out at a time."""
    train_trials: Count = 9
    """For `trials`: number of trials at the beginning of a session that train; the others test."""
    validation_trials: Count = 1
    """Within a session, the last training trials of each class of every head that validate."""
    test: tuple[str, ...] = ()
    """For `named`: who tests: people, or PERSON/SESSION for one session of a person."""
    validation: tuple[str, ...] = ()
    """For `named`: who validates, in the same way."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Of the draw of people, and of clips."""
    validation_by_seed: bool = False
    """For `subjects` and `subject-folds`: with each of `seeds` others validate, in turn; the same test."""
    stimuli: Literal["shared", "apart"] = "shared"
    """`apart`: no clip is in two parts. A trial of a person and a clip of different parts is not used."""
    stimulus_folds: Annotated[int, Field(ge=3)] = 5
    """With `stimuli: apart`: number of parts of the clips; one tests, the next validates, the others train;
    with folds of people they take turns."""

    @model_validator(mode="after")
    def _people_are_apart(self) -> SplitSettings:
        if self.stimuli == "apart" and self.kind in ("trials", "trial-folds"):
            expected = f"shared with kind {self.kind}, which keeps trials of one session apart"
            raise ContractError("split", "stimuli", "apart", expected)
        return self

    @model_validator(mode="after")
    def _validate_in_turn(self) -> SplitSettings:
        if self.validation_by_seed and self.kind not in ("subjects", "subject-folds"):
            expected = f"false with kind {self.kind}: subjects and subject-folds draw who validates"
            raise ContractError("split", "validation_by_seed", "true", expected)
        return self

    @model_validator(mode="after")
    def _are_named(self) -> SplitSettings:
        is_named = self.kind == "named"
        for part, names in (("test", self.test), ("validation", self.validation)):
            if bool(names) != is_named:
                got = f"{len(names)} names" if names else "nothing"
                expected = "names of people" if is_named else f"nothing with kind {self.kind}"
                raise ContractError("split", part, got, expected)
        return self


class WindowSettings(BaseModel):
    """How windows are cut and scaled."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    every_hops: Count = 1
    """One window per this many hops."""
    straddling: bool = False
    """Released behaviour: windows may run over the end of a trial."""
    own_session: bool = False
    """Transductive: each session is z-scored by all of its own rows. Such a model cannot run live."""
