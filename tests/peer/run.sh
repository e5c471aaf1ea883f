#!/usr/bin/env bash
# slao against transformers and peft on the same examples and cores (compare.py has the options). By hand, on a machine
# that does nothing else: installs torch, transformers and peft in build/reference, builds a release.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/../../experiments/setup.sh"
python=$SLAO_ROOT/build/reference/bin/python
export SLAO_DATA=${SLAO_DATA:-$SLAO_ROOT/../shared/data}
[ -d "$SLAO_DATA/CL_Benchmark" ] || { echo "no CL_Benchmark in $SLAO_DATA: set SLAO_DATA" >&2; exit 2; }
setup_packages "${BUILD_PACKAGES[@]}"
setup_model
setup_reference
setup_build release
export SLAO=$SLAO_ROOT/build/release/slao SLAO_MODEL SLAO_SOURCE=$SLAO_ROOT
exec "$python" "$here/compare.py" "$@"
