# shellcheck shell=bash
# Slurm, as jobs/lib.sh wants it: sourced by the scripts of this folder.

# shellcheck source-path=SCRIPTDIR source=../lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

system_id() { # an element of an array has a number of its own, too, but the last one's is the array's
  if [ -n "${SLURM_ARRAY_JOB_ID:-}" ]; then
    echo "${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID"
  else
    echo "$SLURM_JOB_ID"
  fi
}
system_ranks() { echo "${SLURM_NTASKS:-1}"; }
system_ranks_on_node() { local all=${SLURM_TASKS_PER_NODE:-1}; echo "${all%%[(,]*}"; } # of "4(x2),3": most nodes have 4
system_nodes() { echo "${SLURM_JOB_NUM_NODES:-1}"; }
system_cores() { echo "${SLURM_CPUS_ON_NODE:-}"; }
system_end() { # in the environment since Slurm 23.02
  if [ -n "${SLURM_JOB_END_TIME:-}" ]; then
    echo "$SLURM_JOB_END_TIME"
  else
    date -d "$(squeue -h -j "$(system_id)" -o %e)" +%s 2>/dev/null # not a date where there is no limit
  fi
}
system_restarts() { echo "${SLURM_RESTART_COUNT:-0}"; }
system_requeue() { scontrol requeue "$(system_id)"; }
system_hosts() { :; }
