#!/usr/bin/env bash
# Shellcheck finds nothing in the job scripts, nor in their tests.
set -euo pipefail
cd "$SLAO_SOURCE"
scripts=(jobs/*.sh jobs/*/*.sh jobs/slurm/*.sbatch jobs/pbs/*.pbs jobs/lsf/*.lsf tests/small_sweep.sh tests/jobs/*.sh tests/slurm/*.sh)
shellcheck --external-sources "${scripts[@]}"
echo "${#scripts[@]} scripts are clean"
