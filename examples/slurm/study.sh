#!/bin/bash
# A study on SLURM in one job: the scheduler and bci-m2s study here, workers in jobs of their own.
#   sbatch study.sh my-study.yaml runs/mine
# The same command goes on with a study that was stopped. Change partition, times and numbers to yours.
#SBATCH --job-name=study
#SBATCH --cpus-per-task=2
#SBATCH --mem=8G
#SBATCH --time=24:00:00
set -eu
study=$1 output=$2 here=${SLURM_SUBMIT_DIR:-$PWD}
address=$(mktemp -p "$here" scheduler.XXXXXX)

python "$here/cluster.py" --workers 40 --memory 4GB --hours 12 --address-file "$address" &
cluster=$!
trap 'kill -INT $cluster 2>/dev/null; wait $cluster; rm -f "$address"' EXIT
until [ -s "$address" ]; do kill -0 $cluster; sleep 1; done

resume=()
[ ! -e "$output/study.yaml" ] || resume=(--resume)
bci-m2s study "$study" --output "$output" --executor dask --scheduler "$(cat "$address")" ${resume[@]+"${resume[@]}"}
