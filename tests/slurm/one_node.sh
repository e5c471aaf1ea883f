#!/usr/bin/env bash
# Job scripts on a real Slurm of one node, as root or as an ordinary user: submitted, run, finished, figures drawn; an array
# whose parts are joined to the same results; a time limit that is too short, cancelled and submitted again, and trials that
# fail. `sbatch --test-only` accepts every script.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=checks.sh
. "$(dirname "${BASH_SOURCE[0]}")/checks.sh"
cluster_start "$work/slurm" 1 || fail "there is no Slurm to test with"

echo "== scripts are shown and checked, and nothing is submitted: --dry-run"
for options in "" "--array 3" "--report --launcher srun --stage /dev/shm" "--nodes 1 --ntasks 2 --time 7 --partition main"; do
  # shellcheck disable=SC2086
  "$jobs/submit.sh" spec.json --dry-run $options -o results/dry.h5 -- --mail-type=END >submitted 2>&1 || fail "$options: $(cat submitted)"
  scripts=$(grep -c '^==> ' submitted)
  [ "$(grep -c '^sbatch: Job [0-9]* to start at' submitted)" -eq "$scripts" ] || fail "$options: Slurm refuses a script"
done
grep -q '^#SBATCH --time=7$' results/dry.jobs/sweep.sbatch || fail "--time is not filled in"
for wrong in "--ntasks 0" "--bogus 1" "--launcher ssh" "--time" "other.json" "--stage tmp" "--nodes 3 --ntasks 2"; do
  # shellcheck disable=SC2086
  "$jobs/submit.sh" spec.json $wrong >submitted 2>&1 && fail "submit.sh takes $wrong"
  grep -q '^submit.sh: ' submitted || fail "$wrong: no message"
done
[ -z "$(squeue -h)" ] || fail "something was submitted"

echo "== submit, run, finish, figures"
submit spec.json --ntasks 2 --report --set 'sweep.order=[["quiz", "guests"]]' --set 'sweep.method=["seqlora"]' -o results/drawn.h5
wait_job "$report_id" 0
last_line results/drawn.jobs/drawn-report-"$report_id".log | grep -q "done: all 1 trials; fingerprint $(fingerprint results/drawn.h5); " ||
  fail "the report's last line"
