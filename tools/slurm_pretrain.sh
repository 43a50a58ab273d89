#!/usr/bin/env bash
# Pre-train with Slurm: sbatch [options of sbatch] tools/slurm_pretrain.sh CONFIG [options of `clasp-bench pretrain`]
#
#   sbatch --nodes 2 --gpus-per-node 8 tools/slurm_pretrain.sh configs/pretrain/clasp/CONFIG.py --data PHOTOS --labels LABELS --work-dir WORK
#
# One torchrun a node, one process a GPU (or PROCESSES a node, where that is set). Two minutes before the time limit, and when the job is preempted,
# every process saves itself, and the job goes back into the queue; it then goes on where it was. --resume is given always: a new run starts with it too.
#SBATCH --job-name=clasp-bench
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=8
#SBATCH --cpus-per-task=64
#SBATCH --time=24:00:00
#SBATCH --signal=B:TERM@120
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=%x-%j.log
set -uo pipefail
if [ $# -lt 1 ] || [ "$1" = -h ] || [ "$1" = --help ]; then
  sed -n '2,7s/^# \{0,1\}//p' "$0"
  exit 0
fi
case " $* " in
  *" --work-dir"*) ;;
  *) echo "tools/slurm_pretrain.sh: give --work-dir, a folder that all nodes see; the run is saved there" >&2; exit 2 ;;
esac
root=${SLURM_SUBMIT_DIR:-$(cd "$(dirname "$0")/.." && pwd)} # sbatch runs a copy of this script: submit from the repository
nodes=${SLURM_JOB_NUM_NODES:-1}
processes=${PROCESSES:-${SLURM_GPUS_ON_NODE:-1}}
head=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -1)
port=$((20000 + SLURM_JOB_ID % 20000))
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-$((${SLURM_CPUS_PER_TASK:-1} / processes > 0 ? ${SLURM_CPUS_PER_TASK:-1} / processes : 1))}

asked_to_stop=
# what sbatch was given does not reach srun by itself
srun ${SLURM_CPUS_PER_TASK:+--cpus-per-task="$SLURM_CPUS_PER_TASK"} --kill-on-bad-exit=1 \
  "$root/.venv/bin/torchrun" --nnodes "$nodes" --nproc-per-node "$processes" --rdzv-id "$SLURM_JOB_ID" --rdzv-backend c10d --rdzv-endpoint "$head:$port" \
  -m clasp_bench pretrain "$@" --resume &
job=$!
# srun passes the signal on to torchrun, torchrun to the processes
trap 'asked_to_stop=yes; kill -TERM $job 2>/dev/null' TERM
wait $job
code=$?
while kill -0 $job 2>/dev/null; do # a trapped signal ends `wait` before the processes have saved themselves
  wait $job
  code=$?
done
if [ -n "$asked_to_stop" ] && [ "$code" -ne 0 ]; then
  scontrol requeue "$SLURM_JOB_ID"
  exit 0
fi
exit "$code"
