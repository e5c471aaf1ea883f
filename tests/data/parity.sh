#!/usr/bin/env bash
# SmolLM2-135M with an adapter on q_proj and v_proj: loss, logits at answers, all gradients and three AdamW steps equal
# those of transformers and peft, which lie in the folder `parity` beside the benchmark data; the loss and some gradients
# equal, more closely, what tests/reference/make_parity_truth.py computed in fp64.
set -euo pipefail
parity=$SLAO_DATA/../parity
python=$SLAO_SOURCE/build/python/bin/python
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$python" - "$parity" "$work" <<'PY'
import json
import pathlib
import sys

import numpy
from safetensors.numpy import load_file, save_file

parity, work = map(pathlib.Path, sys.argv[1:3])
facts = json.loads((parity / "parity.json").read_text())
(work / "adapter").mkdir()
save_file({"base_model.model." + name: value for name, value in load_file(parity / "qv_lora_init.safetensors").items()},
          work / "adapter" / "adapter_model.safetensors")
(work / "adapter" / "adapter_config.json").write_text(json.dumps({
    "peft_type": "LORA", "r": facts["lora"]["r"], "lora_alpha": facts["lora"]["alpha"],
    "lora_dropout": facts["lora"]["dropout"], "target_modules": ["q_proj", "v_proj"], "bias": "none"}))
results = facts["results"]["qv"]

expected = {"loss": numpy.array(results["loss"], numpy.float32),
            "losses": numpy.array(results["losses_before_each_step_and_after3"], numpy.float32),
            "logits": load_file(parity / "qv_logits.safetensors")["logits_at_label_positions"]}
expected |= {"grad." + name: value for name, value in load_file(parity / "qv_grads.safetensors").items()}
expected |= {"param." + name: value for name, value in load_file(parity / "qv_lora_after3.safetensors").items()}
save_file(expected, work / "expected.safetensors")
PY
"$SLAO" probe --model "$SLAO_MODEL" --adapter "$work/adapter" --tokens "$parity/tokens.json" \
  -o "$work/ours.safetensors" --steps 3 --lr 1e-3
"$python" "$SLAO_SOURCE/tests/compare_probe.py" "$work/ours.safetensors" "$work/expected.safetensors"
"$SLAO" probe --model "$SLAO_MODEL" --adapter "$work/adapter" --tokens "$parity/tokens.json" \
  -o "$work/file.safetensors" --steps 3 --lr 1e-3 --weights file >"$work/stdout"
cmp "$work/ours.safetensors" "$work/file.safetensors" || {
  echo "weights left in the file give other values than in fp32" >&2; exit 1; }
"$python" "$SLAO_SOURCE/tests/compare_probe.py" "$work/ours.safetensors" "$SLAO_SOURCE/tests/fixtures/parity_fp64.safetensors" fp64
if "$SLAO" --version | grep -q "bf16 by"; then # without, tests/cli/bf16.sh sees it refused
  "$SLAO" probe --model "$SLAO_MODEL" --adapter "$work/adapter" --tokens "$parity/tokens.json" \
    -o "$work/ours.safetensors" --steps 3 --lr 1e-3 --matmul-precision bf16
  "$python" "$SLAO_SOURCE/tests/compare_probe.py" "$work/ours.safetensors" "$work/expected.safetensors" bf16
fi
