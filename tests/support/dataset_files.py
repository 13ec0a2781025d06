"""Small look-alikes of licensed data sets: their layouts, made-up values."""

import pickle

import numpy as np
from scipy import io

from bci_m2s.training.datasets.seed import SEED_LABELS, SEED_SECONDS
from bci_m2s.training.datasets.seed_iv import SEED_IV_FIRST_STEPS, SEED_IV_LABELS
from bci_m2s.training.datasets.seed_layout import BANDS
from bci_m2s.training.datasets.seed_v import SEED_V_LABELS


def marked(channels, steps, bands):
    """(channels, steps, bands): every value tells where it stands, bands a hundred thousand apart."""
    channel, step, band = np.ogrid[:channels, :steps, :bands]
    return (band * 100_000 + channel * 1_000 + step).astype(float)


def write_seed_iv(root, subject=1, sessions=(1, 2, 3)):
    for session in sessions:
        eeg, eye = {}, {}
        for trial in range(1, len(SEED_IV_LABELS[0]) + 1):
            steps = SEED_IV_FIRST_STEPS[trial - 1] if session == 1 else trial % 3 + 1
            eeg[f"de_LDS{trial}"] = marked(62, steps, 5).astype(np.float32) + trial
            eeg[f"psd_LDS{trial}"] = -eeg[f"de_LDS{trial}"]
            eye[f"eye_{trial}"] = marked(31, steps, 1)[:, :, 0]
        save_mat(root / "eeg_feature_smooth" / str(session) / f"{subject}_20150915.mat", eeg)
        save_mat(root / "eye_feature_smooth" / str(session) / f"{subject}_20150915.mat", eye)


def save_mat(path, variables, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    io.savemat(path, variables, **options)


def seed_v_trials():
    """Data of EEG and eye, and labels, each {key: array}."""
    labels = np.concatenate(SEED_V_LABELS)
    steps = [key % 4 + 1 for key in range(45)]
    eeg = {key: marked(62, n, 5).transpose(1, 0, 2).reshape(n, 310) + key for key, n in enumerate(steps)}
    eye = {key: marked(33, n, 1)[:, :, 0].T for key, n in enumerate(steps)}
    return eeg, eye, {key: np.full(n, labels[key]) for key, n in enumerate(steps)}


def write_seed_v(root, subject=1, eeg=None, eye=None, labels=None):
    made = seed_v_trials()
    for folder, data in (("EEG_DE_features", eeg or made[0]), ("Eye_movement_features", eye or made[1])):
        (root / folder).mkdir(parents=True, exist_ok=True)
        path = root / folder / f"{subject}_123.npz"
        np.savez(path, data=pickle.dumps(data), label=pickle.dumps(labels or made[2]))


def write_seed(root, subject=1, session=1, step_s=4, with_eye=True, labels=SEED_LABELS):
    steps = [seconds // step_s for seconds in SEED_SECONDS]
    total, cut = sum(steps), sum(steps[:9])
    values = marked(62, total, 5)
    bands = {band: values[:, :, number].T for number, band in enumerate(BANDS)}
    rows = np.repeat(labels, steps)
    folder = root / "02-EEG-DE-feature" / f"eeg_used_{step_s}s"
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(
        folder / f"{subject}_{session}.npz",
        train_data=pickle.dumps({band: one[:cut] for band, one in bands.items()}),
        test_data=pickle.dumps({band: one[cut:] for band, one in bands.items()}),
        train_label=rows[:cut],
        test_label=rows[cut:],
    )
    if with_eye:
        folder = root / "04-Eye-tracking-feature" / "eye_tracking_feature"
        folder.mkdir(parents=True, exist_ok=True)
        eye = marked(33, total, 1)[:, :, 0].T
        held = {"train_data_eye": eye[:cut], "test_data_eye": eye[cut:]}
        (folder / f"{subject}_{session}").write_bytes(pickle.dumps(held, protocol=2))
