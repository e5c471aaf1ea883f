#!/usr/bin/env bash
# Two "hosts" on this machine (network namespaces joined by a bridge, with host names and /dev/shm of their own) and MPI
# over TCP between them: a sweep runs on both, with the results of one host; the link is cut in the middle, the job ends
# within a minute; the rerun over the mended link finishes. So do dummy steps, also with --enable-recovery.
# Needs root and namespaces: where these cannot be had it fails and says why (label `hosts`).
set -euo pipefail
net=slao$$ # h1 and h2 of this run are the namespaces ${net}h1 and ${net}h2; the bridge is in ${net}sw
work=$(mktemp -d)

clean_up() {
  local h
  for h in h1 h2; do
    ip netns pids "$net$h" 2>/dev/null | xargs -r kill -KILL 2>/dev/null || true
    ip netns del "$net$h" 2>/dev/null || true
  done
  ip netns del "${net}sw" 2>/dev/null || true
  rm -rf "$work"
}
trap clean_up EXIT
fail() { echo "FAILED: $*" >&2; tail -n 40 "$work/stderr" >&2 2>/dev/null || true; exit 1; }

[ "$(id -u)" -eq 0 ] || fail "making network namespaces takes root"
for tool in ip unshare; do command -v $tool >/dev/null || fail "there is no $tool (packages iproute2, util-linux)"; done
{ ip netns add "${net}sw" && ip -n "${net}sw" link add br0 type bridge && ip -n "${net}sw" link set br0 up; } ||
  fail "this machine gives no network namespaces"
for n in 1 2; do
  ip netns add "${net}h$n"
  ip link add e0 netns "${net}h$n" type veth peer name p$n netns "${net}sw"
  ip -n "${net}sw" link set p$n master br0 up
  ip -n "${net}h$n" addr add 10.77.0.$n/24 dev e0
  ip -n "${net}h$n" link set e0 up
  ip -n "${net}h$n" link set lo up
done

