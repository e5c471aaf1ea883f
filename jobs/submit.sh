#!/usr/bin/env bash
# Submits a sweep to Slurm: asks `slao plan` how much memory and time it takes, fills in a job script, shows it, submits
# it, and says how to watch it. Run it where the sweep is to run; what it wrote is beside the results, in OUT.jobs/.
#
#   jobs/submit.sh SPEC [--nodes N] [--ntasks N] [--time MIN] [--partition P] [--account A] [--dry-run]
#                  [--threads T] [--array N] [--report] [--launcher mpirun|srun] [--stage DIR] [--max-requeues K]
#                  [-o OUT.h5] [--set KEY=VALUE]... [OTHER OPTIONS OF slao sweep] [-- OPTIONS OF sbatch]
#
#   --ntasks N       ranks (as many as the nodes have cores for, and the sweep has work for at a time)
#   --time MIN       of one stay on the machine (half as much again as the plan says); a sweep that takes longer goes
#                    back into the queue by itself
#   --threads T      cores of each rank (1)
#   --array N        N independent jobs instead of one, each with a part of the trials, and one that joins their results
#   --report         a job afterwards that draws the figures and writes the report (slao-analysis)
#   --stage DIR      copies the model to this folder of every node first, such as its own disk or /dev/shm
#   --dry-run        shows the scripts, has Slurm check them, and submits nothing
set -euo pipefail
system_id() { echo "to be"; }
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

die() { echo "submit.sh: $*" >&2; exit 2; }
usage() { sed -n '2,/^set /s/^# \{0,1\}//p' "$0" | sed '$d'; }
whole() { [[ $2 =~ ^[1-9][0-9]*$ ]] || die "$1 must be a whole number from 1 on, not \"$2\""; }

