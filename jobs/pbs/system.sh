# shellcheck shell=bash
# PBS (OpenPBS, PBS Pro, Torque), as jobs/lib.sh wants it: sourced by the scripts of this folder.

# shellcheck source-path=SCRIPTDIR source=../lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

pbs_started=$(date +%s)
# A line of what the server knows of this job; long ones are folded.
pbs_knows() { qstat -f "$PBS_JOBID" 2>/dev/null | sed -e ':a;N;$!ba;s/\n\t//g' | sed -n "s/^ *$1 = //p"; }
pbs_walltime() { # Torque tells it in seconds, OpenPBS has its server tell it as HH:MM:SS
  local hours minutes seconds
  [ -z "${PBS_WALLTIME:-}" ] || { echo "$PBS_WALLTIME"; return; }
  IFS=: read -r hours minutes seconds < <(pbs_knows Resource_List.walltime) &&
    echo $((10#$hours * 3600 + 10#$minutes * 60 + 10#$seconds))
}

system_id() { echo "$PBS_JOBID"; }
system_nodes() { sort -u "$PBS_NODEFILE" | wc -l; }
system_ranks() { wc -l <"$PBS_NODEFILE"; } # a line for each of mpiprocs
system_ranks_on_node() { sort "$PBS_NODEFILE" | uniq -c | awk '{ print $1; exit }'; }
system_cores() { echo "${NCPUS:-${PBS_NUM_PPN:-}}"; }
system_end() {
  local length
  length=$(pbs_walltime)
  [ -z "$length" ] || echo $((pbs_started + length))
}
system_restarts() { echo "${SLAO_RESTARTS:-0}"; }
# Its owner may not put a PBS job back into the queue: it leaves a successor with the same resources and environment.
system_requeue() {
  local select
  select=$(pbs_knows Resource_List.select)
  export SLAO_RESTARTS=$((${SLAO_RESTARTS:-0} + 1))
  qsub -V -N "$PBS_JOBNAME" -q "$PBS_QUEUE" -W "depend=afterany:$PBS_JOBID" ${select:+-l "select=$select"} \
    -l "walltime=$(pbs_walltime)" "${SLAO_SCRIPT:-$SLAO_JOBS/pbs/sweep.pbs}"
}
system_hosts() { printf '%s\n' --hostfile "$PBS_NODEFILE"; }
