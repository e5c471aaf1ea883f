#!/usr/bin/env bash
# The PBS and LSF scripts under stubs: NOT under PBS or LSF, which Debian has not. What is tested is that their directives
# are of a form that qsub and bsub document, and that the scripts, in an environment as these systems set it, run a sweep,
# stop on the signal before the limit, ask to be put back, and go on to the same results.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../small_sweep.sh
. "$(dirname "${BASH_SOURCE[0]}")/../small_sweep.sh"
mkdir stubs spool
PATH=$work/stubs:$PATH
host=$(hostname)
printf '%s\n' "$host" "$host" >nodes
export SLAO_LAUNCHER_OPTIONS=--oversubscribe

# All directives come before the first command, and each matches a line of the table.
check_directives() { # MARK SCRIPT TABLE-OF-PATTERNS
  local line
  while IFS= read -r line; do
    grep -qxE -f <(printf '%s\n' "$3") <<<"${line#"$1 "}" || fail "$2: not a directive that is known: $line"
  done < <(grep "^$1 " "$2")
  [ "$(grep -n "^$1 " "$2" | tail -n 1 | cut -d: -f1)" -lt "$(grep -nm1 '^[^#]' "$2" | cut -d: -f1)" ] ||
    fail "$2: a directive after the first command is not read"
  [ "$(grep -c "^$1 " "$2")" -ge 5 ] || fail "$2: too few directives"
}
pbs='-N [A-Za-z][A-Za-z0-9_-]{0,14}
-l select=[0-9]+(:(ncpus|mpiprocs|ompthreads)=[0-9]+|:mem=[0-9]+[mg]b)+
-l walltime=[0-9]{2}:[0-9]{2}:[0-9]{2}
-r [yn]
-j (oe|eo|n)
-J [0-9]+-[0-9]+'
lsf='-J [a-z]+(\[[0-9]+-[0-9]+\])?
-n [0-9]+
-W [0-9]+(:[0-9]+)?
-o [^ ]*%J[^ ]*
-wa [A-Z0-9]+ -wt [0-9]+
-Q [0-9 ]+
-r'
for script in "$jobs"/pbs/*.pbs; do check_directives "#PBS" "$script" "$pbs"; done
for script in "$jobs"/lsf/*.lsf; do check_directives "#BSUB" "$script" "$lsf"; done

cat >stubs/qstat <<STUB
#!/bin/sh
printf 'Job Id: %s\n    Resource_List.select = 1:ncpus=2:\n\tmpiprocs=2\n    Resource_List.walltime = 00:30:00\n' "\$2"
STUB
# shellcheck disable=SC2016
printf '#!/bin/sh\nprintf "%%s\\n" "$@" "restarts $SLAO_RESTARTS" >%q/qsubbed\n' "$work" >stubs/qsub
printf '#!/bin/sh\necho "0:30 L"\n' >stubs/bjobs
chmod +x stubs/*

# Starts a script from a copy of another name in another folder, as both systems do, in a process group of its own.
set -m
start_pbs() { # SCRIPT VARIABLE=VALUE...
  cp "$jobs/pbs/$1" spool/job.SC
  # shellcheck disable=SC2016
  env -u SLAO_RANKS PBS_JOBID=7.server PBS_JOBNAME=slao PBS_QUEUE=workq PBS_O_WORKDIR="$work" PBS_NODEFILE="$work/nodes" NCPUS="$(nproc)" \
    "${@:2}" bash -c 'cd / && exec bash "$0"' "$work/spool/job.SC" >job.log 2>&1 &
  script=$!
}
start_lsf() {
  cp "$jobs/lsf/$1" spool/1234.shell
  env LSB_JOBID=9 LSB_JOBINDEX=0 LSB_DJOB_HOSTFILE="$work/nodes" LSB_DJOB_NUMPROC=2 LS_SUBCWD="$work" "${@:2}" \
    bash "$work/spool/1234.shell" >job.log 2>&1 &
  script=$!
}
ends() { # CODE LAST-LINE
  local code=0
  wait "$script" || code=$?
  [ $code -eq "$1" ] || fail "exit code $code, not $1"
  last_line job.log | grep -q "$2" || fail "the last line is not: $2"
}
same() { [ "$(fingerprint "$1")" = "$wanted" ] || fail "$1: $(fingerprint "$1"), not $wanted"; }
export SLAO_JOBS=$jobs
arguments() { export SLAO_ARGUMENTS="spec.json --set 'sweep.lambda=[\"1/sqrt(i)\", 0.3]' -o $1"; }

echo "== PBS (stub): runs; stops on USR1 and leaves a successor, which goes on"
arguments results/pbs/small.h5
start_pbs sweep.pbs
ends 0 "slao job 7.server: small: done: steps 26 of 26"
wanted=$(fingerprint results/pbs/small.h5)
bound="--map-by numa:PE=1 --bind-to core" # to cores of its own, where it has all that it sees
[ "$(nproc)" -ge 2 ] || bound="--bind-to none"
grep -q ": mpirun -n 2 --hostfile $work/nodes $bound -x" job.log || fail "not bound as meant: $(head -n 1 job.log)"
grep -q ": mpirun -n 2 --hostfile $work/nodes .* --time-limit \(30\|29\.[0-9]*\)$" job.log || fail "not started as meant: $(head -n 1 job.log)"
arguments results/pbs_again.h5
start_pbs sweep.pbs
wait_until 180 records_reach pbs_again 2
kill -USR1 $script
ends 75 "back into the queue (1 of at most 20 times): the time limit came"
[ "$(tr '\n' ' ' <qsubbed)" = "-V -N slao -q workq -W depend=afterany:7.server -l select=1:ncpus=2:mpiprocs=2 -l walltime=1800 $jobs/pbs/sweep.pbs restarts 1 " ] ||
  fail "qsub got $(tr '\n' ' ' <qsubbed)"
start_pbs sweep.pbs SLAO_RESTARTS=1 PBS_WALLTIME=600
ends 0 "pbs_again: done"
same results/pbs_again.h5
arguments results/parts/small.h5
for k in 1 2; do
  start_pbs array.pbs SLAO_SHARDS=2 PBS_ARRAY_INDEX=$k
  ends 0 "small-part-$k: done"
done
"$SLAO" collect results/parts/small.h5 --from results/parts/small-part-1.store --from results/parts/small-part-2.store >/dev/null
same results/parts/small.h5

echo "== LSF (stub): runs; stops when all of it gets USR1, ends with 75 to be put back, and goes on"
arguments results/lsf.h5
usr1_after_a_step() {
  wait_until 180 records_reach lsf $(($(records lsf) + 1))
  kill -USR1 -$script
}
start_lsf sweep.lsf
usr1_after_a_step
ends 75 "slao job 9: lsf: back into the queue (1 of at most 20 times): the time limit came"
start_lsf sweep.lsf SLAO_MAX_REQUEUES=1 # no third stop: on a busy machine the sweep may be done before it
usr1_after_a_step
ends 1 "STOPPED: the time limit came, .* which is the most" # with 75 LSF would put it back
start_lsf sweep.lsf
ends 0 "lsf: done"
same results/lsf.h5
start_lsf array.lsf LSB_JOBINDEX=2 SLAO_SHARDS=2 SLAO_ARGUMENTS="spec.json -o results/lsf_parts/small.h5"
ends 0 "slao job 9\[2\]: small-part-2: done"
echo "PBS and LSF scripts under stubs: ok"
