# shellcheck shell=bash
# A real Slurm of this machine's own for tests: sourced, not run. Its daemons belong to whoever starts them, listen on
# 127.0.0.1 at free ports and keep everything in one folder; two nodes take root, or sudo, for host names of their own.
#
#   cluster_start DIR NODES    1 node named as this host, or n1 and n2; sets SLURM_CONF and what mpirun needs there
#   cluster_stop               of the same shell; safe to call twice, and when the start failed
#   cluster_kill_node NAME     as if the node lost its power: its slurmd and all that runs on it are killed
#   cluster_start_node NAME    and comes back

cluster_as_root=()
cluster_need() { # a user of sudo is asked for the password here, if at all
  [ "$(id -u)" -ne 0 ] || return 0
  command -v sudo >/dev/null || { echo "two Slurm nodes on one machine take root or sudo (unshare, mount)" >&2; return 1; }
  cluster_as_root=(sudo)
}

cluster_ports() {
  /usr/bin/python3 - "$1" <<'PY'
import socket
import sys

sockets = [socket.socket() for _ in range(int(sys.argv[1]))]
for s in sockets:
    s.bind(("127.0.0.1", 0))
print(*(s.getsockname()[1] for s in sockets))
PY
}

cluster_start() {
  cluster_dir=$(realpath -m "$1")
  cluster_nodes=()
  local n=$2 ports name memory user definitions="" i=0
  PATH=$PATH:/usr/sbin:/sbin
  for name in munged slurmctld slurmd sbatch; do
    command -v "$name" >/dev/null || { echo "there is no $name (tests/run.sh installs Slurm's packages)" >&2; return 1; }
  done
  user=$(id -un)
  memory=$(awk '/^MemTotal/ { print int($2 / 1024) }' /proc/meminfo)
  mkdir -p "$cluster_dir"/{munge,state,log}
  chmod 755 "$cluster_dir" "$cluster_dir/munge"
  read -r -a ports < <(cluster_ports $((n + 1)))
  if [ "$n" -eq 1 ]; then
    cluster_nodes=("$(hostname -s)")
  else
    cluster_need || return 1
    cluster_nodes=(n1 n2)
  fi
  for name in "${cluster_nodes[@]}"; do
    i=$((i + 1))
    mkdir -p "$cluster_dir/spool-$name" "$cluster_dir/tmp-$name"
    definitions+="NodeName=$name NodeHostname=$name NodeAddr=127.0.0.1 Port=${ports[i]} CPUs=4 Sockets=1 CoresPerSocket=4"
    definitions+=" ThreadsPerCore=1 RealMemory=$((memory / n)) State=UNKNOWN"$'\n'
  done
  cat >"$cluster_dir/slurm.conf" <<CONF
ClusterName=test
SlurmctldHost=$(hostname -s)(127.0.0.1)
SlurmctldPort=${ports[0]}
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
AuthType=auth/munge
CryptoType=crypto/munge
AuthInfo=socket=$cluster_dir/munge/socket
SlurmUser=$user
SlurmdUser=$([ "$n" -eq 1 ] && echo "$user" || echo root)
StateSaveLocation=$cluster_dir/state
SlurmdSpoolDir=$cluster_dir/spool-%n
TmpFS=$cluster_dir/tmp-%n
SlurmctldPidFile=$cluster_dir/slurmctld.pid
SlurmdPidFile=$cluster_dir/slurmd-%n.pid
SlurmctldLogFile=$cluster_dir/log/slurmctld
SlurmdLogFile=$cluster_dir/log/slurmd-%n
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SchedulerType=sched/backfill
SchedulerParameters=bf_interval=1,sched_interval=1,batch_sched_delay=0,requeue_delay=1
MpiDefault=none
ReturnToService=2
SlurmdTimeout=10
SlurmdParameters=config_overrides
KillWait=5
MinJobAge=300
EnforcePartLimits=ALL
MailProg=/bin/true
${definitions}PartitionName=main Nodes=$(IFS=,; echo "${cluster_nodes[*]}") Default=YES MaxTime=60 DefaultTime=5 DefMemPerCPU=100 State=UP
CONF
  export SLURM_CONF=$cluster_dir/slurm.conf
  head -c 1024 /dev/urandom >"$cluster_dir/munge/key"
  chmod 600 "$cluster_dir/munge/key"
  munged --force --key-file="$cluster_dir/munge/key" --socket="$cluster_dir/munge/socket" \
    --pid-file="$cluster_dir/munge/pid" --log-file="$cluster_dir/munge/log" --seed-file="$cluster_dir/munge/seed" \
    --num-threads=1 || return 1
  slurmctld -i -f "$SLURM_CONF" || return 1
  for name in "${cluster_nodes[@]}"; do cluster_start_node "$name" || return 1; done
  for i in $(seq 100); do
    [ "$(sinfo -h -o %T 2>/dev/null)" = idle ] && return 0
    sleep 0.1
  done
  echo "Slurm did not come up: $(sinfo 2>&1)" >&2
  tail -n 5 "$cluster_dir"/log/* >&2
  return 1
}

# One node runs as it is; of two each has a host name and a /dev/shm of its own.
cluster_start_node() {
  if [ ${#cluster_nodes[@]} -eq 1 ]; then
    slurmd -f "$SLURM_CONF" -N "$1"
    return
  fi
  export OMPI_MCA_oob_tcp_if_include=lo OMPI_MCA_btl_tcp_if_include=lo OMPI_MCA_btl=vader,tcp,self OMPI_MCA_pml=ob1
  (cat /etc/hosts; echo "127.0.0.1 ${cluster_nodes[*]}") >"$cluster_dir/hosts-$1"
  # shellcheck disable=SC2016
  "${cluster_as_root[@]}" unshare -u -m bash -c 'hostname "$1" && mount -t tmpfs tmpfs /dev/shm &&
    mount --bind "$2/hosts-$1" /etc/hosts && exec slurmd -f "$2/slurm.conf" -N "$1"' \
    node "$1" "$cluster_dir"
}

# What runs in the namespace of host names that a node's slurmd has.
cluster_processes() {
  local slurmd
  slurmd=$(cat "$cluster_dir/slurmd-$1.pid" 2>/dev/null) || return 0
  # shellcheck disable=SC2016
  "${cluster_as_root[@]}" bash -c 'space=$(readlink "/proc/$1/ns/uts") || exit 0
    for p in /proc/[0-9]*; do [ "$(readlink "$p/ns/uts" 2>/dev/null)" = "$space" ] && echo "${p#/proc/}"; done; true' \
    processes "$slurmd"
}

cluster_kill_node() {
  cluster_processes "$1" | xargs -r "${cluster_as_root[@]}" kill -KILL
  rm -f "$cluster_dir/slurmd-$1.pid"
}

cluster_stop() {
  local name file pid
  [ -n "${cluster_dir:-}" ] || return 0
  scancel --user="$(id -un)" --signal=KILL --full 2>/dev/null || true
  if [ ${#cluster_nodes[@]} -gt 1 ]; then
    for name in "${cluster_nodes[@]}"; do cluster_kill_node "$name" || true; done
  fi
  for file in "$cluster_dir"/slurmd-*.pid "$cluster_dir/slurmctld.pid" "$cluster_dir/munge/pid"; do
    pid=$(cat "$file" 2>/dev/null) || continue
    kill "$pid" 2>/dev/null || continue
    for _ in $(seq 50); do kill -0 "$pid" 2>/dev/null || continue 2; sleep 0.1; done
    kill -KILL "$pid" || true
  done
  "${cluster_as_root[@]}" rm -rf "$cluster_dir"
  cluster_dir=
}
