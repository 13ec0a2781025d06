"""Whether a model could know the test's answers by having seen the clips."""

from __future__ import annotations

from collections.abc import Sequence

from bci_m2s.training.data.splits import HasTrials, Split
from bci_m2s.training.data.stimuli import classes_by_clip, is_of_clip
from bci_m2s.training.settings import TrainingSettings


def shared_clips(
    settings: TrainingSettings, splits: Sequence[Split], sessions: Sequence[HasTrials]
) -> list[str]:
    """A line where the label is the clip's and the same clips train and test."""
    trials = [trial for session in sessions for trial in session.trials]
    if not splits or splits[0].by_stimulus:
        return []
    if not is_of_clip(classes_by_clip(trials, settings.contract.first_head)):
        return []
    of = {session.key(trial): trial.stimulus for session in sessions for trial in session.trials}
    train, test = ({of[key] for key in part} - {""} for part in (splits[0].train, splits[0].test))
    if not train & test:
        return []
    return [
        f"{len(train & test)} clips train and test, and the label is the clip's: what is learnt of a clip "
        "tells its label; split: {stimuli: apart} keeps them apart"
    ]
