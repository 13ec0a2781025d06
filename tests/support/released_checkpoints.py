"""Checkpoints under the released names, and the released architecture in plain torch to judge them by.

Attention is written out as the paper has it: queries, keys and values of full width, keys and values
averaged over three steps, softmax over the channels of a step. Nothing of the package is used.
"""

from __future__ import annotations

import math

import torch
from torch import nn

HEADS = 4


class STS(nn.Module):
    """to_q, to_k, to_v, to_out as released; (B, T, C·K) → (B, T, C·K)."""

    def __init__(self, bands, width=64):
        super().__init__()
        inner = HEADS * width
        self.bands, self.width = bands, width
        self.to_q = nn.Linear(bands, inner, bias=False)
        self.to_k = nn.Linear(bands, inner, bias=False)
        self.to_v = nn.Linear(bands, inner, bias=False)
        self.to_out = nn.Sequential(nn.Linear(inner, bands), nn.Dropout(0.0))

    def forward(self, x):
        batch, steps, features = x.shape
        tokens = x.view(batch, steps, features // self.bands, self.bands)
        out = torch.zeros_like(tokens)
        for t in range(steps):
            reach = [t, max(t - 1, 0), 0]
            keys = sum(self.to_k(tokens[:, i]) for i in reach) / 3
            values = sum(self.to_v(tokens[:, i]) for i in reach) / 3
            queries = self.to_q(tokens[:, t])
            heads = []
            for h in range(HEADS):
                mine = slice(h * self.width, (h + 1) * self.width)
                scores = queries[..., mine] @ keys[..., mine].transpose(1, 2) / math.sqrt(self.width)
                heads.append(torch.softmax(scores, dim=-1) @ values[..., mine])
            out[:, t] = self.to_out(torch.cat(heads, dim=-1))
        return out.view(batch, steps, features)


class Layer(nn.Module):
    """Post-norm layer with its feed-forward part under the name `layers`."""

    def __init__(self, width, attention, ffn):
        super().__init__()
        self.self_attn = attention
        self.layers = nn.Sequential(
            nn.Linear(width, ffn), nn.ReLU(), nn.Dropout(0.1), nn.Linear(ffn, width), nn.Dropout(0.1)
        )
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)

    def forward(self, x):
        mixed = self.self_attn(x) if isinstance(self.self_attn, STS) else self.self_attn(x, x, x)[0]
        x = self.norm1(x + mixed)
        return self.norm2(x + self.layers(x))


class Stack(nn.Module):
    def __init__(self, layers):
        super().__init__()
        self.layers = nn.ModuleList(layers)

    def forward(self, x):
        for layer in self.layers:
            x = layer(x)
        return x


class Encoder(nn.Module):
    """An ER encoder with the template layer that the released one carries and never runs."""

    def __init__(self, n_features, embedding, make_layer, depth, bias, first):
        super().__init__()
        self.encoder_layer = make_layer()
        self.encoder = Stack([make_layer() for _ in range(depth)])
        self.affine_matrix = nn.Linear(n_features, embedding, bias=bias)
        self.first = first

    def forward(self, x):
        return self.encoder(self.affine_matrix(x)) if self.first else self.affine_matrix(self.encoder(x))


class Small(nn.Module):
    """Modules of the given names, for what only pre-training uses."""

    def __init__(self, **parts):
        super().__init__()
        for name, part in parts.items():
            setattr(self, name, part)


class ReleasedModel(nn.Module):
    """The released model of EEG and eye movements; `eye_ffn` says how the eye layers are written."""

    def __init__(
        self, n_eeg=310, n_eye=33, bands=5, embedding=128, ffn=1024, depth=4, bias=True, eye_ffn="layers"
    ):
        super().__init__()

        def eeg_layer():
            return Layer(n_eeg, STS(bands), ffn)

        def eye_layer():
            if eye_ffn == "layers":
                attention = nn.MultiheadAttention(embedding, HEADS, batch_first=True)
                return Layer(embedding, attention, ffn)
            return nn.TransformerEncoderLayer(embedding, HEADS, ffn, 0.1, batch_first=True)

        self.EEG_ER_encoder = Encoder(n_eeg, embedding, eeg_layer, depth, bias, first=False)
        self.Eye_ER_encoder = Encoder(n_eye, embedding, eye_layer, depth, bias, first=True)
        self.EEG_EI_encoder = Small(eeg_linear=nn.Linear(n_eeg, embedding))
        self.Eye_EI_encoder = Small(eye_linear=nn.Linear(n_eye, embedding))
        self.eeg_decoder = Small(
            eeg_linear=nn.Linear(embedding, embedding), eeg_rec=nn.Linear(2 * embedding, n_eeg)
        )
        self.eye_decoder = Small(
            eye_linear=nn.Linear(embedding, embedding), eye_rec=nn.Linear(2 * embedding, n_eye)
        )
        self.eeg_transform = nn.Sequential(nn.Linear(embedding, 32), nn.ReLU())
        self.eye_transform = nn.Sequential(nn.Linear(embedding, 32), nn.ReLU())
        self.logit_scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))
        self.cpc = Small(
            eeg_ar_lstm=nn.LSTM(embedding, 64, 2, batch_first=True),
            eye_ar_lstm=nn.LSTM(embedding, 64, 2, batch_first=True),
            eeg_predictors=nn.ModuleList(nn.Linear(128, embedding) for _ in range(2)),
            eye_predictors=nn.ModuleList(nn.Linear(128, embedding) for _ in range(2)),
        )

    def project(self, modality, x):
        encoder, transform = {
            "eeg": (self.EEG_ER_encoder, self.eeg_transform),
            "eye": (self.Eye_ER_encoder, self.eye_transform),
        }[modality]
        return transform(encoder(x).mean(dim=1))


class ReleasedClassifier(nn.Module):
    def __init__(self, n_classes=3):
        super().__init__()
        self.event_classifier = nn.Sequential(
            nn.Linear(32, 128), nn.ReLU(), nn.BatchNorm1d(128), nn.Linear(128, n_classes)
        )

    def forward(self, x):
        return self.event_classifier(x)


def released(n_classes=3, seed=0, **sizes):
    """A model and a classifier in eval mode, with every parameter and running statistic off its start."""
    torch.manual_seed(seed)
    model, classifier = ReleasedModel(**sizes), ReleasedClassifier(n_classes)
    with torch.no_grad():
        for parameter in [*model.parameters(), *classifier.parameters()]:
            parameter.add_(0.05 * torch.randn_like(parameter))
        norm = classifier.event_classifier[2]
        norm.running_mean.normal_()
        norm.running_var.uniform_(0.5, 2.0)
        norm.num_batches_tracked.fill_(1234)
    return model.eval(), classifier.eval()


def finetuned(model, classifier):
    """What the released fine-tuning saves."""
    return {"Encoder": model.state_dict(), "Classifier": classifier.state_dict()}


@torch.no_grad()
def expected_logits(model, classifier, modality, x):
    """Logits (B, classes) of the plain reference."""
    return classifier(model.project(modality, torch.from_numpy(x))).numpy()
