"""Workers for a study on a SLURM cluster: starts a Dask scheduler here, and jobs that are its workers.

    pip install "bci_m2s[dask]" dask-jobqueue
    python cluster.py --workers 40 --memory 4GB --hours 12 --queue normal
    bci-m2s study my-study.yaml --executor dask --scheduler tcp://…    # as it prints it

The scheduler runs until Ctrl-C, which ends the workers too, so start it where it may run for long: in a job
of its own (study.sh beside this file), or on a login node. Nodes must see the folder of the study and this
environment under the same paths. Few methods need the data there: the study computes the features first.
"""

from __future__ import annotations

import argparse
import signal
import sys
from contextlib import suppress
from pathlib import Path

from dask_jobqueue import SLURMCluster

ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def main() -> None:
    """Start scheduler and workers, print the address, wait for Ctrl-C."""
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--workers", type=int, default=10, help="cells at once; each is a job of one core")
    options.add_argument("--memory", default="4GB", help="of a worker")
    options.add_argument("--hours", type=float, default=12.0, help="that a job may take")
    options.add_argument("--queue", help="partition; default: the cluster's")
    options.add_argument("--account")
    options.add_argument("--interface", help="network of the nodes: ib0, eth0; default: the usual one")
    options.add_argument("--address-file", help="a file that is given the scheduler's address")
    wanted = options.parse_args()
    minutes = round(wanted.hours * 60)
    cluster = SLURMCluster(
        cores=1,  # threads of a worker: a cell has one core
        processes=1,
        memory=wanted.memory,
        walltime=f"{minutes // 60:02d}:{minutes % 60:02d}:00",
        queue=wanted.queue,
        account=wanted.account,
        interface=wanted.interface,
        python=sys.executable,
        job_script_prologue=[f"export {name}=1" for name in ONE_THREAD],
        # A worker leaves before SLURM ends its job; another job takes its place, and goes on with its cell.
        worker_extra_args=["--lifetime", f"{max(1, minutes - 10)}m", "--lifetime-stagger", "5m"],
        log_directory="slurm-logs",
    )
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # scancel ends workers too
    with cluster:
        cluster.adapt(minimum_jobs=wanted.workers, maximum_jobs=wanted.workers)  # what ends is replaced
        address = cluster.scheduler_address
        print(f"bci-m2s study my-study.yaml --executor dask --scheduler {address}", flush=True)
        if wanted.address_file:
            Path(wanted.address_file).write_text(address, encoding="utf-8")
        with suppress(KeyboardInterrupt):
            while True:
                signal.pause()


if __name__ == "__main__":
    main()