# Runs a command on a host; and as what mpirun takes for ssh: AGENT [OPTIONS] 10.77.0.N COMMAND...
cat >"$work/agent" <<AGENT
#!/usr/bin/env bash
while [[ \${1:-} == -* ]]; do shift; done
n=\${1##*[!0-9]}; shift
export ON_HOST="\$*" HOST_NAME=h\$n
exec ip netns exec ${net}h\$n unshare -u -m -- bash -c 'hostname \$HOST_NAME; mount -t tmpfs -o size=200m tmpfs /dev/shm; exec bash -c "\$ON_HOST"'
AGENT
chmod +x "$work/agent"
printf '10.77.0.1 slots=2\n10.77.0.2 slots=2\n' >"$work/hosts"
# A sweep: its command, its store, how many steps it has, and how many of them are to be done when the link is cut.
use_dummy() {
  store=$work/dummy sweep="$DUMMY_SWEEP $work/dummy 4 30 0.1 100" total=120 enough=12
}
use_real() { # NAME
  store=$work/$1.store sweep="$SLAO sweep $work/spec.json -o $work/$1.h5" total=$steps enough=$((steps / 4))
}
run() { # MPIRUN OPTIONS: with a limit of its own, for mpirun may hang on a cut link
  exec timeout -k 2 120 "$work/agent" 10.77.0.1 mpirun --mca plm rsh --mca plm_rsh_agent "$work/agent" \
    --mca oob_tcp_if_include e0 --mca btl_tcp_if_include e0 --mca btl vader,tcp,self --mca pml ob1 --bind-to none \
    -x SLAO_LEASE_SECONDS=10 --hostfile "$work/hosts" -n 4 "$@" "$sweep"
}
records() { { find "$store/steps" -name '*.json' 2>/dev/null || true; } | wc -l; }
fingerprint() { tr -d '\r' <"$work/stdout" | sed -n 's/^fingerprint  *//p'; } # mpirun's ranks have a terminal

run_and_cut() { # MPIRUN OPTIONS: leaves $pid, and the time of the $cut
  rm -rf "$store"
  run "$@" >"$work/stdout" 2>"$work/stderr" &
  pid=$!
  for _ in $(seq 1200); do [ "$(records)" -ge $enough ] && break; sleep 0.05; done
  [ "$(records)" -ge $enough ] || fail "the sweep does not run on two hosts"
  grep -q '"rank":[23]' "$store/journal.jsonl" || fail "the second host ran nothing"
  ip -n "${net}h2" link set e0 down
  cut=$(date +%s)
}
mend() {
  ip netns pids "${net}h2" | xargs -r kill -KILL 2>/dev/null || true # a host that is gone
  ip -n "${net}h2" link set e0 up
  ip -n "${net}h2" addr add 10.77.0.2/24 dev e0 2>/dev/null || true
}
cut_and_rerun() {
  echo "== a link is cut: the job ends within a minute"
  run_and_cut
  wait $pid && code=0 || code=$?
  took=$(($(date +%s) - cut))
  echo "   ended $took s after the cut with exit code $code, $(records) of $total steps done"
  [ $took -le 60 ] || fail "the job ended $took s after the cut, not within a minute"
  mend
  [ "$code" -ne 0 ] || fail "the exit code is 0"
  [ "$(records)" -lt "$total" ] || fail "the cut came too late"
  echo "== the rerun finishes"
  (run) >"$work/stdout" 2>"$work/stderr" || fail "the rerun ended with $?"
  [ "$(records)" -eq "$total" ] || fail "not all steps were run"
  twice=$(grep -o '"event":"done".*' "$store/journal.jsonl" | grep -oE '"(step|key)":[^,}]*' | sort | uniq -d | wc -l)
  [ "$twice" -eq 0 ] || fail "$twice steps ran twice"
}

echo "== a sweep of a small random model on one host"
"$SLAO_SOURCE/build/python/bin/python" "$SLAO_SOURCE/tests/make_small_model.py" "$work/model"
cat >"$work/spec.json" <<JSON
{ "name": "small", "model": "model",
  "benchmark": { "format": "cl_benchmark", "path": "$SLAO_SOURCE/experiments/quickstart/suite",
                 "train_samples": 64, "test_samples": 8 },
  "train": { "batch_size": 4, "epochs": 8 },
  "evaluate": { "max_new_tokens": 4, "references": ["individual"] },
  "sweep": { "method": ["slao", "seqlora"], "order": [["quiz", "guests", "desks"], ["guests", "desks", "quiz"]],
             "lambda": ["1/sqrt(i)", 0.3], "learning_rate": [1e-2] } }
JSON
"$SLAO" sweep "$work/spec.json" -o "$work/one.h5" >"$work/stdout" 2>"$work/stderr" || fail "exit code $? on one host"
wanted=$(fingerprint)
[ ${#wanted} -eq 32 ] || fail "no fingerprint"
steps=$(find "$work/one.store/steps" -name '*.json' | wc -l)

echo "== the same on two hosts: the same results"
use_real two
(run) >"$work/stdout" 2>"$work/stderr" || fail "exit code $? on two hosts"
[ "$(fingerprint)" = "$wanted" ] || fail "two hosts: $(fingerprint), not $wanted"
for host in h1 h2; do grep -q "\"host\":\"$host\"" "$store"/steps/* || fail "$host ran nothing"; done
use_real cut
cut_and_rerun
[ "$(fingerprint)" = "$wanted" ] || fail "after the cut: $(fingerprint), not $wanted"

echo "== dummy steps"
use_dummy
cut_and_rerun

echo "== with --enable-recovery the first host finishes alone"
run_and_cut --enable-recovery
for _ in $(seq 600); do [ -e "$store/lock" ] || break; sleep 0.1; done
[ ! -e "$store/lock" ] || fail "the sweep did not end within a minute"
[ "$(records)" -eq "$total" ] || fail "not all steps were run: $(records)"
kill $pid 2>/dev/null || true # mpirun itself waits for the lost host for minutes
wait $pid || true
echo "two hosts: ok"
