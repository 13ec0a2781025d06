"""A unit that nobody knows is named when a training file is checked."""

from __future__ import annotations

import pytest

from bci_m2s.model.contract import Contract
from bci_m2s.training.check.training_file import _unit_notes
from tests.model.test_contract import change, contract_fields


@pytest.mark.parametrize(("unit", "notes"), [("uW", 1), ("uV", 0), ("microvolts", 0), ("", 0)])
def test_a_unit_that_nobody_knows(unit, notes):
    fields = change(contract_fields(), "modalities.eeg.units", [unit] * 4)
    found = _unit_notes(Contract.model_validate(fields))
    named = f"contract.modalities.eeg.units: {unit!r} is no unit that is known here"
    assert len([note for note in found if note.startswith(named)]) == notes
