"""STS attention against the same layer written out in full."""

from __future__ import annotations

import copy
import os
import shutil
import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from bci_m2s.networks import sts
from bci_m2s.networks.sts import STSAttention, attend, attend_in_parts, mix_steps
from bci_m2s.networks.sts_learning import learn_in_parts
from bci_m2s.training.methods.adam import Adam


def written_out(layer: STSAttention, x: Tensor) -> Tensor:
    """The definition, step by step: queries, keys and values of every head at their full width."""
    heads, width = layer.heads, layer.head_width
    batch, steps, channels, _ = x.shape
    q, k, v = (
        (x @ lin.weight.T).view(batch, steps, channels, heads, width)
        for lin in (layer.to_q, layer.to_k, layer.to_v)
    )
    keys, values = [], []
    for t in range(steps):
        earlier = max(t - 1, 0)
        keys.append((k[:, t] + k[:, earlier] + k[:, 0]) / 3)
        values.append((v[:, t] + v[:, earlier] + v[:, 0]) / 3)
    key, value = torch.stack(keys, 1), torch.stack(values, 1)
    scores = torch.einsum("btchd,btjhd->bthcj", q, key) / width**0.5
    mixed = torch.einsum("bthcj,btjhd->btchd", scores.softmax(-1), value)
    return mixed.reshape(batch, steps, channels, heads * width) @ layer.to_out.weight.T + layer.to_out.bias


def largest_difference(a: Tensor, b: Tensor) -> float:
    return (a - b).abs().max().item()


@pytest.fixture
def layer() -> STSAttention:
    torch.manual_seed(11)
    return STSAttention(5)


@pytest.mark.parametrize(
    ("channels", "bands", "heads", "width"), [(62, 5, 4, 64), (4, 5, 2, 16), (1, 3, 1, 8), (7, 1, 3, 4)]
)
def test_equals_the_layer_written_out(channels: int, bands: int, heads: int, width: int) -> None:
    torch.manual_seed(1)
    layer = STSAttention(bands, heads, width)
    x = torch.randn(3, 5, channels, bands, requires_grad=True)
    weights = torch.randn(3, 5, channels, bands)
    parameters = [x, *layer.parameters()]
    got, expected = layer(x), written_out(layer, x)
    assert largest_difference(got, expected) < 1e-5
    got_gradients = torch.autograd.grad((got * weights).sum(), parameters)
    expected_gradients = torch.autograd.grad((expected * weights).sum(), parameters)
    for a, b in zip(got_gradients, expected_gradients, strict=True):
        assert a.abs().max() > 0 or channels == 1  # one channel: scores do not matter
        assert largest_difference(a, b) < 1e-4 * max(1.0, b.abs().max().item())


def test_equals_in_double_precision() -> None:
    torch.manual_seed(2)
    layer = STSAttention(5).double()
    x = torch.randn(2, 5, 62, 5, dtype=torch.float64)
    assert largest_difference(layer(x), written_out(layer, x)) < 1e-13


