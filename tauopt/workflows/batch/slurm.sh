#!/bin/bash
# The search @NAME@ on @NODES@ nodes, written by `tauopt submit`; submit it with: sbatch slurm.sh
# Two minutes before its time limit it is stopped without losses, and requeued.
#SBATCH --job-name=@NAME@
#SBATCH --nodes=@NODES@
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=@CPUS@
#SBATCH --mem=@MEMORY@
#SBATCH --time=@TIME@
#SBATCH --signal=B:TERM@120
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=@LOG@
@OPTIONS@
set -u
here=@FOLDER@
others=$((SLURM_JOB_NUM_NODES - 1))
if [ "$others" -gt 0 ]; then
    # Node 0 is this one; srun counts the others from 0.
    srun --relative=1 --nodes="$others" --ntasks="$others" --ntasks-per-node=1 --kill-on-bad-exit=0 \
        bash -c 'exec bash "$0" $((SLURM_PROCID + 1)) "$SLURM_JOB_ID"' "$here/job.sh" &
fi
bash "$here/job.sh" 0 "$SLURM_JOB_ID" &
driver=$!
trap 'kill -TERM "$driver"' TERM
code=0
wait "$driver" || code=$?
while kill -0 "$driver" 2> /dev/null; do
    code=0
    wait "$driver" || code=$?
done
if [ "$code" = 143 ]; then
    scontrol requeue "$SLURM_JOB_ID"
fi
exit "$code"
