"""Protocol files: what is refused, and with which words."""

import pytest
import yaml
from support.guided_sessions import PROTOCOL

from bci_m2s.errors import ConfigurationError, OutputError
from bci_m2s.session.protocol.parts import pipeline_of
from bci_m2s.session.protocol.planned import draw_order, order_notes, planned_trials, store, stored
from bci_m2s.session.protocol.settings import load_protocol
from bci_m2s.session.setup.shipped import find_protocol

ITEMS = [{"label": "calm", "text": "Rest."}, {"label": "upset", "text": "Count."}]


def written(folder, **changes):
    path = folder / "mine.yaml"
    path.write_text(yaml.safe_dump({**PROTOCOL, **changes}), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"trails": 3}, "trails"),
        ({"trials": {"items": ITEMS}}, "duration_s for trials of text"),
        ({"trials": {"show": "clips", "items": ITEMS}}, "a clip for every item"),
        ({"trials": {"show": "program", "items": [{"label": "a", "clip": "x"}]}}, "a command"),
        ({"trials": {"show": "markers", "start": "go"}}, "a group"),
        ({"trials": {"show": "markers", "start": "("}}, "a regular expression"),
        (
            {"trials": {"items": [{"label": f"c{n}"} for n in range(21)], "duration_s": 3, "repeats": 100}},
            "at most 2000 trials",
        ),
        ({"trials": {"items": [{"label": "a/b"}], "duration_s": 3}}, "without a slash"),
        ({"ratings": [{"scale": "v"}, {"scale": "v"}]}, "each scale once, not v, v"),
        ({"ratings": [{"scale": "v", "kind": "choice", "choices": ["a", "a"]}]}, "ratings.0.choices: got"),
        ({"ratings": [{"scale": "v", "kind": "choice"}]}, "two choices"),
        (
            {"trials": {"show": "clips", "items": [{"label": "a", "clip": "no.mp4"}]}},
            "item 1: clip: got 'no.mp4'",
        ),
        ({"check": {"good_share": 80}}, "check.good_share"),
    ],
)
def test_a_mistake_is_one_line_with_file_and_key(tmp_path, changes, words):
    with pytest.raises(ConfigurationError) as problem:
        load_protocol(written(tmp_path, **changes))
    assert "\n" not in str(problem.value)
    assert "mine.yaml" in str(problem.value)
    assert words in str(problem.value)


def test_a_pipeline_that_is_not_there_is_one_line_with_file_and_key(tmp_path):
    path = written(tmp_path, pipeline="dmeo")
    with pytest.raises(ConfigurationError) as problem:
        pipeline_of(load_protocol(path), path)
    line = path.read_text(encoding="utf-8").splitlines().index("pipeline: dmeo") + 1
    assert str(problem.value) == (
        f"{path}:{line}: pipeline: got 'dmeo', expected a file in {tmp_path}, or the name of a shipped "
        "pipeline; nearest: 'demo'"
    )


def test_another_kind_of_file_is_named(tmp_path):
    path = tmp_path / "pipeline.yaml"
    path.write_text("model: muse-4ch\nstreams: {eeg: {type: EEG}}\n", encoding="utf-8")
    with pytest.raises(ConfigurationError, match="this is a pipeline, expected a protocol"):
        load_protocol(path)


@pytest.mark.parametrize("words", ["base: mine.yaml", "preset: aligned", "seeds: 10"])
def test_one_key_alone_says_that_a_file_is_of_training(tmp_path, words):
    path = tmp_path / "training.yaml"
    path.write_text(f"{words}\n", encoding="utf-8")
    with pytest.raises(ConfigurationError, match="this is a training file, expected a protocol"):
        load_protocol(path)


def test_the_drawn_order_is_stored_and_comes_back(tmp_path):
    path = written(tmp_path, breaks={"after_trials": 2, "duration_s": 1.0})
    drawn = draw_order(load_protocol(path))
    store(drawn, tmp_path, path)
    assert planned_trials(stored(tmp_path)) == planned_trials(drawn)
    assert [trial.block for trial in planned_trials(drawn)] == [1, 1, 2, 2, 3, 3]
    with pytest.raises(OutputError, match="not overwritten"):
        store(drawn, tmp_path, path)
    with pytest.raises(ConfigurationError, match=r"got no protocol\.yaml"):
        stored(tmp_path / "elsewhere")


def test_a_random_order_without_a_seed_gets_one(tmp_path):
    trials = {**PROTOCOL["trials"], "seed": None}
    drawn = draw_order(load_protocol(written(tmp_path, trials=trials)))
    seed = drawn.trials.seed
    again = draw_order(load_protocol(written(tmp_path, trials={**trials, "seed": seed})))
    assert again.trials.items == drawn.trials.items


def test_what_is_to_be_said_of_an_order(tmp_path):
    items = [dict(ITEMS[place]) for place in (0, 0, 0, 0, 1, 1, 1, 1, 1)]
    trials = {"items": items, "order": "fixed", "duration_s": 5.0}
    notes = order_notes(load_protocol(written(tmp_path, trials=trials)), ["calm", "tense"])
    assert [note.split(":")[0] for note in notes] == [
        "class and order are confounded",
        "classes differ in their number of trials",
        "the model has no class upset (it has calm, tense)",
    ]


def test_the_shipped_protocols():
    demo = load_protocol(find_protocol("demo"))
    assert demo.simulated is not None
    assert not order_notes(draw_order(demo), ["negative", "neutral", "positive"])
    for name in ("film-clips", "pictures"):  # templates: their clips are the user's
        with pytest.raises(ConfigurationError, match="expected a file"):
            load_protocol(find_protocol(name))
