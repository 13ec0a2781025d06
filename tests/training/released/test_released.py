"""Released checkpoints: same input, same logits; anything else is refused in one line."""

import os
import pickle
import zipfile
from collections import OrderedDict

import numpy as np
import pytest
import torch
from support.command_line import bci
from support.command_line import refused as command_refused
from support.nightly import nightly
from support.released_checkpoints import expected_logits, finetuned, released

import bci_m2s
from bci_m2s.errors import BciM2sError, ModelError, OutputError, UsageError
from bci_m2s.model.model_file import load_model_file
from bci_m2s.training.released.released import import_released

SMALL = {"n_eeg": 20, "n_eye": 7, "embedding": 16, "ffn": 24, "depth": 2}


def windows(n_features, seed=0, n=6, steps=5):
    return np.random.default_rng(seed).normal(size=(n, steps, n_features)).astype(np.float32)


def saved(path, values):
    torch.save(values, path)
    return path


@pytest.fixture(scope="module")
def small():
    return released(2, **SMALL)


def refused(path, out, kind=ModelError, **options):
    with pytest.raises(kind) as caught:
        import_released(path, out, **options)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 900
    assert not out.exists()
    return message


class TestSameLogits:
    @pytest.mark.parametrize(
        ("dataset", "n_eye", "n_classes", "layout"),
        [
            ("seed", 33, 3, "band-major"),
            ("seed-iv", 31, 4, "channel-major"),
            pytest.param("seed-v", 33, 5, "channel-major", marks=pytest.mark.nightly),
        ],
    )
    def test_at_the_released_sizes(self, tmp_path, dataset, n_eye, n_classes, layout):
        model, classifier = released(n_classes, n_eye=n_eye)
        path = saved(tmp_path / "fine.pt", finetuned(model, classifier))
        contract = import_released(path, tmp_path / "m.safetensors")  # the shapes alone name the data set
        loaded = bci_m2s.load_model(tmp_path / "m.safetensors", device="cpu", threads=None)
        for modality, n in (("eeg", 310), ("eye", n_eye)):
            x = windows(n)
            wanted = expected_logits(model, classifier, modality, x)
            assert np.ptp(wanted) > 0.1
            assert np.ptp(wanted, axis=0).max() > 0.01  # and differs between windows
            np.testing.assert_allclose(loaded.logits(modality, x), wanted, atol=1e-5, rtol=0)
        assert contract.name == f"released-{dataset}"
        assert contract.modalities["eeg"].layout == layout
        assert len(contract.heads["emotion"].classes) == n_classes
        assert contract.modalities["eye"].network.params["causal"] is False

    @pytest.mark.parametrize(
        "change",
        [
            {"bias": False},
            {"eye_ffn": "torch"},
            {"depth": 1},
            {"embedding": 8, "ffn": 5, "n_eeg": 12, "bands": 4},
        ],
    )
    def test_with_other_sizes_and_spellings(self, tmp_path, change):
        model, classifier = released(2, **(SMALL | change))
        path = saved(tmp_path / "fine.pt", finetuned(model, classifier))
        import_released(path, tmp_path / "m.safetensors")
        loaded = bci_m2s.load_model(tmp_path / "m.safetensors", device="cpu", threads=None)
        for modality, n in (("eeg", (SMALL | change)["n_eeg"]), ("eye", 7)):
            x = windows(n)
            wanted = expected_logits(model, classifier, modality, x)
            np.testing.assert_allclose(loaded.logits(modality, x), wanted, atol=1e-5, rtol=0)

    def test_saved_by_data_parallel_and_as_a_bare_matrix(self, tmp_path, small):
        model, classifier = small
        values = finetuned(model, classifier)
        values["Encoder"] = OrderedDict(
            (f"module.{key}", value) for key, value in values["Encoder"].items()
        )
        bare = "module.EEG_ER_encoder.affine_matrix"
        values["Encoder"][bare] = values["Encoder"].pop(f"{bare}.weight")
        import_released(saved(tmp_path / "fine.pt", values), tmp_path / "m.safetensors")
        loaded = bci_m2s.load_model(tmp_path / "m.safetensors", device="cpu", threads=None)
        x = windows(20)
        wanted = expected_logits(model, classifier, "eeg", x)
        np.testing.assert_allclose(loaded.logits("eeg", x), wanted, atol=1e-5, rtol=0)

    def test_in_half_precision_as_its_own_rounding(self, tmp_path, small):
        model, classifier = small
        values = finetuned(model, classifier)
        half = {
            part: {k: v.half() if v.is_floating_point() else v for k, v in state.items()}
            for part, state in values.items()
        }
        import_released(saved(tmp_path / "half.pt", half), tmp_path / "m.safetensors")
        _, arrays = load_model_file(tmp_path / "m.safetensors")
        name = "EEG_ER_encoder.affine_matrix.weight"
        assert np.array_equal(
            arrays["eeg.network.encoder.affine.weight"], half["Encoder"][name].float().numpy()
        )


