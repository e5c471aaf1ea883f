#!/usr/bin/env bash
# A sweep on this machine, without a batch system: a rank on every core, at low priority, so that the machine stays of use
# for other things. Ctrl-C stops it with all that is finished, and trainings at a savepoint; a second one at once. The same
# command goes on, and so does the script by itself when the ranks are killed for memory.
#   jobs/local.sh SPEC.json [OPTIONS OF slao sweep...]
# Settings, besides those of jobs/lib.sh: SLAO_RANKS (as many as there are cores), SLAO_NICE (10).
set -u
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
[ $# -gt 0 ] || { sed -n '2,/^set /s/^# \{0,1\}//p' "$0" | sed '$d' >&2; exit 2; }
arguments=("$@")

system_id() { echo "$$"; }
system_nodes() { echo 1; }
system_ranks() { # hardware threads of a core share its arithmetic units
  local per_core
  per_core=$(lscpu 2>/dev/null | sed -n 's/^Thread(s) per core: *\([0-9]*\)$/\1/p')
  local ranks=$(($(job_cores) / ${per_core:-1} / ${SLAO_THREADS:-1}))
  echo "${SLAO_RANKS:-$((ranks > 0 ? ranks : 1))}"
}
system_ranks_on_node() { system_ranks; }
system_cores() { :; } # all that it sees, but others use them, too: not bound
system_end() { :; }
system_restarts() { echo "${SLAO_RESTARTS:-0}"; }
system_requeue() {
  rm -f "$JOB_STAMP" "$JOB_PRINTED"
  SLAO_RESTARTS=$((${SLAO_RESTARTS:-0} + 1)) exec "$0" "${arguments[@]}"
}
system_hosts() { # more ranks than cores only if asked for
  [ -z "${SLAO_RANKS:-}" ] || echo --oversubscribe
}

set -m # a Ctrl-C is for this script, not for mpirun, which would end all at once
renice -n "${SLAO_NICE:-10}" -p $$ >/dev/null
[ ! -t 2 ] || set -- "$@" --progress bar # mpirun's ranks cannot see the terminal themselves
job_sweep "$@"
