# shellcheck shell=bash
# What the job scripts of all batch systems share: sourced by SYSTEM/system.sh and local.sh, not run.
#
#   job_sweep SPEC [OPTIONS OF slao sweep...]            the sweep, on all ranks of the job
#   job_shard K N SPEC -o OUT.h5 [OPTIONS...]            its K-th of N parts, to OUT-part-K.h5
#   job_report OUT.h5 STORE...                           collects the results and draws the figures
#
# end the script with a line that says how it went. A sweep is stopped in time (exit code 75), and its job put back into the
# queue as long as that gets it further. Settings, from the environment:
#
#   SLAO                    the program (build/release/slao of this checkout, or else slao on the PATH)
#   SLAO_LAUNCHER           mpirun (the default) or srun
#   SLAO_LAUNCHER_OPTIONS   more options for it, split at blanks
#   SLAO_THREADS            cores of each rank (1)
#   SLAO_BIND               numa: ranks spread over NUMA nodes, each on cores of its own; none; auto (the default): numa
#                           where all cores that the job can see are its own
#   SLAO_STAGE              a folder on each node's own disk, or in its /dev/shm, to copy the model to before the start
#   SLAO_ANALYSIS           slao-analysis (build/python/bin/slao-analysis of this checkout, or else that on the PATH)
#   SLAO_MAX_REQUEUES       how often a job goes back into the queue at most (20)
#
# A batch system is these functions:
#   system_id          the job, as its users write it
#   system_ranks       how many ranks it has; system_ranks_on_node: on this node
#   system_nodes       how many nodes
#   system_cores       how many cores of this node are the job's; prints nothing where that is not told
#   system_end         when it ends, in seconds since 1970; prints nothing where it has no end, or that is not told
#   system_restarts    how often it came back from the queue
#   system_requeue     puts it back into the queue
#   system_hosts       options of mpirun that name its hosts, one a line; prints nothing where mpirun asks the system itself
# and, where exit code 75 must not be left to it: system_stopped_code, of a job that stopped and does not go back.

SLAO_JOBS=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
system_stopped_code=75

job_say() { printf 'slao job %s: %s\n' "$(system_id)" "$*"; }

# ---- What the job is about: JOB_SLAO JOB_NAME JOB_OUT JOB_STORE JOB_HAS_LIMIT ----

job_program() {
  JOB_SLAO=${SLAO:-$SLAO_JOBS/../build/release/slao}
  [ -x "$JOB_SLAO" ] || JOB_SLAO=$(command -v "${SLAO:-slao}") || {
    job_say "there is no program ${SLAO:-slao}: build it (cmake --preset release && cmake --build --preset release), or name it in SLAO" >&2
    exit 2
  }
}

# Reads slao sweep's arguments as it does itself, for the places of the results and the store.
job_places() {
  local word next="" plan
  JOB_OUT="" JOB_STORE="" JOB_HAS_LIMIT=no
  for word in "$@"; do
    case $next in
    out) JOB_OUT=$word ;;
    store) JOB_STORE=$word ;;
    esac
    next=""
    case $word in
    -o | --output) next=out ;;
    --store) next=store ;;
    --output=*) JOB_OUT=${word#*=} ;;
    --store=*) JOB_STORE=${word#*=} ;;
    --time-limit | --time-limit=*) JOB_HAS_LIMIT=yes ;;
    esac
  done
  if [ -z "$JOB_OUT" ]; then
    plan=$(job_plan "$@") || exit 2
    JOB_OUT=results/$(job_json name "$plan").h5
  fi
  [ -n "$JOB_STORE" ] || JOB_STORE=${JOB_OUT%.h5}.store
  JOB_NAME=$(basename "$JOB_OUT" .h5)
}

# job_plan SPEC [OPTIONS OF slao sweep or plan...]: the plan as JSON, by those options that slao plan has, too.
job_plan() {
  local options=("$1") word take=no
  for word in "${@:2}"; do
    if [ "$take" = yes ] || [[ $word =~ ^--(set|ranks|output|store|threads)= ]]; then
      options+=("$word")
      take=no
    elif [[ $word =~ ^(--(set|ranks|output|store|threads)|-o)$ ]]; then
      options+=("$word")
      take=yes
    fi
  done
  "$JOB_SLAO" plan "${options[@]}" --json
}

# job_json KEY TEXT: the number or text of a key that comes once in a JSON document; nothing if it is not there.
job_json() {
  sed -n "s/^.*\"$1\":[[:space:]]*\"\{0,1\}\([^\",}]*\).*/\1/p" <<<"$2" | head -n 1
}

# ---- How the ranks are started: the array JOB_LAUNCH ----

