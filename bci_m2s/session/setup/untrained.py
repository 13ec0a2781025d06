"""A model that is not there yet, of which a training file beside the pipeline says what it will be."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from bci_m2s.errors import BciM2sError
from bci_m2s.files.yaml_file import read_yaml
from bci_m2s.model.contract import Contract


class Untrained(NamedTuple):
    """What will make the model, and what it will be."""

    training: Path
    contract: Contract

    def next_step(self, model: str) -> str:
        """The commands that make the model file."""
        name = self.training.name
        return f"bci-m2s pretrain {name}, then bci-m2s finetune {name} --out {model}"


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