class TestWhatTheFileSays:
    def test_pretrained_has_an_untrained_classifier_and_says_so(self, tmp_path):
        model, _ = released(n_eye=31, depth=1)
        contract = import_released(
            saved(tmp_path / "pre.pt", model.state_dict()), tmp_path / "m.safetensors"
        )
        assert contract.name == "released-seed-iv"
        assert "untrained classifier" in contract.training["classifier"]
        assert contract.training["kind"] == "pre-trained"
        loaded = bci_m2s.load_model(tmp_path / "m.safetensors", device="cpu", threads=None)
        for modality, n in (("eeg", 310), ("eye", 31)):
            assert np.array_equal(loaded.predict_proba(modality, windows(n)), np.full((6, 4), 0.25))
            assert contract.modalities[modality].calibration["emotion"].unknown_below == 1.0
        network = loaded._networks["eeg"]
        with torch.no_grad():
            got = network.project(torch.from_numpy(windows(310)))
            wanted = model.project("eeg", torch.from_numpy(windows(310)))
        np.testing.assert_allclose(got, wanted, atol=1e-5, rtol=0)

    def test_pretrained_that_fits_two_data_sets_asks(self, tmp_path):
        path = saved(tmp_path / "pre.pt", released(depth=1)[0].state_dict())
        message = refused(path, tmp_path / "m", UsageError)
        assert "seed and seed-v" in message
        assert "--dataset" in message
        assert import_released(path, tmp_path / "m", dataset="seed-v").training["data"] == "seed-v"

    def test_what_was_left_out_and_that_the_scaler_is_unknown(self, tmp_path, small):
        contract = import_released(saved(tmp_path / "f.pt", finetuned(*small)), tmp_path / "m.safetensors")
        assert contract.training["left_out"] == [
            "EEG_EI_encoder.eeg_linear",
            "EEG_ER_encoder.encoder_layer",
            "Eye_EI_encoder.eye_linear",
            "Eye_ER_encoder.encoder_layer",
            "cpc.eeg_ar_lstm",
            "cpc.eeg_predictors",
            "cpc.eye_ar_lstm",
            "cpc.eye_predictors",
            "eeg_decoder.eeg_linear",
            "eeg_decoder.eeg_rec",
            "eye_decoder.eye_linear",
            "eye_decoder.eye_rec",
            "logit_scale",
        ]
        assert contract.training["scaler"].startswith("unknown")
        _, arrays = load_model_file(tmp_path / "m.safetensors")
        assert not arrays["eeg.scaler.mean"].any()
        assert (arrays["eye.scaler.std"] == 1).all()
        assert contract.heads["emotion"].classes == ("class 0", "class 1")
        assert contract.training["data"] == "unknown"

    def test_layout_can_be_chosen(self, tmp_path, small):
        path = saved(tmp_path / "f.pt", finetuned(*small))
        contract = import_released(path, tmp_path / "m", layout="band-major")
        assert contract.modalities["eeg"].layout == "band-major"
        assert contract.modalities["eye"].layout == "channel-major"

    def test_no_live_stream_can_feed_it(self, tmp_path):
        from bci_m2s.features import EXTRACTORS

        path = saved(tmp_path / "f.pt", finetuned(*released(4, n_eye=31, depth=1)))
        contract = import_released(path, tmp_path / "m")
        spec = contract.modalities["eeg"]
        with pytest.raises(BciM2sError, match="with 'seed-iv': no live stream"):
            EXTRACTORS[spec.feature.name](spec.feature.params, spec.channels, 200.0, 4.0, 4.0)