for drawn in metrics.png report.html; do [ -s results/drawn/$drawn ] || fail "no $drawn: $(ls results/drawn)"; done
export SLAO_ANALYSIS=/bin/true # figures take their time, and were drawn
submit spec.json --ntasks 2
wait_job "$id" 0
wanted=$(fingerprint results/small.h5)
[ ${#wanted} -eq 32 ] || fail "no fingerprint"
last_line results/small.jobs/small-"$id".log | grep -q "^slao job $id: small: done: steps 26 of 26; fingerprint $wanted; results/small.h5$" ||
  fail "the last line: $(last_line results/small.jobs/small-"$id".log)"

echo "== srun starts the ranks; the scripts by themselves"
SLAO_JOBS=$jobs SLAO_LAUNCHER=srun sbatch --parsable --ntasks=2 -o results/srun.log "$jobs/slurm/sweep.sbatch" spec.json -o results/srun.h5 >id
wait_job "$(cat id)" 0
grep -q ": 2 ranks on .*: srun --mpi=pmix" results/srun.log || fail "not started by srun: $(cat results/srun.log)"
[ "$(fingerprint results/srun.h5)" = "$wanted" ] || fail "srun: $(fingerprint results/srun.h5), not $wanted"

echo "== srun without pmix starts programs that know nothing of each other: refused, told once"
sbatch --parsable --ntasks=2 -o results/singletons.log --wrap "srun --mpi=none $SLAO sweep spec.json -o results/singletons.h5" >id
wait_job "$(cat id)" 2
[ "$(grep -c "srun started 2 programs, but MPI sees one rank in each: start them with mpirun, or with srun --mpi=pmix" results/singletons.log)" -eq 1 ] ||
  fail "singletons: $(cat results/singletons.log)"

echo "== an array of three parts, joined: the same results"
submit spec.json --array 3 --ntasks 1 -o results/parts/small.h5
wait_until 180 records_reach parts/small-part-1 1
scancel --batch --signal=USR1 "${id}_1" # one of them goes back into the queue, and the others are done before it
skipping=""
wait_until 180 field_is "${id}_1" JobState PENDING
wait_until 180 field_is "${id}_3" JobState COMPLETED
field_is "$report_id" JobState PENDING || fail "joined before all parts were done"
skipping=${id}_1
wait_job "$id" 0
field_is "${id}_1" Restarts 1 || fail "part 1 did not go back into the queue"
wait_job "$report_id" 0
[ "$(find results/parts -name 'small-part-*.h5' | wc -l)" -eq 3 ] || fail "not three parts"
[ "$(fingerprint results/parts/small.h5)" = "$wanted" ] || fail "joined: $(fingerprint results/parts/small.h5), not $wanted"

echo "== some trials fail: exit code 1, and a last line that says so"
submit spec.json --ntasks 2 --set 'sweep.learning_rate=[1e-2, 1e9]' --set train.clip_norm=0 -o results/bad.h5 --report
wait_job "$id" 1
last_line results/bad.jobs/bad-"$id".log | grep -q "^slao job $id: bad: FAILED: 6 of 12 trials; .* results/bad.store/logs; --only failed" ||
  fail "the last line: $(last_line results/bad.jobs/bad-"$id".log)"
wait_job "$report_id" 1
last_line results/bad.jobs/bad-report-"$report_id".log | grep -q "FAILED: 6 of 12 trials are not done" || fail "the report's last line"
echo "== a time limit that is too short: back in the queue until done, nothing lost, the same results"
submit spec.json --ntasks 2 --time 1 -o results/limited.h5
wait_until 180 records_reach limited 4
ranks_of limited | xargs kill -STOP # however fast this machine is, the limit comes first
wait_until 180 log_has limited "Forwarding signal 10" 1
ranks_of limited | xargs kill -CONT
wait_job "$id" 0
log=results/limited.jobs/limited-$id.log
[ "$(job_field "$id" Restarts)" -ge 1 ] || fail "it was not put back"
grep -q "^slao job $id: limited: back into the queue (1 of at most 20 times): the time limit came, with [0-9]* of 26 done" "$log" ||
  fail "going back is not told"
[ "$(fingerprint results/limited.h5)" = "$wanted" ] || fail "limited: $(fingerprint results/limited.h5), not $wanted"
[ "$(ran_twice limited)" -eq 0 ] || fail "$(ran_twice limited) steps ran twice"

echo "== the cap on going back"
submit spec.json --ntasks 2 --max-requeues 1 -o results/capped.h5
for restart in 0 1; do
  before=$(records capped)
  wait_until 180 field_is "$id" Restarts $restart
  wait_until 180 records_reach capped $((before + 1))
  scancel --batch --signal=USR1 "$id"
  wait_until 180 log_has capped "back into the queue\|STOPPED" $((restart + 1))
done
wait_job "$id" 75
last_line results/capped.jobs/capped-"$id".log | grep -q "STOPPED: the time limit came, .* which is the most (SLAO_MAX_REQUEUES)" ||
  fail "the last line: $(last_line results/capped.jobs/capped-"$id".log)"

echo "== stopped on request, cancelled, and submitted again: the same results, and nothing ran twice"
submit spec.json --ntasks 2 -o results/again.h5
wait_until 180 records_reach again 2
scancel --batch --signal=TERM "$id"
wait_job "$id" 75
last_line results/again.jobs/again-"$id".log | grep -q "^slao job $id: again: STOPPED on request" || fail "stopping is not told"
submit spec.json --ntasks 2 -o results/again.h5
wait_until 180 records_reach again 8
scancel "$id"
wait_until 180 ended "$id"
submit spec.json --ntasks 2 -o results/again.h5
wait_job "$id" 0
[ "$(fingerprint results/again.h5)" = "$wanted" ] || fail "again: $(fingerprint results/again.h5), not $wanted"
[ "$(ran_twice again)" -eq 0 ] || fail "$(ran_twice again) steps ran twice"
echo "slurm, one node: ok"
