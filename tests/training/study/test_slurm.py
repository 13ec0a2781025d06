"""A study as a job of SLURM: the scripts of `examples/slurm`, with commands that run jobs here."""

import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from support.small_study import small_study

pytest.importorskip("dask_jobqueue")
SCRIPTS = Path(__file__).resolve().parents[3] / "examples" / "slurm"
LONGEST_S = 240.0
SBATCH = """#!/bin/bash
# runs a job here, at once; its number is that of its process group
cp "${@: -1}" "$JOBS/script.$$"
setsid bash "$JOBS/script.$$" >"$JOBS/job.$$.log" 2>&1 &
echo $! >>"$JOBS/numbers"
echo "Submitted batch job $!"
"""
SCANCEL = """#!/bin/bash
for number; do kill -TERM -- -"$number"; done
"""


@pytest.fixture
def slurm(tmp_path):
    """The environment in which `sbatch` and `scancel` are found, and the file of the jobs' numbers."""
    jobs = tmp_path / "jobs"
    jobs.mkdir()
    for name, text in (("sbatch", SBATCH), ("scancel", SCANCEL)):
        (jobs / name).write_text(text)
        (jobs / name).chmod(0o755)
    found = os.pathsep.join([str(jobs), str(Path(sys.executable).parent), os.environ["PATH"]])
    numbers = jobs / "numbers"
    yield {**os.environ, "PATH": found, "JOBS": str(jobs), "SLURM_SUBMIT_DIR": str(tmp_path)}, numbers
    for number in numbers.read_text().split() if numbers.exists() else ():
        with suppress(ProcessLookupError):
            os.killpg(int(number), signal.SIGKILL)


def submitted(script, study, output, environment):
    done = subprocess.run(
        ["bash", script, study, output],
        env=environment, cwd=script.parent, capture_output=True, text=True, timeout=LONGEST_S, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def runs(number):
    """Whether a process of the group is there, and no zombie."""
    states = subprocess.run(
        ["ps", "-o", "stat=", "-g", number], capture_output=True, text=True, check=False
    )
    return any(not line.startswith("Z") for line in states.stdout.split())


@pytest.mark.nightly
def test_the_job_makes_the_whole_study_and_goes_on_with_one_that_was_stopped(tmp_path, slurm):
    environment, numbers = slurm
    study = small_study(tmp_path)
    for name in ("cluster.py", "study.sh"):
        shutil.copy(SCRIPTS / name, tmp_path)
    script = tmp_path / "study.sh"
    script.write_text(script.read_text().replace("--workers 40", "--workers 2"))
    submitted(script, study, tmp_path / "out", environment)
    cells = list((tmp_path / "out").rglob("cell.json"))
    assert len(cells) == 8
    assert len(numbers.read_text().split()) >= 2
    ends_s = time.monotonic() + LONGEST_S
    while any(map(runs, numbers.read_text().split())):  # the workers' jobs end with it
        assert time.monotonic() < ends_s
        time.sleep(0.1)
    cells[0].unlink()
    submitted(script, study, tmp_path / "out", environment)
    assert cells[0].exists()
    assert not list(tmp_path.glob("scheduler.*"))