class TestScaler:
    def arrays(self, **changes):
        rng = np.random.default_rng(1)
        arrays = {}
        for name, n in (("eeg", 20), ("eye", 7)):
            arrays |= {f"{name}_mean": rng.normal(size=n), f"{name}_std": rng.uniform(0.5, 2, size=n)}
        return arrays | changes

    def test_is_stored(self, tmp_path, small):
        path = saved(tmp_path / "f.pt", finetuned(*small))
        values = self.arrays()
        np.savez(tmp_path / "scaler.npz", **values)
        contract = import_released(path, tmp_path / "m", scaler=tmp_path / "scaler.npz")
        _, arrays = load_model_file(tmp_path / "m")
        assert np.array_equal(arrays["eeg.scaler.mean"], values["eeg_mean"])
        assert np.array_equal(arrays["eye.scaler.std"], values["eye_std"])
        assert contract.training["scaler"] == "scaler.npz"

    @pytest.mark.parametrize(
        ("change", "named"),
        [
            ({"eeg_mean": np.zeros(19)}, "eeg_mean"),
            ({"eye_std": np.zeros(7)}, "eye_std"),
            ({"eye_mean": np.full(7, np.nan)}, "eye_mean"),
            ({"eeg_std": np.ones(20, int)}, "eeg_std"),
            ({"eeg_std": np.array([b"x"] * 20)}, "eeg_std"),
        ],
    )
    def test_that_does_not_fit_is_refused(self, tmp_path, small, change, named):
        path = saved(tmp_path / "f.pt", finetuned(*small))
        np.savez(tmp_path / "scaler.npz", **self.arrays(**change))
        assert named in refused(path, tmp_path / "m", BciM2sError, scaler=tmp_path / "scaler.npz")

    def test_that_lacks_a_modality_or_is_no_archive_is_refused(self, tmp_path, small):
        path = saved(tmp_path / "f.pt", finetuned(*small))
        values = self.arrays()
        del values["eye_mean"]
        np.savez(tmp_path / "scaler.npz", **values)
        assert "eye_mean" in refused(path, tmp_path / "m", BciM2sError, scaler=tmp_path / "scaler.npz")
        refused(path, tmp_path / "m", BciM2sError, scaler=path)
        refused(path, tmp_path / "m", BciM2sError, scaler=tmp_path / "absent.npz")


class Danger:
    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


