"""Every entry of NETWORKS that is trained, and what the two M2S networks are made of."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from bci_m2s.errors import ContractError
from bci_m2s.networks import NETWORKS, build_network, complete_params
from bci_m2s.networks.m2s import StepAttention
from bci_m2s.training.methods.adam import Adam

SMALL = {"depth": 2, "heads": 2, "ffn": 32, "embedding": 16, "projection": 8, "hidden": 12}
CHANNELS, BANDS, CLASSES = 4, 5, 3
FEATURES = CHANNELS * BANDS
HEADS = {"emotion": CLASSES}


def small(name: str, **params: Any) -> Any:
    torch.manual_seed(5)
    return build_network(name, SMALL | params, n_features=FEATURES, n_channels=CHANNELS, heads=HEADS)


def answer(network: Any, x: torch.Tensor) -> torch.Tensor:
    """Logits of the one head, (B, classes)."""
    return network(x)["emotion"]


@pytest.mark.parametrize("name", [name for name, kind in NETWORKS.items() if kind.is_trained])
class TestEveryTrainedNetwork:
    def test_shapes(self, name: str) -> None:
        network = small(name)
        x = torch.randn(6, 5, FEATURES)
        assert {head: logits.shape for head, logits in network(x).items()} == {"emotion": (6, CLASSES)}
        assert network.embed(x).shape == (6, 5, SMALL["embedding"])
        assert network.project(x).shape == (6, SMALL["projection"])

    @pytest.mark.parametrize("steps", [1, 2, 9])
    def test_any_number_of_steps(self, name: str, steps: int) -> None:
        assert answer(small(name), torch.randn(3, steps, FEATURES)).shape == (3, CLASSES)

    def test_eval_is_deterministic_and_training_is_not(self, name: str) -> None:
        network = small(name, dropout=0.5)
        x = torch.randn(6, 5, FEATURES)
        assert not torch.equal(answer(network.train(), x), answer(network, x))
        network.eval()
        assert torch.equal(answer(network, x), answer(network, x))
        with torch.inference_mode():
            assert torch.allclose(answer(network, x), answer(network, x), atol=0, rtol=0)

    def test_inference_equals_eval_with_gradients(self, name: str) -> None:
        network = small(name).eval()
        x = torch.randn(6, 5, FEATURES)
        expected = answer(network, x)
        with torch.inference_mode():
            assert (answer(network, x) - expected).abs().max() < 1e-5

    def test_batch_of_one_equals_its_row_in_eval(self, name: str) -> None:
        network = small(name).eval()
        x = torch.randn(6, 5, FEATURES)
        with torch.inference_mode():
            assert (answer(network, x[2:3]) - answer(network, x)[2:3]).abs().max() < 1e-5

    def test_every_weight_gets_a_gradient(self, name: str) -> None:
        network = small(name, dropout=0.0)
        x, y = torch.randn(16, 5, FEATURES), torch.arange(16) % CLASSES
        torch.nn.functional.cross_entropy(answer(network, x), y).backward()
        silent = [key for key, p in network.named_parameters() if p.grad is None or not p.grad.any()]
        assert silent == []

    def test_learns_what_can_be_learnt(self, name: str) -> None:
        network = small(name, dropout=0.0, depth=1)
        generator = torch.Generator().manual_seed(3)
        y = torch.arange(48) % CLASSES
        x = torch.randn(48, 5, FEATURES, generator=generator)
        x[torch.arange(48), :, y] += 2.0
        optimiser = Adam(network.parameters(), lr=1e-2)
        for _ in range(20):
            optimiser.zero_grad()
            torch.nn.functional.cross_entropy(answer(network, x), y).backward()
            optimiser.step()
        accuracy = (answer(network.eval(), x).argmax(1) == y).float().mean()
        assert accuracy > 0.9

    def test_heads_share_encoder_and_projection_and_nothing_else(self, name: str) -> None:
        heads = {"valence": 2, "arousal": 2, "emotion": 5}
        network = build_network(name, SMALL, n_features=FEATURES, n_channels=CHANNELS, heads=heads).eval()
        x = torch.randn(6, 5, FEATURES)
        every, projected = network(x), network.project(x)
        assert {head: logits.shape[1] for head, logits in every.items()} == heads
        for head, logits in every.items():
            assert torch.equal(logits, network.heads[head](projected))
        assert not torch.equal(every["valence"], every["arousal"])
        every["valence"].sum().backward()
        touched = {
            key.split(".")[1]
            for key, p in network.named_parameters()
            if p.grad is not None and "heads" in key
        }
        assert touched == {"valence"}

    def test_a_head_cannot_have_a_name_that_torch_uses(self, name: str) -> None:
        with pytest.raises(ContractError, match="network: heads: got 'keys', expected a name that torch"):
            build_network(name, SMALL, n_features=FEATURES, n_channels=CHANNELS, heads={"keys": 2})

    def test_layers_start_different(self, name: str) -> None:
        first, second = small(name).encoder.layers
        same = [
            key
            for (key, a), b in zip(first.named_parameters(), second.parameters(), strict=True)
            if a.ndim == 2 and torch.equal(a, b)
        ]
        assert same == []

    def test_default_sizes_are_the_published_ones(self, name: str) -> None:
        network: Any = build_network(name, {}, n_features=310, n_channels=62, heads=HEADS)
        assert len(network.encoder.layers) == 4
        assert network.projection.linear.weight.shape == (32, 128)
        assert network.heads["emotion"].hidden.weight.shape == (128, 32)
        assert network.heads["emotion"].out.weight.shape == (3, 128)
        assert network.embed(torch.randn(1, 5, 310)).shape == (1, 5, 128)

    def test_unknown_setting_names_the_nearest(self, name: str) -> None:
        with pytest.raises(ContractError, match=r"params: got 'dept', .*nearest: 'depth'"):
            complete_params(name, {"dept": 3})

    @pytest.mark.parametrize(
        "wrong",
        [{"depth": 0}, {"depth": 10**400}, {"depth": 2.0}, {"depth": True}, {"depth": "4"}, {"depth": None},
         {"dropout": -0.1}, {"dropout": float("nan")}, {"dropout": 1.0},
         {"dropout": float("inf")}, {"ffn": []}],
    )  # fmt: skip
    def test_wrong_setting_is_refused(self, name: str, wrong: dict[str, Any]) -> None:
        key = next(iter(wrong))
        with pytest.raises(ContractError, match=f"network {name}: {key}: got .* expected a"):
            complete_params(name, wrong)


def test_unknown_network_names_the_nearest() -> None:
    with pytest.raises(ContractError, match="nearest: 'm2s-electrode'"):
        complete_params("m2s_electrod", {})


def test_causal_takes_only_true_or_false() -> None:
    assert complete_params("m2s-sequence", {"causal": True})["causal"] is True
    with pytest.raises(ContractError, match="expected true or false"):
        complete_params("m2s-sequence", {"causal": 1})


def test_features_that_are_not_channels_times_bands_are_refused() -> None:
    with pytest.raises(ContractError, match="n_features: got 21, expected a multiple of the 4 channels"):
        build_network("m2s-electrode", SMALL, n_features=21, n_channels=4, heads=HEADS)


def test_embedding_that_heads_cannot_share_is_refused() -> None:
    with pytest.raises(ContractError, match="embedding: got 128, expected a multiple of the 3 heads"):
        build_network("m2s-sequence", {"heads": 3}, n_features=33, n_channels=5, heads=HEADS)


@pytest.mark.parametrize(
    ("name", "params", "causal"),
    [
        ("m2s-electrode", {}, True),
        ("m2s-electrode", {"attention": "multi-head"}, True),
        ("m2s-electrode", {"attention": "none"}, True),
        ("m2s-sequence", {"causal": True}, True),
        ("m2s-sequence", {}, False),
    ],
)
def test_causality_of_the_embedding(name: str, params: dict[str, Any], causal: bool) -> None:
    network = small(name, **params).eval()
    x = torch.randn(2, 5, FEATURES)
    changed = x.clone()
    changed[:, 3:] += 5.0
    for context in (torch.enable_grad(), torch.inference_mode()):
        with context:
            difference = (network.embed(x) - network.embed(changed)).abs().amax(dim=(0, 2))
        assert bool((difference[:3] < 1e-6).all()) is causal
        assert (difference[3:] > 1e-3).all()


def test_electrode_features_are_channel_major() -> None:
    """Moving whole channels moves the attention's output with them: a token is (channel, all bands)."""
    attention = small("m2s-electrode").encoder.layers[0].attention
    x = torch.randn(2, 5, CHANNELS, BANDS)
    order = [2, 0, 3, 1]
    assert torch.allclose(attention(x)[:, :, order], attention(x[:, :, order]), atol=1e-6)
    layer = small("m2s-electrode").encoder.layers[0]
    assert layer.tokens == (CHANNELS, BANDS)


