"""MAET as released: its size, and what each kind of input reaches."""

import pytest
import torch

from bci_m2s.training.methods.maet import WAYS, Maet


@pytest.mark.parametrize(
    ("features", "classes", "parameters"),
    [((310, 33), 7, 139_541), ((310, 33), 5, 139_343), ((310, 31), 4, 138_860), ((310, 33), 3, 139_145)],
)
def test_it_has_the_released_number_of_parameters(features, classes, parameters):
    assert sum(one.numel() for one in Maet(features, classes).parameters()) == parameters


def test_one_signal_reaches_neither_the_other_ones_parts_nor_those_of_both():
    network = Maet((10, 6), 3)
    network({0: torch.randn(4, 10)}).sum().backward()
    touched = {name for name, one in network.named_parameters() if one.grad is not None}
    others = (
        "views.1",
        "first.1",
        "types.1",
        "positions.1",
        "heads.1",
        "heads.2",
        "weight",
        "blocks.2.feeds.2",
    )
    others += ("blocks.2.feeds.2", *(f"blocks.{number}.feeds.1" for number in range(3)))
    assert not [name for name in touched if name.startswith(others)]
    assert {name for name, _ in network.named_parameters()} - touched == {
        name for name, _ in network.named_parameters() if name.startswith(others)
    }


def test_both_signals_use_the_shared_part_of_the_last_block():
    network = Maet((10, 6), 3)
    network({0: torch.randn(4, 10), 1: torch.randn(4, 6)}).sum().backward()
    untouched = {name for name, one in network.named_parameters() if one.grad is None}
    assert untouched
    assert all(
        name.startswith(("blocks.2.feeds.0", "blocks.2.feeds.1", "heads.0", "heads.1"))
        for name in untouched
    )


def test_a_window_is_the_mean_of_its_steps():
    network = Maet((10, 6), 3).eval()
    windows = [torch.randn(2, 4, 10), torch.randn(2, 4, 6)]
    for way in WAYS:
        seen = [windows[signal] for signal in way]
        whole = network.of_windows(way, *seen)
        steps = [network.of_windows(way, *(one[:, [step]] for one in seen)) for step in range(4)]
        torch.testing.assert_close(whole, torch.stack(steps).mean(dim=0))
