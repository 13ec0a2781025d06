"""What counts of a training file when its run is gone on with."""

from support.small_pairs import training_settings

from bci_m2s.training.experiment import write_config
from bci_m2s.training.page.plan import Part
from bci_m2s.training.page.work import Task, changed_since


def test_results_of_another_checkout_with_equal_files_are_finished(tmp_path):
    """Its `base`, and where its data lie, are other paths of the same."""
    task = Task(Part("tiny", "all"), 0, tmp_path)
    begun = training_settings(seeds=[0])
    moved = begun.data.model_copy(update={"root": tmp_path / "first"})
    write_config(task.folder, begun.model_copy(update={"base": "../first/x.yaml", "data": moved}))
    moved = begun.data.model_copy(update={"root": tmp_path / "second"})
    wanted = begun.model_copy(update={"base": "../second/x.yaml", "data": moved})
    assert changed_since(task, wanted) == []
    finetune = begun.finetune.model_copy(update={"epochs": 99})
    assert changed_since(task, wanted.model_copy(update={"finetune": finetune})) == ["finetune"]
