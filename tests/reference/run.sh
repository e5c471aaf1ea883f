#!/usr/bin/env bash
# Comparisons with torch, transformers and peft, by hand before a change to numbers lands: tests/run.sh --reference.
# Needs SLAO_DATA (or ../shared/data beside the checkout), and a few GB of disk for torch.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/../../experiments/setup.sh"
python=$SLAO_ROOT/build/reference/bin/python
data=${SLAO_DATA:-$SLAO_ROOT/../shared/data}
[ -d "$data/CL_Benchmark" ] || { echo "no CL_Benchmark in $data: set SLAO_DATA" >&2; exit 2; }
setup_reference
# Vocabularies of real models: of the packages that hold them only the wheels, for their files.
vocabularies=$SLAO_ROOT/build/reference/vocabularies
if [ ! -d "$vocabularies/mistral-scores" ]; then
  say "fetching llama-models, mistral-common and dashscope for their vocabularies"
  "$python" -m pip download --quiet --no-deps -d "$SLAO_ROOT/build/reference/wheels" \
    llama-models==0.3.0 mistral-common==1.13.1 dashscope==2.0.2
  "$python" "$here/make_vocabularies.py" "$SLAO_ROOT/build/reference/wheels" "$vocabularies"
fi
setup_mpi
export SLAO=$SLAO_ROOT/build/ci/slao SLAO_MODEL SLAO_DATA=$data SLAO_SOURCE=$SLAO_ROOT
for script in "$here"/compare_*.py; do
  say "$(basename "$script")"
  "$python" "$script"
done
echo "all comparisons hold"
