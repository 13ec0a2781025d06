"""How long parts take on one core, for what is told before and of the time left."""

from __future__ import annotations

from collections.abc import Collection

from bci_m2s.training.page.plan import SETS, Part
from bci_m2s.training.page.work import Task

# Seconds of a seed with the windows of the quick tables; as many windows more, so many times longer.
OF_PROTOCOL = {"all": 110.0, "few": 20.0, "unpaired": 60.0, "new": 180.0}
PERMUTED = 1.5  # times as long for the first seed, for which labels are permuted


def cost_s(task: Task, planned: Collection[Part], quick: bool) -> float:
    """About how long a task takes. planned : the parts that are run, of which it may have a pre-training"""
    part = task.part
    takes = part.pretrained_as in planned or Task(part.pretrained_as, task.seed, task.out).is_done()
    seconds = OF_PROTOCOL[part.protocol.split("-")[0]] if takes else OF_PROTOCOL["all"]
    if task.seed == 0 and not task.part.recipe:
        seconds *= PERMUTED
    return seconds if quick else seconds * SETS[task.part.data].quick_every
