"""How long parts take: seconds of one core for one seed, measured; for what is told of the time left."""

from __future__ import annotations

from bci_m2s.training.study.work import Task

OF_PART: dict[str, float] = {}
USUAL_S = 60.0


def cost_s(task: Task) -> float:
    """About how long a task takes on an idle core."""
    return OF_PART.get(task.part.name, USUAL_S)
