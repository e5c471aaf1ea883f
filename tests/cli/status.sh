#!/usr/bin/env bash
# slao status beside a sweep and after it: what it says of one that starts, runs, is killed, drained, finished or has
# failed steps; that its counts are those of the journal; --watch, --json and the exit codes.
set -euo pipefail
python=$SLAO_SOURCE/build/python/bin/python
work=$(mktemp -d)
pid=
trap '[ -z "$pid" ] || kill -KILL -- "-$pid" 2>/dev/null; rm -rf "$work"' EXIT
. "$SLAO_SOURCE/tests/expect.sh"
says() { grep -Eq -- "$1" "$work/stdout" || fail "not \"$1\", but: $(cat "$work/stdout")"; }
# at KEY...: the value there in the JSON document of slao status
at() { "$SLAO" status "$out" --json | "$python" -c 'import json, sys
value = json.load(sys.stdin)
for key in sys.argv[1:]:
    value = value[int(key) if isinstance(value, list) else key]
print(value)' "$@"; }
is() { local wanted=$1; shift; [ "$(at "$@")" = "$wanted" ] || fail "$*: $(at "$@"), not $wanted"; }
wait_for() { for _ in $(seq 1000); do eval "$1" && return 0; sleep 0.02; done; fail "waited in vain: $1"; }
start() { # in a group of processes of its own; the tests do not touch another's
  setsid mpirun -n 2 --oversubscribe --bind-to none "$SLAO" sweep "$work/spec.json" -o "$out" --progress none "$@" \
    >"$work/sweep.stdout" 2>"$work/stderr" &
  pid=$!
}
events() { { grep -cs "\"event\":\"$1\"" "$store/journal.jsonl" || echo 0; } | head -n 1; }
stop_after() { # EVENT NUMBER: stops the ranks once there are so many, to look at them in peace; leaves $ranks
  wait_for "[ \$(events $1) -ge $2 ]"
  mapfile -t ranks < <(pgrep -P "$pid")
  kill -STOP "${ranks[@]}"
}
holder() { sed 's/.*"pid":\([0-9]*\).*/\1/' "$store/lock"; }

"$python" "$SLAO_SOURCE/tests/make_small_model.py" "$work/model"
cat >"$work/spec.json" <<JSON
{ "name": "small", "model": "model",
  "benchmark": { "format": "cl_benchmark", "path": "$SLAO_SOURCE/experiments/quickstart/suite",
                 "train_samples": 64, "test_samples": 4 },
  "train": { "batch_size": 4, "epochs": 8 },
  "evaluate": { "max_new_tokens": 4, "references": [], "when": "end" },
  "sweep": { "method": ["slao", "seqlora"], "order": [["quiz", "guests"], ["guests", "quiz"]],
             "lambda": ["1/sqrt(i)", 0.3], "learning_rate": [1e-2] } }
JSON
out=$work/small.h5
store=$work/small.store

echo "== nothing there: exit code 2"
expect 2 "$SLAO" status "$out"
grep -q "there is no store $store" "$work/stderr" || fail "the store is not named"
mkdir "$store"
expect 2 "$SLAO" status "$out"
expect 2 "$SLAO" status
[ -z "$(ls "$store")" ] || fail "looking has left something"

echo "== while it runs, then killed: dead, with the counts of the journal"
steps=$("$SLAO" plan "$work/spec.json" --json | "$python" -c 'import json, sys
shared = json.load(sys.stdin)["with_sharing"]
print(sum(shared[kind] for kind in ("finetune", "merge", "evaluate")))')
start
stop_after done 1
is running state
[ "$(at counts done)" -ge 1 ] || fail "none is done"
expect 0 "$SLAO" status "$out"
says '^state +running for [0-9].* s$'
says '^steps +[1-9][0-9]* of [0-9]+ done'
says '^rank 0 +(finetune|evaluate|merge|waits)'
says '^rank 1 '
[ "$(at counts steps)" -eq "$steps" ] || fail "steps"
kill -KILL "$(holder)"
wait "$pid" && fail "mpirun returned 0 after a kill"
is dead state
is "$(events done)" counts done
is 0 counts running
expect 0 "$SLAO" status "$out"
says '^state +dead .*the same command goes on$'
expect 1 "$SLAO" status "$out" --watch
says '^dead: '

echo "== drained: the watcher ends with 75, as the sweep"
before=$(at counts done)
started=$(events started)
start
stop_after started $((started + 1))
is running state
timeout 100 "$SLAO" status "$out" --watch >"$work/watch.out" &
watcher=$!
kill -USR1 "$pid"
kill -CONT "${ranks[@]}"
code=0
wait "$watcher" || code=$?
[ "$code" -eq 75 ] || fail "the watcher ended with $code"
tail -1 "$work/watch.out" | grep -q '^drained: ' || fail "the watcher's last line: $(tail -1 "$work/watch.out")"
code=0
wait "$pid" || code=$?
[ "$code" -eq 75 ] || fail "the sweep ended with $code"
is drained state
is 75 exit_code
[ "$(at counts cached)" -ge "$before" ] || fail "the steps of the killed run are not told to be cached"
expect 0 "$SLAO" status "$out"
says 'stopped on request with'

echo "== a sweep that has the lock and has not begun; one of another host that is silent"
mv "$store/status.json" "$work/drained.json"
printf '{"host":"%s","namespace":"%s","pid":%d,"process_start":%d,"started":"now"}' "$(uname -n)" \
  "$(readlink /proc/self/ns/pid)" $$ "$(sed 's/.*) //' /proc/$$/stat | cut -d' ' -f20)" >"$store/lock"
is starting state
is $$ pid
sed 's/"state":"ended"/"state":"running"/; s/,"exit_code":75//; s/"host":"[^"]*"/"host":"elsewhere"/; s/"pid":[0-9]*/"pid":7/' \
  "$work/drained.json" >"$store/status.json"
printf '{"host":"elsewhere","namespace":"","pid":7,"process_start":9,"started":"then"}' >"$store/lock"
is running state
touch -d "2 minutes ago" "$store/lock"
is dead state
rm "$store/lock"

echo "== finished; and again, with nothing left to do"
for _ in 1 2; do
  start
  wait "$pid" || fail "the sweep ended with $?"
  is finished state
  is "$(at counts steps)" counts done
  is 0 counts left
  expect 0 "$SLAO" status "$out" --watch
  says '^finished: '
done
is "$(at counts steps)" counts cached
expect 0 "$SLAO" status "$work/other.h5" --store "$store"
says '^results +.*small.h5$'

echo "== some steps failed"
start --set 'sweep.learning_rate=[1e9]' --set train.clip_norm=0
wait "$pid" && fail "nothing failed"
pid=
is failed state
expect 1 "$SLAO" status "$out" --watch --json
expect 0 "$SLAO" status "$out"
says '^failed +finetune .*log: .*/logs/[0-9a-f]{32}.log'
echo "slao status: ok"
