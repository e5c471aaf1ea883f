#!/usr/bin/env bash
# Runs the tests: installs what they need, builds with warnings as errors, runs ctest and ends on its summary.
#   tests/run.sh [--quick] [--reference] [--hosts] [CTEST ARGUMENTS...]
# --quick      leaves out what takes over a minute (label `slow`)
# --reference  runs only the comparisons with torch, transformers and peft (installed in an environment of their own)
# --hosts      runs only what takes several hosts, as network namespaces of this machine (needs root)
# Tests on real data (label `data`) run when SLAO_DATA, or ../shared/data beside the checkout, is there.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/../experiments/setup.sh"
cd "$SLAO_ROOT"

select=()
reference=no
while [ $# -gt 0 ]; do
  case $1 in
  --quick) select=(-LE slow) ;;
  --reference) reference=yes ;;
  --hosts) select=(-C hosts -L hosts) ;;
  *) break ;;
  esac
  shift
done

setup_packages "${BUILD_PACKAGES[@]}" libcmocka-dev shellcheck \
  slurmctld slurmd slurm-client munge slurm-wlm-basic-plugins # for a Slurm that the tests start and stop themselves
setup_python h5py pandas matplotlib scipy pytest html5lib pyarrow tokenizers==0.23.3 safetensors rouge-score==0.1.2 setuptools wheel
setup_model
setup_build ci
setup_mpi
if [ "$reference" = yes ]; then
  exec tests/reference/run.sh "$@"
fi
ctest --preset ci "${select[@]}" "$@"