def test_encoder_layer_is_post_norm() -> None:
    """Each layer's output is normalised: zero mean and unit variance over its width."""
    layer = small("m2s-electrode").encoder.layers[0].eval()
    out = layer(3.0 + 7.0 * torch.randn(2, 5, FEATURES))
    assert out.mean(-1).abs().max() < 1e-5
    assert (out.var(-1, unbiased=False) - 1).abs().max() < 1e-3


def test_building_is_seeded_by_torch_alone() -> None:
    a, b = small("m2s-electrode").state_dict(), small("m2s-electrode").state_dict()
    assert all(torch.equal(a[key], b[key]) for key in a)


def test_without_the_setting_attention_is_sts_and_the_weights_are_called_as_before() -> None:
    """What model files hold that were written before there was a choice."""
    network, named = small("m2s-electrode"), small("m2s-electrode", attention="sts")
    x = torch.randn(2, 5, FEATURES)
    assert torch.equal(network.eval().embed(x), named.eval().embed(x))
    parts = {key.split(".")[4] for key in network.state_dict() if "layers.0.attention" in key}
    assert parts == {"to_q", "to_k", "to_v", "to_out"}


def test_multi_head_attention_is_that_of_torch_between_steps() -> None:
    torch.manual_seed(2)
    layer, theirs = StepAttention(6, 2, 3), torch.nn.MultiheadAttention(6, 2, batch_first=True)
    with torch.no_grad():
        theirs.in_proj_weight.copy_(layer.to_qkv.weight)
        theirs.out_proj.weight.copy_(layer.to_out.weight)
        theirs.out_proj.bias.copy_(layer.to_out.bias)
    x = torch.randn(3, 5, 6)
    later = torch.ones(5, 5, dtype=torch.bool).triu(1)
    expected, _ = theirs(x, x, x, attn_mask=later)
    torch.testing.assert_close(layer(x), expected)
    assert StepAttention(310, 4, 64)(torch.randn(1, 5, 310)).shape == (1, 5, 310)


def test_without_attention_steps_do_not_see_each_other() -> None:
    network = small("m2s-electrode", attention="none").eval()
    assert not [key for key in network.state_dict() if "attention" in key or "norm1" in key]
    x = torch.randn(2, 5, FEATURES)
    torch.testing.assert_close(network.embed(x)[:, 3:4], network.embed(x[:, 3:4]))
    for attention in ("sts", "multi-head"):
        other = small("m2s-electrode", attention=attention).eval()
        assert (other.embed(x)[:, 3:4] - other.embed(x[:, 3:4])).abs().max() > 1e-3


@pytest.mark.parametrize("wrong", ["self", 1, None, ["sts"], True])
def test_attention_takes_one_of_its_words(wrong: Any) -> None:
    with pytest.raises(ContractError, match=r"attention: got .*, expected one of sts, multi-head, none"):
        complete_params("m2s-electrode", {"attention": wrong})
