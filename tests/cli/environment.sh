#!/usr/bin/env bash
# What a sweep notices of where it runs: ranks that share cores, cores that nobody uses, a file system without locks, and
# programs started side by side instead of ranks. Each is told once, and only then.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../small_sweep.sh
. "$(dirname "${BASH_SOURCE[0]}")/../small_sweep.sh"
unset "${!SLURM_@}"
sweep=("$SLAO" sweep spec.json -o out.h5 --progress none --set train.epochs=1)
mpi=(mpirun --oversubscribe --bind-to none)
warnings() { # CODE NUMBER PATTERN COMMAND...
  local code=0
  "${@:4}" >stdout.log 2>stderr.log || code=$?
  [ $code -eq "$1" ] || fail "exit code $code, not $1: ${*:4}"
  [ "$(grep -c "$3" stderr.log)" -eq "$2" ] || fail "not $2 times \"$3\": ${*:4}"
}
warnings 0 0 "warning" "${sweep[@]}"
warnings 0 1 "warning: 3 ranks on .* share 1 core, and wait for each other" taskset -c 0 "${mpi[@]}" -n 3 "${sweep[@]}"
warnings 0 0 "warning" taskset -c 0 "${mpi[@]}" -n 1 "${sweep[@]}"
warnings 0 1 "warning: Slurm has set aside 4 cores for each rank" env SLURM_CPUS_PER_TASK=4 "${mpi[@]}" -n 2 "${sweep[@]}"
# A limit just below and just above what the plan says of two ranks; and one that is enough for one rank, but not for two.
plan=$("$SLAO" plan spec.json -o planned.h5 --ranks 2 --set train.epochs=1 --json)
needed=$("$python" -c 'import json, sys; print(json.load(sys.stdin)["memory_per_node_bytes"] / 2**20)' <<<"$plan")
limit() { "$python" -c 'import sys; print(float(sys.argv[1]) * float(sys.argv[2]))' "$needed" "$1"; }
fresh() { rm -rf out.h5 out.store; } # what is done takes nothing more
warnings 0 0 "warning" env SLURM_MEM_PER_NODE="$(limit 1.01)" "${mpi[@]}" -n 2 "${sweep[@]}" --fresh
fresh
warnings 0 1 "warning: 2 ranks on .* will take about 0.1. GB (0.00 for the weights, .* but SLURM_MEM_PER_NODE allows" \
  env SLURM_MEM_PER_NODE="$(limit 0.99)" "${mpi[@]}" -n 2 "${sweep[@]}"
fresh
warnings 0 0 "warning" env SLURM_MEM_PER_NODE="$(limit 0.6)" "${mpi[@]}" -n 1 "${sweep[@]}"
cat >unlocked.c <<'C'
#include <errno.h>
int flock(int fd, int operation) {
    (void)fd;
    (void)operation;
    errno = ENOSYS;
    return -1;
}
C
cc -shared -fPIC -o unlocked.so unlocked.c
warnings 0 1 "warning: .* is on a file system .*without file locks (flock: Function not implemented)" \
  "${mpi[@]}" -n 2 -x LD_PRELOAD="$work/unlocked.so" "${sweep[@]}"
warnings 2 1 "srun started 2 programs, but MPI sees one rank in each" \
  env SLURM_STEP_NUM_TASKS=2 SLURM_PROCID=0 "${sweep[@]}"
warnings 2 0 "slao:" env SLURM_STEP_NUM_TASKS=2 SLURM_PROCID=1 "${sweep[@]}"
echo "environment: ok"
