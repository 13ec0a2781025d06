"""The protocol of a project, a script that sends the markers which its training file expects; a README."""

from __future__ import annotations

import math

from bci_m2s.simulator.devices import DEVICES
from bci_m2s.training.new.project import Project
from bci_m2s.training.new.trials import Scheme

SPARE_S = 10.0  # of rest beyond the baseline: filters settle first

_SCRIPT = '''\
"""Sends the markers of one recording: rest, then trials in random order. Put your stimuli into `present`.

    python protocol.py            needs pylsl, which came with bci-m2s; PsychoPy can import this file
"""

import argparse
import random
import time

import pylsl

try:
    from bci_m2s.lsl.configuration import inherit
except ImportError:  # elsewhere than bci-m2s, as in PsychoPy's own Python
    pass
else:
    inherit()  # liblsl's log stays out of this terminal

CLASSES = {classes}
CODES = {codes}  # what the markers say for a class, where it is not its name
START = {start}  # as training.yaml reads them: {{label}} is the class
STOP = {stop}
REST_S = {rest}  # longer than the baseline of the model, since filters settle first
TRIAL_S = {trial}
PAUSE_S = 3.0
TRIALS_PER_CLASS = {per_class}


def present(label, duration_s):
    """Show what brings about this class. Replace this by your film, picture, sound or task."""
    print(f"  {{label}}, {{duration_s:g}} s", flush=True)
    time.sleep(duration_s)


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--rest", type=float, default=REST_S, metavar="S", help="seconds of rest before")
    options.add_argument("--trial", type=float, default=TRIAL_S, metavar="S", help="seconds per trial")
    options.add_argument("--pause", type=float, default=PAUSE_S, metavar="S", help="seconds between trials")
    options.add_argument("--trials", type=int, default=TRIALS_PER_CLASS, metavar="N", help="per class")
    options.add_argument("--wait", type=float, default=60.0, metavar="S", help="for the recorder")
    options = options.parse_args()

    info = pylsl.StreamInfo("Protocol", "Markers", 1, 0, "string", "bci-m2s-protocol")
    outlet = pylsl.StreamOutlet(info)
    print("waiting for the recorder: bci-m2s record --output {root}/sub-P001/ses-S001", flush=True)
    print("  (sub-P002 and so on for the next people)", flush=True)
    if not outlet.wait_for_consumers(options.wait):
        raise SystemExit(f"nobody recorded the markers within {{options.wait:g}} s")

    def mark(text):
        outlet.push_sample([text])

    print(f"rest, {{options.rest:g}} s", flush=True)
    mark("rest/start")
    time.sleep(options.rest)
    mark("rest/stop")
    trials = []
    for _ in range(options.trials):  # every class once before any comes again
        trials += random.sample(CLASSES, len(CLASSES))
    for number, label in enumerate(trials, 1):
        print(f"trial {{number}} of {{len(trials)}}", flush=True)
        mark(START.format(label=CODES.get(label, label)))
        present(label, options.trial)
        if STOP:
            mark(STOP.format(label=CODES.get(label, label)))
        time.sleep(options.pause)
    time.sleep(1.0)  # let the last marker arrive
    print("done", flush=True)


if __name__ == "__main__":
    main()
'''

_README = """\
# {name}

Made by `bci-m2s new` from {where}. Run the commands in this folder, in this order.

| file | what |
|---|---|
| `training.yaml` | which channels, classes, baseline and people train the model |
| `pipeline.yaml` | which streams the model judges live |
| `protocol.py` | sends the markers of a recording: rest, then trials ({classes}) |

{record}## {train} Train

```bash
bci-m2s check training.yaml
bci-m2s pretrain training.yaml
bci-m2s finetune training.yaml --out {name}.safetensors
bci-m2s evaluate training.yaml
```

Look at the controls before you trust the figure, and at the number of people.

## {run} Run

```bash
bci-m2s check pipeline.yaml
bci-m2s run pipeline.yaml --output sessions/sub-P100
bci-m2s verify sessions/sub-P100/session.xdf
```
"""

_RECORD = """\
## 1. Record

Start the program that sends your device over LSL (`bci-m2s streams` shows what is there). Then, for each
person, in two terminals:

```bash
bci-m2s record --output {root}/sub-P001/ses-S001     # until Ctrl-C
python protocol.py                                  # {rest:g} s of rest, {trials} trials of {trial:g} s
```

{simulate}Three people are the least; `bci-m2s dataset check {root} --format recordings` says what is there.

"""


def protocol_py(project: Project) -> str:
    """The script."""
    return _SCRIPT.format(
        classes=list(project.classes),
        codes={name: label for label, name in project.codes.items()},
        start=repr(_literal(project.scheme.start_text)),
        stop=repr(_literal(project.scheme.stop_text)),
        root=project.root.replace("\\", "/").replace('"', ""),
        rest=project.baseline_s + SPARE_S,
        trial=project.trial_s,
        per_class=project.per_class,
    )


def _literal(text: str) -> str:
    """A marker as a format: every brace but those of {label} doubled."""
    parts = [part.replace("{", "{{").replace("}", "}}") for part in text.split("{label}")]
    return "{label}".join(parts)


def readme_md(project: Project, where: str) -> str:
    """What to do next."""
    record = _RECORD.format(
        root=project.root,
        rest=project.baseline_s + SPARE_S,
        trials=project.per_class * len(project.classes),
        trial=project.trial_s,
        simulate=_simulate(project),
    )
    return _README.format(
        name=project.name,
        where=where,
        classes=", ".join(project.classes),
        record=record,
        train="2.",
        run="3.",
    )


def _simulate(project: Project) -> str:
    """How to make a recording that the training file takes; "" where the simulator has no such device."""
    eeg, eye = project.eeg, project.eye
    if eeg is None or project.skin or project.codes:
        return ""
    usual = Scheme()
    if (project.scheme.start, project.scheme.stop) != (usual.start, usual.stop):
        return ""
    named = [device.name for device in DEVICES.values() if device.channels == tuple(eeg.names)]
    if not named or (eye is not None and eye.tracker.name != "simulated"):
        return ""
    rest_s = math.ceil(project.baseline_s + SPARE_S)
    options = f"--montage {named[0]}{'' if eye else ' --no-eye'} --rest {rest_s}"
    options += f" --classes '{','.join(project.classes)}'"
    path = f"{project.root}/sub-P001/ses-S001/session.xdf"
    command = f"bci-m2s simulate --subject 1 {options} --output {path}"
    words = "Without a device yet, this makes a recording of simulated person 1:"
    return f"{words}\n\n```bash\n{command}\n```\n\n"