def inputs_of_attention(n: int, channels: int, heads: int, bands: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(n)
    shapes = [(n, channels * heads, bands), (n, channels, bands), (n, bands, heads * channels)]
    return [
        torch.randn(*shape, generator=generator, dtype=torch.float64).requires_grad_() for shape in shapes
    ]


@pytest.mark.parametrize("at_once", [1, 40, 100, 10**6])
def test_parts_have_the_gradients_of_finite_differences(at_once: int) -> None:
    """Parts of one, of two with a last one that is smaller, of four, and all in one."""
    assert torch.autograd.gradcheck(attend, inputs_of_attention(5, 3, 2, 2))
    shapes = [(5, 3, 2), (5, 3, 2), (2, 4), (2, 4)]
    generator = torch.Generator().manual_seed(5)
    inputs = [torch.randn(*shape, generator=generator, dtype=torch.float64) for shape in shapes]
    learn = partial(learn_in_parts, at_once=at_once)
    assert torch.autograd.gradcheck(learn, [each.requires_grad_() for each in inputs])


@pytest.mark.parametrize("n", [0, 1, 2, 7, 40])
def test_parts_equal_the_whole(n: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sts, "SCORES_AT_ONCE", 3 * 9 * 9 * 4)
    inputs = inputs_of_attention(n, 9, 4, 5)
    with torch.no_grad():
        assert torch.equal(attend_in_parts(*inputs), attend(*inputs))


@pytest.mark.parametrize("name", ["attend_in_parts", "learn_in_parts"])
def test_a_large_batch_goes_in_parts_and_a_window_does_not(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = []
    counted = getattr(sts, name)

    def counting(*inputs: Any) -> Tensor:
        taken.append(len(inputs[0]))
        return counted(*inputs)

    monkeypatch.setattr(sts, name, counting)
    layer = STSAttention(5)
    large = torch.randn(16, 5, 62, 5)
    with torch.set_grad_enabled(name == "learn_in_parts"):
        got = layer(large)
        assert taken == [80]
        layer(large[:1])
        assert taken == [80]
    assert largest_difference(got, written_out(layer, large)) < 1e-5


@pytest.mark.parametrize("scale", [1.0, 30.0])
@pytest.mark.parametrize("channels", [62, 14, 32])
def test_learning_from_a_large_batch_equals_the_layer_written_out(channels: int, scale: float) -> None:
    """Channels that are padded, that are not, and that fill the registers; moderate and huge scores."""
    torch.manual_seed(3)
    layer = STSAttention(5).double()
    windows = 2 + sts.SCORES_AT_ONCE // (5 * 4 * channels**2)
    x = (scale * torch.randn(windows, 5, channels, 5, dtype=torch.float64)).requires_grad_()
    weights = torch.randn(x.shape, dtype=torch.float64)
    wanted = [x, *layer.parameters()]
    got, expected = layer(x), written_out(layer, x)
    assert largest_difference(got, expected) < 1e-10
    pairs = zip(
        *(torch.autograd.grad((out * weights).sum(), wanted) for out in (got, expected)), strict=True
    )
    assert all(largest_difference(a, b) < 1e-11 * b.abs().max().item() for a, b in pairs)


def test_scores_beyond_the_powers_of_float32_are_learnt_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sts, "SCORES_AT_ONCE", 64)
    torch.manual_seed(3)
    layer, x = STSAttention(5), 100 * torch.randn(4, 5, 8, 5)
    exact = copy.deepcopy(layer).double()
    with torch.no_grad():
        score, _ = exact.folded()
        assert (
            x[..., :5].double().square().sum(-1).max() * score.norm()
        ).item() > 128  # e to that is infinite
    outs = layer(x), written_out(exact, x.double())
    assert (outs[0] - outs[1]).abs().max() < 1e-3 * outs[1].abs().max()
    gradients = [
        torch.autograd.grad(out.sum(), list(made.parameters()))
        for out, made in zip(outs, (layer, exact), strict=True)
    ]
    for got, expected in zip(*gradients, strict=True):
        assert got.isfinite().all()
        assert (got - expected).norm() < 1e-2 * expected.norm()


@pytest.mark.parametrize("channels", [62, 15, 8])
def test_scores_that_are_all_far_below_zero_are_learnt_from(
    channels: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Channels that fill up a register have scores of zero, which are not the largest of anybody's."""
    monkeypatch.setattr(sts, "SCORES_AT_ONCE", 64)
    torch.manual_seed(3)
    layer, x = STSAttention(5), 10 + torch.randn(2, 3, channels, 5)
    with torch.no_grad():
        layer.to_k.weight.copy_(-layer.to_q.weight)
    exact, precise = copy.deepcopy(layer).double(), x.double()
    with torch.no_grad():
        score, _ = exact.folded()
        scores = (precise @ score[:, :5]) @ mix_steps(precise).transpose(-1, -2)
        assert scores.max() < -150  # a power of which is zero in float32
    x.requires_grad_(), precise.requires_grad_()
    outs = layer(x), written_out(exact, precise)
    assert (outs[0] - outs[1]).abs().max() < 1e-3 * outs[1].abs().max()
    for got, expected in zip(
        torch.autograd.grad(outs[0].square().sum(), [x, *layer.parameters()]),
        torch.autograd.grad(outs[1].square().sum(), [precise, *exact.parameters()]),
        strict=True,
    ):
        assert (got - expected).norm() < 1e-2 * expected.norm()


def test_a_window_that_is_not_a_number_leaves_the_others_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sts, "SCORES_AT_ONCE", 4 * 8 * 8 * 3)  # three steps a part: two windows share one
    layer, x = STSAttention(5), torch.randn(4, 5, 8, 5)
    x[1, 2, 3, 4] = torch.nan
    got = layer(x)
    assert got[1].isnan().any()
    assert got[[0, 2, 3]].isfinite().all()


def test_in_eval_mode_gradients_leave_the_bits_alone(layer: STSAttention) -> None:
    layer.eval()
    x = torch.randn(16, 5, 62, 5)
    with torch.inference_mode():
        expected = layer(x)
    assert torch.equal(layer(x), expected)


def test_a_window_gives_the_same_bits_every_time(layer: STSAttention) -> None:
    layer.eval()
    window = torch.randn(1, 5, 62, 5)
    with torch.inference_mode():
        first = layer(window)
        assert all(torch.equal(layer(window), first) for _ in range(20))


def test_bf16_autocast_is_close_and_leaves_no_trace(layer: STSAttention) -> None:
    x = torch.randn(16, 5, 62, 5, requires_grad=True)
    wanted = [x, *layer.parameters()]
    weights = torch.randn(16, 5, 62, 5)

    def run(half: bool) -> tuple[Tensor, tuple[Tensor, ...]]:
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            out = layer(x).float()
        return out, torch.autograd.grad((out * weights).sum(), wanted)

    (exact, exact_gradients), (half, half_gradients) = run(False), run(True)
    pairs = [(half, exact), *zip(half_gradients, exact_gradients, strict=True)]
    for got, expected in pairs:
        assert got.isfinite().all()
        assert (got - expected).norm() < 0.02 * expected.norm()
    assert not torch.equal(half, exact)
    layer.eval()
    with torch.inference_mode():  # a fold that is kept under autocast serves float32 afterwards
        with torch.autocast("cpu", torch.bfloat16):
            layer(x[:1])
        assert largest_difference(layer(x[:1]), written_out(layer, x[:1])) < 1e-5


@pytest.mark.nightly
# torch's compiler itself warns of torch.jit.
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("backend", ["aot_eager", "inductor"])
def test_compiles_as_one_graph(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Forward, backward and inference, as they are without; "inductor" makes machine code."""
    if backend == "inductor" and not (os.environ.get("BCI_M2S_COMPILE") and shutil.which("g++")):
        pytest.skip("takes 20 s and a C++ compiler: set BCI_M2S_COMPILE=1")
    monkeypatch.setattr(sts, "SCORES_AT_ONCE", 16)  # uncompiled it goes in parts
    torch.manual_seed(4)
    layer, x = STSAttention(5, 2, 4), torch.randn(3, 5, 4, 5)
    got, expected = torch.compile(layer, backend=backend, fullgraph=True)(x), layer(x)
    assert largest_difference(got, expected) < 1e-5
    wanted = list(layer.parameters())
    gradients = [torch.autograd.grad(out.square().sum(), wanted) for out in (got, expected)]
    assert all(largest_difference(a, b) < 1e-4 for a, b in zip(*gradients, strict=True))
    layer.eval()
    with torch.inference_mode():
        compiled = torch.compile(layer, backend="aot_eager", fullgraph=True)
        assert largest_difference(compiled(x), layer(x)) < 1e-5


def test_mix_steps_of_known_numbers() -> None:
    x = torch.tensor([3.0, 6.0, 0.0, 9.0]).view(1, 4, 1, 1)
    assert mix_steps(x).flatten().tolist() == [3.0, 4.0, 3.0, 4.0]


def test_one_step_is_enough(layer: STSAttention) -> None:
    x = torch.randn(2, 1, 6, 5)
    assert largest_difference(layer(x), written_out(layer, x)) < 1e-5


def test_later_steps_do_not_matter(layer: STSAttention) -> None:
    x = torch.randn(2, 5, 8, 5)
    changed = x.clone()
    changed[:, 3:] += 10.0
    before, after = layer(x), layer(changed)
    assert torch.equal(before[:, :3], after[:, :3])
    assert largest_difference(before[:, 3:], after[:, 3:]) > 1e-3


def test_first_step_reaches_every_step(layer: STSAttention) -> None:
    x = torch.randn(1, 5, 8, 5)
    changed = x.clone()
    changed[:, 0] += 10.0
    difference = (layer(x) - layer(changed)).abs().amax(dim=(0, 2, 3))
    assert (difference > 1e-4).all()


def test_fold_is_kept_only_for_inference(layer: STSAttention) -> None:
    x = torch.randn(1, 5, 8, 5)
    layer.eval()
    layer(x)
    assert layer._kept is None  # gradients are on
    with torch.inference_mode():
        layer(x)
        kept = layer._kept
        layer(x)
    assert kept is not None
    assert layer._kept is kept


def _by_loading(layer: STSAttention) -> None:
    layer.load_state_dict(STSAttention(5).state_dict())


def _by_assigning(layer: STSAttention) -> None:
    layer.load_state_dict(STSAttention(5).state_dict(), assign=True)


def _by_training(layer: STSAttention) -> None:
    layer.train()
    optimiser = Adam(layer.parameters(), lr=0.1)
    layer(torch.randn(2, 5, 8, 5)).square().sum().backward()
    optimiser.step()
    layer.eval()


def _by_an_optimiser_in_eval_mode(layer: STSAttention) -> None:
    optimiser = Adam(layer.parameters(), lr=0.5)
    layer(torch.randn(2, 5, 8, 5)).square().sum().backward()
    optimiser.step()


def _by_editing_one_weight(layer: STSAttention) -> None:
    with torch.no_grad():
        layer.to_k.weight.mul_(-1.0)


def _by_replacing_data(layer: STSAttention) -> None:
    layer.to_v.weight.data = torch.randn_like(layer.to_v.weight)


@pytest.mark.parametrize(
    "change",
    [
        _by_loading,
        _by_assigning,
        _by_training,
        _by_an_optimiser_in_eval_mode,
        _by_editing_one_weight,
        _by_replacing_data,
    ],
)
def test_new_weights_make_a_new_fold(layer: STSAttention, change: Callable[[STSAttention], None]) -> None:
    x = torch.randn(1, 5, 8, 5)
    layer.eval()
    with torch.inference_mode():
        before = layer(x).clone()
    change(layer)
    with torch.inference_mode():
        after = layer(x)
        assert largest_difference(before, after) > 1e-3
        assert largest_difference(after, written_out(layer, x)) < 1e-5


def test_other_precision_makes_a_new_fold(layer: STSAttention) -> None:
    x = torch.randn(1, 5, 8, 5)
    layer.eval()
    with torch.inference_mode():
        layer(x)
    layer.double()
    with torch.inference_mode():
        assert layer(x.double()).dtype == torch.float64


def test_copy_and_state_leave_the_fold_out(layer: STSAttention) -> None:
    x = torch.randn(1, 5, 8, 5)
    names = set(layer.state_dict())
    layer.eval()
    with torch.inference_mode():
        expected = layer(x)
        assert torch.equal(copy.deepcopy(layer)(x), expected)
    assert (
        set(layer.state_dict())
        == names
        == {
            "to_q.weight",
            "to_k.weight",
            "to_v.weight",
            "to_out.weight",
            "to_out.bias",
        }
    )


def test_weights_made_in_inference_mode_are_never_kept() -> None:
    with torch.inference_mode():
        layer = STSAttention(5).eval()
        x = torch.randn(1, 5, 8, 5)
        layer(x)
        layer.to_v.weight.mul_(2.0)
        assert largest_difference(layer(x), written_out(layer, x)) < 1e-5


def seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


@pytest.mark.nightly
def test_faster_than_written_out(layer: STSAttention, capsys: pytest.CaptureFixture[str]) -> None:
    x = torch.randn(16, 5, 62, 5)
    runs: dict[str, Callable[[Callable[[], Tensor]], object]] = {
        "forward": lambda forward: forward(),
        "forward and backward": lambda forward: forward().sum().backward(),
    }
    folded, full = partial(layer, x), partial(written_out, layer, x)
    ratios = {}
    for name, run in runs.items():
        # Alternating, so that a busy machine slows both; the first pair is warm-up.
        times = [(seconds(partial(run, folded)), seconds(partial(run, full))) for _ in range(6)][1:]
        fast, slow = (statistics.median(column) for column in zip(*times, strict=True))
        ratios[name] = slow / fast
    with capsys.disabled():
        print("\nSTS folded against written out:", ", ".join(f"{n} {r:.1f}x" for n, r in ratios.items()))
    assert min(ratios.values()) > 1.5