spec="" out="" nodes=1 ntasks="" threads=1 minutes="" partition="" account="" array="" report=no launcher=mpirun stage="" requeues=20
dry_run=no sweep_options=() sbatch_options=()
while [ $# -gt 0 ]; do
  case $1 in
  --help | -h) usage; exit 0 ;;
  --dry-run) dry_run=yes; shift; continue ;;
  --report) report=yes; shift; continue ;;
  --) shift; sbatch_options=("$@"); break ;;
  -*=*) set -- "${1%%=*}" "${1#*=}" "${@:2}" ;;
  -*) [ $# -gt 1 ] || die "$1 needs a value" ;;
  *) [ -z "$spec" ] || die "\"$1\" is an argument too many"; spec=$1; shift; continue ;;
  esac
  case $1 in
  --nodes) whole "$1" "$2"; nodes=$2 ;;
  --ntasks) whole "$1" "$2"; ntasks=$2 ;;
  --threads) whole "$1" "$2"; threads=$2 ;;
  --time) whole "$1" "$2"; minutes=$2 ;;
  --array) whole "$1" "$2"; array=$2 ;;
  --max-requeues) whole "$1" "$2"; requeues=$2 ;;
  --partition) partition=$2 ;;
  --account) account=$2 ;;
  --launcher) [[ $2 =~ ^(mpirun|srun)$ ]] || die "--launcher is mpirun or srun, not \"$2\""; launcher=$2 ;;
  --stage) [[ $2 = /* ]] || die "--stage must be a full path, not \"$2\""; stage=$2 ;;
  -o | --output) out=$2 ;;
  --store | --set | --max-fails | --max-retries | --checkpoint-seconds | --only)
    sweep_options+=("$1" "$2") ;;
  *) die "$1 is not an option (--help lists them; options of sbatch come after --)" ;;
  esac
  shift 2
done
[ -n "$spec" ] || { usage >&2; exit 2; }
[ "$dry_run" = yes ] || command -v sbatch >/dev/null || die "there is no sbatch on this machine (jobs/local.sh runs a sweep here)"

# ---- What the sweep needs ----

job_program
JOB_SLAO=$(realpath "$JOB_SLAO")
job_places "$spec" "${sweep_options[@]}" ${out:+-o "$out"}
[ -z "$array" ] || [[ " ${sweep_options[*]} " != *" --store "* ]] || die "the jobs of --array have a store each: leave --store out"
plan_for() { job_plan "$spec" "${sweep_options[@]}" -o "$JOB_OUT" --threads "$threads" --ranks "$1"; }
if [ -z "$ntasks" ]; then
  cores=$(sinfo -h ${partition:+-p "$partition"} -o %c 2>/dev/null | tr -d + | sort -n | head -n 1)
  most=$((nodes * ${cores:-4} / threads))
  plan=$(plan_for "$((most > 1 ? most : 1))")
  ntasks=$(awk -v n="$(job_json speed_up_at_most "$plan")" 'BEGIN { m = int(n); print m < n ? m + 1 : m }')
fi
[ "$ntasks" -ge "$nodes" ] || die "--nodes $nodes for $ntasks ranks: a node must have one at least"
plan=$(plan_for "$ntasks")
seconds=$(job_json seconds "$plan")
weights=$(job_json memory_weights_bytes "$plan") # on every node once, and beside them:
each=$(job_json memory_per_rank_bytes "$plan") memory=""
[[ $seconds =~ ^[0-9] ]] || seconds=""
if [[ $weights =~ ^[0-9] && $each =~ ^[0-9] ]]; then
  memory=$(awk -v w="$weights" -v r="$each" -v n=$(((ntasks + nodes - 1) / nodes)) 'BEGIN { printf "%.0f", w + n * r }')
fi
if [ -z "$minutes" ] && [ -n "$seconds" ]; then
  minutes=$(awk -v s="$seconds" -v n="${array:-1}" 'BEGIN { print int(1.5 * s / n / 60) + 5 }')
fi
minutes=${minutes:-60}

# ---- The scripts ----

folder=$(realpath -m "${JOB_OUT%.h5}.jobs")
sweep=sweep.sbatch log=%x-%j.log
[ -z "$array" ] || sweep=array.sbatch log=%x-%A_%a.log report=yes
warning=$((15 * minutes < 120 ? 15 * minutes : 120)) # seconds before the end: slao itself stops a little later
common=("--chdir=$PWD" ${partition:+"--partition=$partition"} ${account:+"--account=$account"})

# fill TEMPLATE ARGUMENTS...: the script of that name in $folder, with $directives, and these arguments in place of its own.
fill() {
  local template=$1 line directive given=no
  shift
  while IFS= read -r line; do
    if [[ $line = "#SBATCH "* ]]; then
      [ $given = yes ] || printf '#SBATCH %s\n' "${directives[@]}"
      given=yes
      for directive in "${directives[@]}"; do [[ $line != "#SBATCH ${directive%%=*}="* ]] || continue 2; done
    elif [ "$line" = "set -u" ]; then
      printf 'export SLAO_JOBS=%q SLAO=%q' "$SLAO_JOBS" "$JOB_SLAO"
      [ ${#settings[@]} -eq 0 ] || printf ' %s' "${settings[@]}"
      printf '\nset --'
      printf ' %q' "$@"
      printf '\n'
    fi
    printf '%s\n' "$line"
  done <"$SLAO_JOBS/slurm/$template" >"$folder/$template"
}

mkdir -p "$folder"
settings=("SLAO_LAUNCHER=$launcher" "SLAO_THREADS=$threads" "SLAO_MAX_REQUEUES=$requeues")
[ -z "$stage" ] || settings+=("SLAO_STAGE=$(printf %q "$stage")")
directives=("--job-name=$JOB_NAME" "--nodes=$nodes" "--ntasks=$ntasks" "--cpus-per-task=$threads" "--time=$minutes"
  "--signal=B:USR1@$warning" "--output=$folder/$log" "${common[@]}")
[ -z "$memory" ] || directives+=("--mem=$(awk -v b="$memory" 'BEGIN { print int(1.2 * b / 1048576) + 200 }')")
stores=("$JOB_STORE")
if [ -n "$array" ]; then
  directives+=("--array=1-$array")
  settings+=("SLAO_SHARDS=$array")
  stores=()
  for k in $(seq "$array"); do stores+=("${JOB_OUT%.h5}-part-$k.store"); done
fi
fill $sweep "$spec" "${sweep_options[@]}" -o "$JOB_OUT"
scripts=("$folder/$sweep")
if [ "$report" = yes ]; then
  directives=("--job-name=$JOB_NAME-report" "--output=$folder/%x-%j.log" "${common[@]}")
  settings=()
  fill report.sbatch "$JOB_OUT" "${stores[@]}"
  scripts+=("$folder/report.sbatch")
fi
for script in "${scripts[@]}"; do
  printf '==> %s <==\n' "$script"
  cat "$script"
done
printf '\nplan       %s ranks' "$ntasks"
[ -z "$seconds" ] || printf ', %.0f min' "$(awk -v s="$seconds" 'BEGIN { print s / 60 }')"
[ -z "$memory" ] || printf ', %.1f GB on a node' "$(awk -v b="$memory" 'BEGIN { print b / 1e9 }')"
printf '\n'

# ---- Submission ----

if [ "$dry_run" = yes ]; then
  command -v sbatch >/dev/null || { echo "not submitted, and not checked by Slurm: there is no sbatch here"; exit 0; }
  for script in "${scripts[@]}"; do sbatch --test-only "${sbatch_options[@]}" "$script"; done
  echo "not submitted (--dry-run)"
  exit 0
fi
id=$(sbatch --parsable "${sbatch_options[@]}" "${scripts[0]}")
id=${id%%;*}
jobs=$id
if [ "$report" = yes ]; then
  report_id=$(sbatch --parsable --dependency="afterany:$id" "${scripts[1]}")
  jobs+=,${report_id%%;*}
fi
log=${log/\%x/$JOB_NAME} log=${log/\%j/$id} log=${log/\%A_\%a/${id}_1}
cat <<END
job        $id${report_id:+, and the report $report_id when it has ended}
queue      squeue -j $jobs
log        tail -F $folder/$log
progress   $JOB_SLAO status $JOB_OUT --watch
stop       scancel --batch --signal=TERM $id     (keeps trainings that are under way; scancel $id: at once)
go on      the same command again
END