# Threads are slao's own (--threads): a BLAS that starts more of them per rank only makes ranks wait for each other.
job_environment() {
  export OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 MKL_NUM_THREADS=1
  # Containers know no user but root, and mpirun refuses it unless told.
  [ "$(id -u)" -ne 0 ] || export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
}

# Cores that this process may run on. (nproc takes OMP_NUM_THREADS for their number.)
job_cores() { env -u OMP_NUM_THREADS -u OMP_THREAD_LIMIT nproc; }

# Binding to cores that another job may be bound to as well makes both slow, so `auto` binds only where this job sees no
# other cores than its own (a node of its own, or one whose batch system confines jobs), and has one for each thread.
job_binding() {
  local bind=${SLAO_BIND:-auto} seen cores per_core on_node
  [ "$bind" = auto ] || { echo "$bind"; return; }
  seen=$(job_cores)
  cores=$(system_cores)
  per_core=$(lscpu 2>/dev/null | sed -n 's/^Thread(s) per core: *\([0-9]*\)$/\1/p')
  on_node=$(system_ranks_on_node)
  if [ "${cores:-0}" -eq "$seen" ] && [ $((on_node * ${SLAO_THREADS:-1})) -le $((seen / ${per_core:-1})) ]; then
    echo numa
  else
    echo none
  fi
}

job_launcher() {
  local threads=${SLAO_THREADS:-1} ranks bind name
  ranks=$(system_ranks)
  bind=$(job_binding)
  case ${SLAO_LAUNCHER:-mpirun} in
  mpirun)
    JOB_LAUNCH=(mpirun -n "$ranks")
    mapfile -t -O ${#JOB_LAUNCH[@]} JOB_LAUNCH < <(system_hosts)
    case $bind in
    numa) JOB_LAUNCH+=(--map-by "numa:PE=$threads" --bind-to core) ;;
    *) JOB_LAUNCH+=(--bind-to none) ;;
    esac
    # What hosts reached by ssh do not get by themselves.
    for name in OPENBLAS_NUM_THREADS OMP_NUM_THREADS MKL_NUM_THREADS SLAO_DATA; do
      [ -z "${!name:-}" ] || JOB_LAUNCH+=(-x "$name")
    done
    ;;
  srun)
    srun --mpi=list 2>&1 | grep -q pmix || {
      job_say "this Slurm's srun has no pmix (srun --mpi=list), which Open MPI needs: use SLAO_LAUNCHER=mpirun" >&2
      exit 2
    }
    JOB_LAUNCH=(srun --mpi=pmix --ntasks="$ranks" --cpus-per-task="$threads" --kill-on-bad-exit=1)
    case $bind in
    numa) JOB_LAUNCH+=(--distribution=block:cyclic --cpu-bind=cores) ;;
    *) JOB_LAUNCH+=(--cpu-bind=none) ;;
    esac
    ;;
  *)
    job_say "SLAO_LAUNCHER is \"$SLAO_LAUNCHER\": mpirun and srun are known" >&2
    exit 2
    ;;
  esac
  # shellcheck disable=SC2206
  JOB_LAUNCH+=(${SLAO_LAUNCHER_OPTIONS:-})
}

# ---- The model on each node's own disk ----

# Copies the model to SLAO_STAGE/slao-USER/KEY/ on each node, unless it is there, and prints the path of the copies. They
# stay for the next job. KEY is of the names, sizes and times of its files, so that another model is not taken for it.
job_stage() {
  local model=$1 key folder start
  key=$(find -L "$model" -maxdepth 1 -type f -printf '%p %s %T@\n' | sort | cksum)
  folder=$SLAO_STAGE/slao-$(id -un)/${key%% *}
  if [ "${SLAO_LAUNCHER:-mpirun}" = srun ]; then
    start=(srun --nodes="$(system_nodes)" --ntasks="$(system_nodes)" --ntasks-per-node=1 --cpu-bind=none)
  else
    mapfile -t start < <(system_hosts)
    start=(mpirun "${start[@]}" -n "$(system_nodes)" --map-by ppr:1:node --bind-to none)
  fi
  # shellcheck disable=SC2016
  "${start[@]}" bash -c '[ ! -d "$2" ] || { echo "$(hostname): $2 is there"; exit 0; }
    mkdir -p "$2.$$" && cp -rL "$1" "$2.$$/" && mv -T "$2.$$" "$2" && echo "$(hostname): copied to $2"' stage "$model" "$folder" >&2 &&
    echo "$folder/$(basename "$model")"
}

# ---- Running: forwards requests to stop, and ends what does not stop ----

