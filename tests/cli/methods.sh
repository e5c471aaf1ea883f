#!/usr/bin/env bash
# Every method over three small tasks on a small random model, against numpy: where each task starts, what its training
# gives, what is merged, with which lambda, what is evaluated, and how much state is kept.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python=$SLAO_SOURCE/build/python/bin/python
"$python" "$SLAO_SOURCE/tests/make_small_model.py" "$work/model"
"$python" "$SLAO_SOURCE/tests/cli/methods.py" "$SLAO" "$work"

echo "== what a method does not have, or cannot mean: exit 2, with the key's path"
refuse() { # MESSAGE SETTING...
  local message=$1 code=0
  shift
  "$SLAO" plan "$work/spec.json" "$@" >"$work/out" 2>&1 || code=$?
  [ "$code" -eq 2 ] || { cat "$work/out"; echo "exit code $code, not 2: $*"; exit 1; }
  grep -qF -- "$message" "$work/out" || { cat "$work/out"; echo "not told: $message"; exit 1; }
}
refuse 'sweep.method[0]: seqlora has no option "init"' --set 'sweep.method=[{"name": "seqlora", "init": "zero"}]'
refuse 'sweep.method[0]: init cannot be "lastft"; did you mean "last-ft"?' --set 'sweep.method=[{"name": "slao", "init": "lastft"}]'
refuse 'sweep.slao.row_scale[0]: row_scale is 0' --set 'sweep.slao.row_scale=[0]'
refuse 'did you mean "slao.row_scale"?' --set 'sweep.slao.row_scal=[1]'
refuse 'sweep.slao.merge[0]: merge cannot be "0-9:C"' --set 'sweep.slao.merge=[[{"layers": "0-9", "merge": "C"}]]'
refuse 'slao.merge names layer 9, but the model'"'"'s layers are 0 to 1' --set 'sweep.slao.merge=[{"layers": "0-9", "merge": "A"}]'
refuse 'ftba-mb has no option "merge"' --set 'sweep.method=[{"name": "ftba-mb", "merge": "A"}]'
refuse 'sweep.lambda[1]: "1.5" is no schedule lambda(i): a constant lambda must lie in [0, 1]' --set 'sweep.lambda=[0.5, 1.5]'
refuse 'sweep.lambda[0]: "cosine(site)" is no schedule' --set 'sweep.lambda=["cosine(site)"]'
refuse 'sweep.lambda[0]: a lambda chosen by validation needs' --set 'sweep.lambda=["validation"]'
refuse 'sweep.lambda[0]: "i^(-x)" is no schedule' --set 'sweep.lambda=["i^(-x)"]'
refuse 'sweep.lambda[0]: "-0.1" is no schedule lambda(i): a constant lambda must lie in [0, 1]' --set 'sweep.lambda=[-0.1]'
refuse 'sweep.opcm.threshold[0]: threshold is -1' --set 'sweep.opcm.threshold=[-1]'
refuse 'sweep.method[0]: knots has no option "densty"; did you mean "density"?' --set 'sweep.method=[{"name": "knots", "densty": 1}]'
refuse 'train.linearisation_samples is -1' --set train.linearisation_samples=-1
refuse 'lora.rank is 25, but v_proj is 24 x 48' --set 'sweep.lora.rank=[3, 25]'
mkdir -p "$work/superni/task1_count"
for split in train test; do
  echo '{"Definition": ["Count."], "Categories": ["Counting"], "Instances": [{"input": "a", "output": ["one"]}]}' \
    >"$work/superni/task1_count/$split.json"
done
superni=(--set benchmark.format=superni --set "benchmark.path=$work/superni")
refuse 'sweep.order[0]: '"$work"'/superni has no task "task1572_samsum_summary"' "${superni[@]}" --set 'sweep.order=["superni-1"]'
refuse 'sweep.order[1]: '"$work"'/superni has no task "task2_count"; did you mean "task1_count"?' "${superni[@]}" \
  --set 'sweep.order=[["task1_count"], ["task1_count", "task2_count"]]'
refuse 'evaluate.score is "rank", which chooses among the labels of a task, but task1_count has none' "${superni[@]}" \
  --set 'sweep.order=[["task1_count"]]' --set evaluate.score=rank
refuse 'sweep.order[0]: order O4 is of a cl_benchmark benchmark' "${superni[@]}" --set 'sweep.order=["O4"]'
refuse 'lora.rank is 25, but v_proj is 24 x 48' --set lora.rank=25