class TestRefusals:
    def test_of_a_pickle_that_asks_for_a_function(self, tmp_path, small):
        values = finetuned(*small)
        values["Encoder"]["logit_scale"] = Danger(tmp_path / "made")
        message = refused(saved(tmp_path / "bad.pt", values), tmp_path / "m")
        assert "refused" in message
        assert "mkdir" in message
        assert not (tmp_path / "made").exists()

    @pytest.mark.parametrize(
        ("code", "expected"),
        [
            (b"c__builtin__\nbytearray\n", "bytearray"),
            (b"ctorch\nTensor\n", "torch.Tensor"),
            (b"ctorch.storage\nUntypedStorage\n", "UntypedStorage"),
            (b"(ios\nmkdir\n", "torch refuses its pickle"),
            (b"\x8c\x02os\x8c\x05mkdir\x93", "torch refuses its pickle"),
            (b"\x82\x01", "torch refuses its pickle"),
        ],
    )
    def test_of_a_pickle_that_asks_for_memory_or_by_another_code(self, tmp_path, code, expected):
        """torch alone gives the first three of these small files a GiB each."""
        gib = b"\x8a\x05" + (2**30).to_bytes(5, "little")
        with zipfile.ZipFile(tmp_path / "x.pt", "w") as archive:
            archive.writestr("x/version", "3\n")
            archive.writestr("x/data.pkl", b"\x80\x02}X\x01\x00\x00\x00a" + code + gib + b"\x85Rs.")
        assert expected in refused(tmp_path / "x.pt", tmp_path / "m")

    def test_of_a_whole_model_instead_of_its_state(self, tmp_path, small):
        message = refused(saved(tmp_path / "whole.pt", small[0]), tmp_path / "m")
        assert "ReleasedModel" in message

    def test_of_other_files(self, tmp_path):
        cases = {
            "empty": b"",
            "text": b"hello",
            "pickle": pickle.dumps({"a": 1}),
            "half-zip": b"PK\x03\x04" + bytes(40),
        }
        for name, raw in cases.items():
            (tmp_path / name).write_bytes(raw)
            refused(tmp_path / name, tmp_path / "m")
        torch.save({"a": torch.zeros(1)}, tmp_path / "old", _use_new_zipfile_serialization=False)
        assert "before 1.6" in refused(tmp_path / "old", tmp_path / "m")
        refused(tmp_path, tmp_path / "m")
        refused(tmp_path / "absent", tmp_path / "m")
        refused(tmp_path / "nul\0", tmp_path / "m")
        with zipfile.ZipFile(tmp_path / "plain.zip", "w") as archive:
            archive.writestr("readme", "x")
        assert "data.pkl" in refused(tmp_path / "plain.zip", tmp_path / "m")

    def test_of_a_compressed_archive(self, tmp_path, small):
        path = saved(tmp_path / "f.pt", finetuned(*small))
        with zipfile.ZipFile(path) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        with zipfile.ZipFile(tmp_path / "deflated.pt", "w", zipfile.ZIP_DEFLATED) as archive:
            for name, raw in members.items():
                archive.writestr(name, raw)
        assert "compressed" in refused(tmp_path / "deflated.pt", tmp_path / "m")

    @pytest.mark.parametrize(
        ("values", "expected"),
        [
            ([1, 2], "list"),
            ({}, "tensors by name"),
            ({"Encoder": {}, "Classifier": {}}, "empty"),
            ({"Model": {}, "Classifier": {}}, "'Model'"),
            ({"a": torch.zeros(2).to_sparse()}, "sparse"),
            ({"a": torch.zeros(2, dtype=torch.complex64)}, "refused"),
            ({"a": 3}, "int"),
            ({3: torch.zeros(2)}, "under a name"),
            ({"a": torch.zeros(1).expand(10**6, 10**6)}, "repeats"),
        ],
    )
    def test_of_other_contents(self, tmp_path, values, expected):
        assert expected in refused(saved(tmp_path / "x.pt", values), tmp_path / "m")

    @pytest.mark.parametrize(
        "place",
        [
            ("Encoder", "EEG_ER_encoder.encoder.layers.1.self_attn.to_k.weight"),
            ("Encoder", "EEG_ER_encoder.affine_matrix.weight"),
            ("Encoder", "Eye_ER_encoder.encoder.layers.1.self_attn.in_proj_weight"),
            ("Classifier", "event_classifier.2.running_mean"),
            *nightly(
                ("Encoder", "EEG_ER_encoder.encoder.layers.0.self_attn.to_out.0.bias"),
                ("Encoder", "EEG_ER_encoder.encoder.layers.0.layers.3.bias"),
                ("Encoder", "Eye_ER_encoder.encoder.layers.0.norm2.weight"),
                ("Encoder", "eye_transform.0.bias"),
                ("Classifier", "event_classifier.3.weight"),
            ),
        ],
    )
    def test_of_a_tensor_missing_misshapen_misnamed_or_not_finite(self, tmp_path, small, place):
        part, name = place
        for change, expected in (
            (lambda state: state.pop(name), f"{name!r} is missing"),
            (lambda state: state.update({name: torch.zeros(3, 3, 3)}), name),
            (lambda state: state.update({name: state[name].long()}), name),
            (lambda state: state.update({name: state[name] * float("nan")}), "NaN"),
            (lambda state: state.update({f"{name}x": state[name]}), f"nearest: {name!r}"),
        ):
            values = finetuned(*small)
            values[part] = OrderedDict(values[part])
            change(values[part])
            assert expected in refused(saved(tmp_path / "f.pt", values), tmp_path / "m")

    def test_of_a_layer_left_out_in_the_middle(self, tmp_path, small):
        values = finetuned(*small)
        values["Encoder"] = OrderedDict(
            (key.replace("Eye_ER_encoder.encoder.layers.1.", "Eye_ER_encoder.encoder.layers.7."), value)
            for key, value in values["Encoder"].items()
        )
        assert "is missing" in refused(saved(tmp_path / "f.pt", values), tmp_path / "m")

    def test_of_more_layers_than_a_network_may_have(self, tmp_path, small):
        values = finetuned(*small)
        values["Encoder"]["EEG_ER_encoder.encoder.layers.999.norm1.weight"] = torch.ones(20)
        assert "depth" in refused(saved(tmp_path / "f.pt", values), tmp_path / "m")

    def test_of_a_data_set_that_does_not_fit(self, tmp_path, small):
        path = saved(tmp_path / "f.pt", finetuned(*small))
        assert "nearest: 'seed-iv'" in refused(path, tmp_path / "m", UsageError, dataset="seediv")
        assert "310 eeg" in refused(path, tmp_path / "m", UsageError, dataset="seed")
        assert "layout" in refused(path, tmp_path / "m", UsageError, layout="sideways")

    def test_of_overwriting(self, tmp_path, small):
        path = saved(tmp_path / "f.pt", finetuned(*small))
        (tmp_path / "m").write_bytes(b"mine")
        with pytest.raises(OutputError, match="overwrite"):
            import_released(path, tmp_path / "m")
        assert (tmp_path / "m").read_bytes() == b"mine"
        import_released(path, tmp_path / "m", overwrite=True)
        assert load_model_file(tmp_path / "m")[0].name == "released-m2s"