# USR1 asks the ranks to stop (they leave with 75); who asked for it decides whether the job goes back into the queue. A
# user who asks twice does not want to wait.
job_ask_to_stop() { # limit or user
  local signal=USR1
  [ "$1$JOB_ASKED" != useruser ] || signal=TERM
  JOB_ASKED=$1
  [ -z "${JOB_CHILD:-}" ] || kill -$signal "$JOB_CHILD" 2>/dev/null
}
JOB_ASKED=""
trap 'job_ask_to_stop limit' USR1 # sent by the batch system, some time before the end
trap 'job_ask_to_stop user' TERM INT

# job_run SECONDS COMMAND...: its exit code in JOB_CODE. (timeout would do, but that USR1 ends it, and not what it runs.)
job_run() {
  local seconds=$1 timer
  shift
  [ -z "$JOB_ASKED" ] || { JOB_CODE=75; return; }
  "$@" &
  JOB_CHILD=$!
  (trap '' USR1 TERM INT; exec sleep "$seconds") & # batch systems may signal all that runs
  timer=$!
  [ -z "$JOB_ASKED" ] || kill -USR1 "$JOB_CHILD"
  while :; do
    wait -n "$JOB_CHILD" "$timer"
    JOB_CODE=$?
    kill -0 "$JOB_CHILD" 2>/dev/null || break
    kill -0 "$timer" 2>/dev/null && continue
    job_say "has not stopped, $seconds s after its start: killed"
    kill -KILL "$JOB_CHILD"
    wait "$JOB_CHILD"
    JOB_CODE=$?
    JOB_ASKED=${JOB_ASKED:-limit}
    break
  done
  JOB_CHILD=""
  kill -KILL "$timer" && wait "$timer" 2>/dev/null
}

# ---- The end: JOB_CODE, what slao printed and what is in the store say how it went ----

# Has this run finished a step or got further in a training?
job_got_further() {
  [ -n "$(find "$JOB_STORE/steps" "$JOB_STORE/checkpoints" -type f -newer "$JOB_STAMP" -print -quit 2>/dev/null)" ]
}

# Going back must lead somewhere: a first run that gets nothing done would not do better in the next, and later ones (a
# host is down that the batch system still takes to be up) may try three times.
job_back_to_queue() { # WHAT happened; does not return
  local restarts most=${SLAO_MAX_REQUEUES:-20} idle=0 idle_file=$JOB_STORE.idle
  local kept="what is finished is kept in $JOB_STORE, and the same command goes on"
  restarts=$(system_restarts)
  if [ "$JOB_ASKED" = user ]; then
    job_say "$JOB_NAME: STOPPED on request: $kept"
    exit "$system_stopped_code"
  elif job_got_further; then
    rm -f "$idle_file"
  else
    idle=$(($(cat "$idle_file" 2>/dev/null || echo 0) + 1))
    echo $idle >"$idle_file"
  fi
  if [ $idle -ge 3 ] || { [ $idle -gt 0 ] && [ "$restarts" -eq 0 ]; }; then
    rm -f "$idle_file"
    job_say "$JOB_NAME: STOPPED: $1, and got nothing done that another run could go on from: see the log above; it may need more time, or more memory"
  elif [ "$restarts" -ge "$most" ]; then
    job_say "$JOB_NAME: STOPPED: $1, and it was in the queue $restarts times again, which is the most (SLAO_MAX_REQUEUES): $kept"
  else
    job_say "$JOB_NAME: back into the queue ($((restarts + 1)) of at most $most times): $1"
    system_requeue && exit 75
    job_say "$JOB_NAME: STOPPED: it could not be put back into the queue: $kept"
  fi
  exit "$system_stopped_code"
}

job_end() {
  local steps failed
  cat "$JOB_PRINTED"
  steps=$(sed -n 's/^steps  *//p' "$JOB_PRINTED") # N of M done
  if [[ $steps =~ ^([0-9]+)\ of\ ([0-9]+) ]] && [ "${BASH_REMATCH[1]}" -eq "${BASH_REMATCH[2]}" ]; then
    JOB_CODE=0 # whatever mpirun makes of ranks that were lost on the way
  fi
  case $JOB_CODE in
  2 | 3) ;;
  0 | 1 | 75) [ -n "$steps" ] || job_back_to_queue "it was cut off (mpirun says $JOB_CODE, but slao told no results)" ;;
  *) job_back_to_queue "it was cut off (exit code $JOB_CODE)" ;;
  esac
  case $JOB_CODE in
  0) job_say "$JOB_NAME: done: steps ${steps% done}; fingerprint $(sed -n 's/^fingerprint  *//p' "$JOB_PRINTED"); $JOB_OUT" ;;
  1)
    failed=$("$JOB_SLAO" inspect "$JOB_OUT" --json | grep -o '"status":[[:space:]]*"failed"' | wc -l)
    job_say "$JOB_NAME: FAILED: $failed of $(sed -n 's/^trials  *//p' "$JOB_PRINTED") trials; the others are in $JOB_OUT; why is in $JOB_STORE/logs; --only failed tries them again"
    ;;
  75) # a job without an end stops by itself only where its user gave --time-limit
    [ -n "$(system_end)$JOB_ASKED" ] || JOB_ASKED=user
    job_back_to_queue "the time limit came, with $steps"
    ;;
  *) job_say "$JOB_NAME: FAILED with exit code $JOB_CODE, see the log above (2: wrong input; 3: no room on a disk or in memory): what is finished is kept in $JOB_STORE" ;;
  esac
  exit "$JOB_CODE"
}

