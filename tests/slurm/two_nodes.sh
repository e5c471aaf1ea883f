#!/usr/bin/env bash
# Job scripts on a real Slurm of two nodes of this machine, each with a host name and a /dev/shm of its own (root, or sudo):
# ranks on both by mpirun and by srun, the model staged on both; a node that goes down in the middle, back in the queue, and
# done when it is up again, with nothing lost and the same results.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=checks.sh
. "$(dirname "${BASH_SOURCE[0]}")/checks.sh"
cluster_start "$work/slurm" 2 || fail "there are no two Slurm nodes to test with"
both() { # NAME: steps ran on both
  [ "$(grep -ho '"host":[[:space:]]*"n[12]"' "results/$1.store/steps/"*.json | sort -u | wc -l)" -eq 2 ] || fail "$1: not both nodes ran steps"
}

echo "== one sweep on two nodes, by mpirun and by srun"
submit spec.json --nodes 2 --ntasks 2 -o results/mpirun.h5 --stage /dev/shm
wait_job "$id" 0
for node in n1 n2; do log_has mpirun "^$node: copied to /dev/shm/slao-" 1 || fail "the model is not staged on $node"; done
log_has mpirun " --model-copy /dev/shm/slao-" 1 || fail "the staged model is not used"
wanted=$(fingerprint results/mpirun.h5)
[ ${#wanted} -eq 32 ] || fail "no fingerprint"
both mpirun
submit spec.json --nodes 2 --ntasks 2 --launcher srun -o results/srun.h5 --stage /dev/shm
wait_job "$id" 0
for node in n1 n2; do log_has srun "^$node: /dev/shm/slao-.* is there" 1 || fail "the staged model is not found on $node"; done
[ "$(fingerprint results/srun.h5)" = "$wanted" ] || fail "srun: $(fingerprint results/srun.h5), not $wanted"
both srun

echo "== a node goes down"
submit spec.json --nodes 2 --ntasks 2 -o results/down.h5
wait_until 180 records_reach down 4
skipping="" # the node is to be known to be down before the job could start again
ranks=$(ranks_of down)
xargs kill -STOP <<<"$ranks" # rank 0, on n1: however fast the machine is, the node goes down before the end
cluster_kill_node n2
[ "$(records down)" -lt 26 ] || fail "the sweep was too fast"
xargs kill -CONT <<<"$ranks"
wait_until 180 node_is n2 DOWN
wait_until 180 field_is "$id" JobState PENDING
cluster_start_node n2
skipping=$id
wait_until 180 node_is n2 IDLE
wait_job "$id" 0
[ "$(job_field "$id" Restarts)" -ge 1 ] || fail "it was not put back"
[ "$(fingerprint results/down.h5)" = "$wanted" ] || fail "after the loss: $(fingerprint results/down.h5), not $wanted"
[ "$(ran_twice down)" -eq 0 ] || fail "$(ran_twice down) steps ran twice"
echo "slurm, two nodes: ok"