@pytest.mark.parametrize("count", [40, *nightly(1000)])
def test_damaged_files_are_refused_in_one_line_or_read_whole(tmp_path, count):
    """Seeded mutations: bytes changed, cut off, doubled; mostly in directory and pickle."""
    rng = np.random.default_rng(0)
    tiny = released(2, n_eeg=4, n_eye=3, bands=2, embedding=4, ffn=3, depth=1)
    raw = saved(tmp_path / "f.pt", finetuned(*tiny)).read_bytes()
    head = raw.index(b"data.pkl")
    with zipfile.ZipFile(tmp_path / "f.pt") as archive:
        pickled = archive.getinfo("f/data.pkl").file_size
        directory = archive.start_dir
    places = ((0, len(raw)), (head, head + pickled + 100), (directory, len(raw)))
    messages, read = [], 0
    for number in range(count):
        low, high = places[number % 3]
        at = int(rng.integers(low, high))
        kind = number % 5
        bad = bytearray(raw)
        if kind < 3:
            for position in rng.integers(low, high, size=kind + 1):
                bad[position] = int(rng.integers(256))
        elif kind == 3:
            bad = bad[:at]
        else:
            bad[at:at] = bad[at : at + int(rng.integers(1, 64))]
        (tmp_path / "bad.pt").write_bytes(bad)
        (tmp_path / "m").unlink(missing_ok=True)
        try:
            import_released(tmp_path / "bad.pt", tmp_path / "m")
            load_model_file(tmp_path / "m")
            read += 1
        except BciM2sError as problem:
            messages.append(str(problem))
    assert max(len(message) for message in messages) < 900
    assert not any("\n" in message for message in messages)
    assert len(messages) > count / 2
    assert read > count / 80  # damage in padding and in unused parts does no harm


@pytest.mark.nightly
def test_names_are_mutated_too(tmp_path, small):
    """Seeded changes of the state dict itself: every one is refused by name or leaves a sound model."""
    rng = np.random.default_rng(1)
    path, messages = tmp_path / "f.pt", []
    for _ in range(60):
        values = finetuned(*small)
        values = {part: OrderedDict(state) for part, state in values.items()}
        part = values[("Encoder", "Classifier")[int(rng.integers(2))]]
        names = list(part)
        name, other = (names[i] for i in rng.choice(len(names), 2, replace=False))
        kind = int(rng.integers(4))
        if kind == 0:
            part[name] = part[other]
        elif kind == 1:
            part[name[::-1]] = part.pop(name)
        elif kind == 2:
            part[name] = part[name].reshape(-1)[: int(rng.integers(0, 5))]
        else:
            part[name] = part[name].double() * 1e300
        (tmp_path / "m").unlink(missing_ok=True)
        try:
            import_released(saved(path, values), tmp_path / "m")
            load_model_file(tmp_path / "m")
        except BciM2sError as problem:
            messages.append(str(problem))
    assert len(messages) > 20
    assert all(message.startswith(f"{path}: ") and "\n" not in message for message in messages)


def test_the_command(tmp_path):
    path = saved(tmp_path / "fine.pt", finetuned(*released(3, depth=1)))
    out = tmp_path / "m.safetensors"
    done = bci("import-released", path, "--out", out, "--dataset", "seed")
    assert done.returncode == 0, done.stderr
    assert "negative, neutral, positive" in done.stdout
    assert "scaler: unknown" in done.stdout
    assert "exists" in command_refused("import-released", path, "--out", out)
