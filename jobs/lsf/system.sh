# shellcheck shell=bash
# LSF, as jobs/lib.sh wants it: sourced by the scripts of this folder.

# shellcheck source-path=SCRIPTDIR source=../lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

lsf_started=$(date +%s)
lsf_hosts=${LSB_DJOB_HOSTFILE:-} # a line for each rank

system_id() { echo "$LSB_JOBID${LSB_JOBINDEX:+[$LSB_JOBINDEX]}" | sed 's/\[0\]$//'; } # 0: no array
system_nodes() { sort -u "$lsf_hosts" | wc -l; }
system_ranks() { echo "${LSB_DJOB_NUMPROC:-1}"; }
system_ranks_on_node() { sort "$lsf_hosts" | uniq -c | awk '{ print $1; exit }'; }
system_cores() { system_ranks_on_node; }
system_end() { # HH:MM left, and a letter for how LSF knows
  local hours minutes
  IFS=': ' read -r hours minutes _ < <(bjobs -noheader -o time_left "$(system_id)" 2>/dev/null) &&
    [[ $hours$minutes =~ ^[0-9]+$ ]] && echo $((lsf_started + 3600 * 10#$hours + 60 * 10#$minutes))
}
# LSF puts a job back that ends with 75 (#BSUB -Q), under the same number, but does not tell it how often.
system_restarts() { cat "$(lsf_counter)" 2>/dev/null || echo 0; }
system_requeue() { echo $(($(system_restarts) + 1)) >"$(lsf_counter)"; }
lsf_counter() { echo "$JOB_STORE.restarts-$(system_id)"; }
system_hosts() { printf '%s\n' --hostfile "$lsf_hosts"; }
# shellcheck disable=SC2034 # for jobs/lib.sh: 75 would put it back
system_stopped_code=1