job_sweep() {
  local started end left=infinity copy plan options=()
  started=$(date +%s)
  job_program
  job_environment
  job_places "$@"
  job_launcher
  mkdir -p "$(dirname "$JOB_STORE")"
  if [ -n "${SLAO_STAGE:-}" ]; then
    plan=$(job_plan "$@") || exit 2
    if copy=$(job_stage "$(job_json model "$plan")"); then
      options+=(--model-copy "$copy")
    else
      job_say "$JOB_NAME: the model could not be copied to $SLAO_STAGE on all nodes, see above: it is read from its place" >&2
    fi
  fi
  JOB_STAMP=$(mktemp "$JOB_STORE.XXXXXX") # by the clock of the store's file system
  JOB_PRINTED=$(mktemp)
  trap 'rm -f "$JOB_STAMP" "$JOB_PRINTED"' EXIT
  end=$(system_end)
  if [ -n "$end" ]; then
    left=$((end - started))
    left=$((left - (left < 400 ? left / 20 : 20))) # slao itself means to be over before that
    [ "$JOB_HAS_LIMIT" = yes ] || options+=(--time-limit "$(awk -v s=$((end - started)) 'BEGIN { print s / 60 }')")
  fi
  [ "${SLAO_THREADS:-1}" -eq 1 ] || options+=(--threads "$SLAO_THREADS")
  job_say "$JOB_NAME: $(system_ranks) ranks on $(hostname)${end:+, until $(date -d "@$end" +%H:%M:%S)}, restart $(system_restarts): ${JOB_LAUNCH[*]} $JOB_SLAO sweep $* ${options[*]}"
  job_run "$left" "${JOB_LAUNCH[@]}" "$JOB_SLAO" sweep "$@" "${options[@]}" >"$JOB_PRINTED"
  job_end
}

job_shard() {
  local k=$1 n=$2
  shift 2
  job_program
  job_places "$@"
  job_sweep "$@" -o "${JOB_OUT%.h5}-part-$k.h5" --shard "$k/$n"
}

# ---- After the sweep ----

job_report() {
  local out=$1 from=() store printed trials undone analysis=${SLAO_ANALYSIS:-$SLAO_JOBS/../build/python/bin/slao-analysis}
  shift
  job_program
  JOB_NAME=$(basename "$out" .h5)
  for store in "$@"; do from+=(--from "$store"); done
  if ! printed=$("$JOB_SLAO" collect "$out" "${from[@]}"); then
    job_say "$JOB_NAME: FAILED: the results could not be collected, see above"
    exit 2
  fi
  echo "$printed"
  [ -x "$analysis" ] || analysis=$(command -v "${SLAO_ANALYSIS:-slao-analysis}") || {
    job_say "$JOB_NAME: FAILED: collected in $out, but there is no slao-analysis for the figures (pip install $SLAO_JOBS/../analysis)"
    exit 2
  }
  if ! "$analysis" all "$out" -o "${out%.h5}" || ! "$analysis" report "$out" -o "${out%.h5}/report.html"; then
    job_say "$JOB_NAME: FAILED: collected in $out, but slao-analysis failed, see above"
    exit 2
  fi
  trials=$("$JOB_SLAO" inspect "$out" --json | grep -o '"status":[[:space:]]*"[a-z]*"')
  undone=$(grep -cv '"done"' <<<"$trials")
  if [ "$undone" -gt 0 ]; then
    job_say "$JOB_NAME: FAILED: $undone of $(wc -l <<<"$trials") trials are not done; the others are in $out, figures and report in ${out%.h5}"
    exit 1
  fi
  job_say "$JOB_NAME: done: all $(wc -l <<<"$trials") trials; fingerprint $(sed -n 's/^fingerprint  *//p' <<<"$printed"); figures and report in ${out%.h5}"
}
