# shellcheck shell=bash
# What the tests of job scripts on a Slurm of their own share: sourced. Everything is stopped and removed at the exit.

# shellcheck source-path=SCRIPTDIR source=../small_sweep.sh
. "$(dirname "${BASH_SOURCE[0]}")/../small_sweep.sh"
# shellcheck source-path=SCRIPTDIR source=cluster.sh
. "$tests/slurm/cluster.sh"
clean_up() { cluster_stop; }

# Analysis from the sources: no installed slao-analysis is needed.
printf '#!/usr/bin/env bash\nPYTHONPATH=%q exec %q -m slao_analysis "$@"\n' "$SLAO_SOURCE/analysis" "$python" >"$work/slao-analysis"
chmod +x "$work/slao-analysis"
export SLAO_ANALYSIS=$work/slao-analysis

# shellcheck disable=SC2034 # report_id is for who calls
submit() { # ARGUMENTS OF submit.sh: leaves the job's $id and, if there is one, the report's $report_id
  "$jobs/submit.sh" "$@" >submitted 2>&1 || fail "submit.sh $*: $(cat submitted)"
  read -r id report_id < <(sed -n 's/^job  *\([0-9]*\)\(, and the report \([0-9]*\)\)\{0,1\}.*/\1 \3/p' submitted)
  [ -n "$id" ] || fail "no job id: $(cat submitted)"
  skipping=$id
}
job_field() { scontrol show job "$1" -o 2>/dev/null | sed -n "s/.* $2=\([^ ]*\).*/\1/p" | head -n 1; }

# The job $skipping, the last one submitted, need not wait for the two minutes for which Slurm leaves a job in the queue that
# went back there; but for a second, for slurmd takes a start in the second of the stop for one from before it ("already
# killed, do not launch").
while_waiting() {
  if [ -n "${skipping:-}" ] && field_is "$skipping" Reason BeginTime; then
    [ $((SECONDS - ${skip_seen:=$SECONDS})) -lt 2 ] || scontrol update JobId="$skipping" StartTime=now || true
  else
    skip_seen=""
  fi
}
ended() { [[ $(squeue -h -j "$1" -t all -o %T 2>/dev/null | sort -u | tr '\n' ' ') =~ ^((COMPLETED|FAILED|CANCELLED|TIMEOUT|NODE_FAIL)\ )+$ ]]; }
# wait_job ID CODE: until the job, or all elements of the array, ended with this exit code
wait_job() {
  wait_until 400 ended "$1"
  [ "$(scontrol show job "$1" -o | sed 's/.* ExitCode=\([0-9]*\):.*/\1/' | sort -u)" = "$2" ] ||
    fail "job $1: exit code $(job_field "$1" ExitCode), not $2"
}
field_is() { [ "$(job_field "$1" "$2")" = "$3" ]; }
node_is() { [[ $(sinfo -h -n "$1" -o %T) = "${2,,}"* ]]; }
log_has() { [ "$(grep -c "$2" "results/$1.jobs/$1-$id.log" 2>/dev/null)" -ge "$3" ]; } # NAME PATTERN TIMES
