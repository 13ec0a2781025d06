"""Which labels count: protocols with many pairs and few labels, or with labels of people without pairs."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

from bci_m2s.errors import ContractError


class LabelSettings(BaseModel):
    """Whose labels count. What is left out is left out for the method and every control alike.

    Wherever labels are left out validation people have none either, so nothing can be chosen by them:
    ``finetune.select`` is `last`, and probabilities are not calibrated.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    people: Annotated[int, Field(ge=0)] | None = None
    """Number of training people who keep their labels, drawn anew for every fold and seed; `null` for all.
    All people's windows stay, as pairs without labels."""
    unpaired: bool = False
    """Half of the training people, drawn anew for every fold and seed, give pairs without labels; the
    others give labelled windows of each signal, none of which has another signal beside it."""
    new_person_trials: Annotated[int, Field(ge=0)] = 0
    """Trials of each class, the first ones, that each person who tests gives to the training, as pairs with
    labels; the person's other trials test. 0 for none. With `people: 0` these are the only labels."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Of the draws, beside each model's own seed."""

    @property
    def leave_out(self) -> bool:
        """Whether labels are left out or given by new people."""
        return self.draw or self.new_person_trials > 0

    @property
    def draw(self) -> bool:
        """Whether each seed has other people's labels."""
        return self.unpaired or bool(self.people)

    @model_validator(mode="after")
    def _fit_together(self) -> LabelSettings:
        if self.unpaired and self.people is not None:
            expected = "null with unpaired, where half of the people keep labels"
            raise ContractError("labels", "people", self.people, expected)
        if self.people == 0 and not self.new_person_trials:
            raise ContractError("labels", "people", 0, "at least 1, or new_person_trials")
        return self


def label_lines(labels: LabelSettings) -> list[str]:
    """What the settings mean for every figure, in lines of sentences; none where all labels count."""
    if not labels.leave_out:
        return []
    said = []
    if labels.unpaired:
        said.append(
            "half of the training people, drawn for each fold and seed, give pairs without labels, the "
            "others labels of each signal without pairs"
        )
    elif labels.people:
        who = "1 training person keeps" if labels.people == 1 else f"{labels.people} training people keep"
        said.append(f"{who} labels, drawn for each fold and seed; all others give pairs without labels")
    elif labels.people == 0:
        said.append("no training person keeps labels, all give pairs")
    if n := labels.new_person_trials:
        said.append(
            f"every person who tests gives the first {n} trial{'s' if n > 1 else ''} of each class to the "
            "training, pairs and labels, and nothing of the others"
        )
    return [
        f"Labels: {'; '.join(said)}{f' (seed of the draws {labels.seed})' if labels.draw else ''}.",
        "Validation people have no labels: nothing is chosen by labels, epochs and strengths are those "
        "written down before, probabilities are as trained. Their unlabelled pairs may end pre-training.",
    ]
