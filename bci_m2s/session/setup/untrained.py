"""A model that is not there yet, of which a training file beside the pipeline says what it will be."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from bci_m2s.errors import BciM2sError, UsageError
from bci_m2s.files.yaml_file import read_yaml
from bci_m2s.model.contract import Contract
from bci_m2s.session.setup.shipped import find_model


class Untrained(NamedTuple):
    """What will make the model, and what it will be."""

    training: Path
    contract: Contract

    def next_step(self, model: str) -> str:
        """The commands that make the model file."""
        name = self.training.name
        return f"bci-m2s pretrain {name}, then bci-m2s finetune {name} --out {model}"


def find_trained(pipeline: Path, model: str) -> Path:
    """The file of a pipeline's model. Raises UsageError, with the commands where it can be trained."""
    try:
        return find_model(model, near=pipeline.parent)
    except UsageError:
        untrained = find_untrained(pipeline, model)
        if untrained is None:
            raise
        words = f"not trained yet: {untrained.next_step(model)}"
        raise UsageError(f"{pipeline}: model {model!r}: {words}") from None


def find_untrained(pipeline: Path, model: str) -> Untrained | None:
    """The training file beside a pipeline whose contract has the name of its model; None for none.

    model : as the pipeline has it, my-lab.safetensors
    """
    for path in sorted(pipeline.parent.glob("*.yaml")):
        try:
            values, _ = read_yaml(path)
            contract = Contract.model_validate(values["contract"]) if "contract" in values else None
        except (BciM2sError, ValidationError):  # another file, or one whose mistake its own check names
            continue
        if contract is not None and contract.name == Path(model).name.removesuffix(".safetensors"):
            return Untrained(path, contract)
    return None
