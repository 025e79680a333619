#!/bin/bash
# A search on nodes of a Slurm cluster, in a folder that all of them see, with the environment in .venv:
#   sbatch deploy/slurm.sh --model GRCN --dataset clothing --data-dir data
# Five minutes before the job's time is over the search is interrupted; submitted again, by the same command and from
# the same folder, it goes on. NAME is the name of the search, by default that of the job.
#SBATCH --job-name=mirrortune
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=16
#SBATCH --gpus-per-node=1
#SBATCH --time=12:00:00
#SBATCH --signal=B:TERM@300
set -euo pipefail
set -m # else bash lets what runs in the background ignore an interruption

name=${NAME:-$SLURM_JOB_NAME}
export PATH=$PWD/.venv/bin:$PATH

# Ray's servers listen on the cluster's network: without a token any of its users could run programs as this one.
RAY_AUTH_TOKEN=$(python -c 'import secrets; print(secrets.token_hex(32))')
export RAY_AUTH_TOKEN RAY_AUTH_MODE=token

# Several jobs may share a node. NODE_IP: the head's address, on nodes that have several networks.
port=$((20000 + SLURM_JOB_ID % 10000))
address=${NODE_IP:-$(hostname -I | cut -d ' ' -f 1)}
export RAY_ADDRESS=$address:$port RAY_TMPDIR=${RAY_TMPDIR:-/tmp/ray-$SLURM_JOB_ID}
mkdir -p "$RAY_TMPDIR"
here=(--num-cpus "$SLURM_CPUS_PER_TASK" --block)

# The batch script runs on the first node.
env --unset RAY_ADDRESS ray start --head --node-ip-address "$address" --port "$port" --include-dashboard false \
    "${here[@]}" &
started=("$!")
trap 'kill "${started[@]}" 2>/dev/null || true' EXIT
for _ in $(seq 60); do
    if ray status --address "$RAY_ADDRESS" >/dev/null 2>&1; then break; fi
    sleep 2
done
ray status --address "$RAY_ADDRESS" >/dev/null

if ((SLURM_JOB_NUM_NODES > 1)); then
    # shellcheck disable=SC2016 # the nodes have the variables too, as srun hands them on
    srun --nodes $((SLURM_JOB_NUM_NODES - 1)) --ntasks $((SLURM_JOB_NUM_NODES - 1)) --exclude "$(hostname)" \
        bash -c 'mkdir -p "$RAY_TMPDIR" && exec ray start --address "$RAY_ADDRESS" "$@"' bash "${here[@]}" &
    started+=("$!")
fi

if [ -e "searches/$name" ]; then
    python run_search.py resume "$name" &
else
    python run_search.py --name "$name" "$@" &
fi
search=$!
trap 'kill -TERM "$search"' TERM
code=0
wait "$search" || code=$?
if kill -0 "$search" 2>/dev/null; then # it was interrupted, and ends by itself
    code=0
    wait "$search" || code=$?
fi
exit "$code"
