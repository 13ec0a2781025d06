"""ECO-FET: connectivity of electrodes, and what labels change."""

import numpy as np
import pytest
import torch
from support.small_pairs import PAIR, corpus, finetune_settings, job, training_settings, unit

from bci_m2s.training.methods import METHODS, NotPossible
from bci_m2s.training.methods.eco_fet import Connectivity, _pretrained, connectivity
from bci_m2s.training.methods.own_networks import EegAndOther


def test_permuted_electrodes_permute_rows_and_columns():
    electrodes, order = torch.randn(3, 5, 12), torch.tensor([3, 0, 4, 1, 2])
    found = connectivity(electrodes)
    np.testing.assert_allclose(found[1], np.corrcoef(electrodes[1].numpy()), atol=1e-5)
    torch.testing.assert_close(connectivity(electrodes[:, order]), found[:, order][:, :, order])
    assert not torch.allclose(found, found[:, order])
    assert connectivity(torch.ones(1, 5, 12)).abs().max() == 0


def test_an_electrode_is_its_bands_in_all_steps():
    """One electrode's features reach its own token, and all tokens of correlations' rows."""
    torch.manual_seed(0)
    encoder = Connectivity(4, EegAndOther("eeg", "eye", 3, 2, 5), 8).eval()
    encoder.layers = torch.nn.ModuleList()
    windows = torch.randn(1, 4, 6)
    changed = windows.clone()
    changed[:, 2, 2] += 1.0  # the first band of the second electrode, in one step
    moved = (encoder(changed) - encoder(windows)).abs().sum(dim=2)[0] > 1e-6
    assert moved.tolist() == [False, True, False, True, True, True]


def test_labels_tune_a_copy_of_the_encoders_for_each_answer():
    settings = training_settings()
    data = unit(settings, corpus(people=6, per_session=4, steps=6))
    answers = METHODS["eco-fet"].learn(job(settings), data, finetune_settings(epochs=2))
    assert list(answers) == [(names, names) for names in (PAIR[:1], PAIR[1:], PAIR)]
    tuned = [answer.args[0]["emotion"].encoders.state_dict() for answer in answers.values()]
    assert not torch.equal(tuned[0]["encoders.0.of_rows.weight"], tuned[2]["encoders.0.of_rows.weight"])
    before = _pretrained(job(settings), data)[1].state_dict()
    other = "encoders.1.affine.weight"
    assert torch.equal(tuned[0][other], before[other])
    assert not torch.equal(tuned[1][other], before[other])
    assert METHODS["eco-fet"].approximate


def test_it_takes_eeg_and_one_more():
    with pytest.raises(NotPossible, match="EEG and one other signal"):
        METHODS["eco-fet"].takes(training_settings().contract, PAIR[1:])
