"""The protocol names who tested, not who was meant to."""

from support.small_pairs import corpus, training_settings, unit

from bci_m2s.training.results.protocol import conditions, meant_to_test, people_of, protocol


def text(splits, **more):
    return "\n".join(protocol(training_settings(), "emotion", splits, **more))


def split(train, validation, test):
    return {"train": train, "validation": validation, "test": test}


def test_people_are_those_who_had_windows():
    splits = [split(["1", "2", "3"], ["4"], ["5", "10"]), split(["1", "2"], ["3"], ["4", "9"])]
    said = text(splits, meant={"4", "5", "9", "10", "11"})
    assert "People: 2 splits, in each 2 to 3 people train, 1 validates, 2 test." in said
    assert "Tested: 4 of 5 people: 4, 5, 9, 10." in said


def test_who_could_not_be_tested_on_a_modality_is_named():
    one = split(["1"], ["2"], ["3", "4"]) | {"eeg": ["3", "4"], "eye": ["4"]}
    said = text([one], meant={"3", "4"})
    assert "People: 1 person trains, 1 validates, 2 test." in said
    assert "Without a test window of eye that can be used: 3." in said
    assert "window of eeg" not in said


def test_who_is_not_counted_is_named():
    said = text([split(["1"], ["2"], ["3", "4"])], meant={"3", "4"}, one_class={"4"})
    assert "Tested: 1 of 2 people: 3." in said
    assert "Not counted, having test windows of one class alone: 4." in said


def test_many_people_are_not_all_listed():
    many = [str(number) for number in range(60)]
    assert "38, 39 and 20 more." in text([split(["a"], ["b"], many)])


def test_people_of_a_split_are_read_off_its_windows():
    data = unit(training_settings(), corpus(people=8))
    found = people_of(data, "emotion")
    assert set(found["test"]) == meant_to_test([data.split])
    data.parts["test"].present["eye"][:] = False
    data.parts["test"].labels["emotion"][data.parts["test"].subjects == data.parts["test"].subjects[0]] = -1
    found = people_of(data, "emotion")
    assert len(found["test"]) == 1
    assert found["eye"] == []
    assert any(line.startswith("Split: by person") for line in conditions(training_settings(), "emotion"))


def test_who_was_meant_to_test_in_a_fold_left_out_is_named():
    """Folds of one person each, of which those of 3 and 4 are left out: meant, and not tested."""
    splits = [split(["3", "4"], ["2"], ["1"]), split(["3", "4"], ["1"], ["2"])]
    said = text(splits, meant={"1", "2", "3", "4"})
    assert "Tested: 2 of 4 people: 1, 2." in said
    assert "Did not test, without a window that can be used: 3, 4." in said
    labels, finetune = {"people": 0, "new_person_trials": 2}, {"select": "last"}
    settings = training_settings(labels=labels, finetune=finetune)
    said = "\n".join(protocol(settings, "emotion", splits, meant={"1", "2", "3"}))
    assert "no trial of each class beside the 2 given to the training: 3." in said
