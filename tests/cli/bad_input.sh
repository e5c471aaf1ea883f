#!/usr/bin/env bash
# What users get wrong, through the program: exit code 2, one message that names the file, key or value, nothing written.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tiny=$SLAO_SOURCE/tests/fixtures/tiny-llama
suite=$SLAO_SOURCE/experiments/quickstart/suite
refused=0
refused() { # WORDS COMMAND...: exit code 2, and each of the words in the message
  local words=$1 code=0 word
  shift
  "$@" >"$work/stdout" 2>"$work/stderr" || code=$?
  [ "$code" -eq 2 ] || { echo "exit code $code, not 2: $*"; cat "$work/stderr"; exit 1; }
  for word in $words; do
    grep -qF -- "$word" "$work/stderr" || { echo "no \"$word\" in the message of: $*"; cat "$work/stderr"; exit 1; }
  done
  refused=$((refused + 1))
}

echo "== model files"
inspect() { refused "$1" "$SLAO" inspect "$2"; }
inspect "none.gguf" "$work/none.gguf"
head -c 100000 "$SLAO_MODEL" >"$work/short.gguf"
inspect "short.gguf" "$work/short.gguf"
{ printf 'GGML'; tail -c +5 "$work/short.gguf"; } >"$work/magic.gguf"
inspect "magic.gguf" "$work/magic.gguf"
mkdir "$work/cut" "$work/strange"
cp "$tiny/config.json" "$work/cut/"
head -c 5000 "$tiny/model.safetensors" >"$work/cut/model.safetensors"
inspect "cut/model.safetensors" "$work/cut"
mkdir "$work/pickled"
cp "$tiny/config.json" "$work/pickled/"
touch "$work/pickled/pytorch_model.bin"
inspect "pickled/model.safetensors save_pretrained" "$work/pickled"
refused "pickled/tokenizer.json save_pretrained" "$SLAO" tokenize --model "$work/pickled"
sed 's/"llama"/"mamba"/' "$tiny/config.json" >"$work/strange/config.json"
cp "$tiny/model.safetensors" "$work/strange/"
inspect "strange/config.json mamba" "$work/strange"
for layers in 1 3; do # a tensor too many, a tensor too few
  mkdir "$work/layers$layers"
  sed "s/\"num_hidden_layers\": 2/\"num_hidden_layers\": $layers/" "$tiny/config.json" >"$work/layers$layers/config.json"
  cp "$tiny/model.safetensors" "$work/layers$layers/"
  inspect "model.layers.$((layers == 1 ? 1 : 2))." "$work/layers$layers"
done

echo "== specs"
spec() { # WORDS SED-SCRIPT: the good spec after the script
  sed "$2" "$work/good.json" >"$work/bad.json"
  cmp -s "$work/good.json" "$work/bad.json" && { echo "no change by $2"; exit 1; }
  refused "$1" "$SLAO" sweep "$work/bad.json" -o "$work/out.h5"
}
cat >"$work/good.json" <<JSON
{ "name": "bad", "model": "$SLAO_MODEL",
  "benchmark": { "format": "cl_benchmark", "path": "$suite", "train_samples": 8, "test_samples": 4 },
  "train": { "epochs": 1, "max_length": 256 },
  "sweep": { "method": ["slao"], "order": [["quiz", "desks"]], "lambda": [0.5], "learning_rate": [1e-3] } }
JSON
spec 'train.epoch "epochs"' 's/"epochs"/"epoch"/'
spec 'train.epochs whole' 's/"epochs": 1/"epochs": "one"/'
spec 'quizz quiz' 's/"quiz"/"quizz"/'
spec 'sloa slao' 's/"slao"/"sloa"/'
spec 'no-model' "s#\"model\": \"[^\"]*\"#\"model\": \"$work/no-model\"#"
spec 'lambda' 's/"lambda": \[0.5\]/"lambda": []/'
spec 'lambda' 's/"lambda": \[0.5\]/"lambda": ["1\/i^"]/'
spec 'cl_bench cl_benchmark' 's/"cl_benchmark"/"cl_bench"/'
spec 'max_length' 's/"max_length": 256/"max_length": 12/'
spec 'bad.json' 's/}$/]/'
refused 'lora.rank q_proj' "$SLAO" sweep "$work/good.json" -o "$work/out.h5" --set lora.rank=1000000
refused 'ranks_per_trial' "$SLAO" plan "$work/good.json" --set ranks_per_trial=0
refused 'start slao with mpirun -n 2' "$SLAO" sweep "$work/good.json" -o "$work/out.h5" --set ranks_per_trial=2
refused 'must name a file' "$SLAO" sweep "$work/good.json" -o "$work"
refused 'must name a file' "$SLAO" sweep "$work/good.json" -o ""
[ ! -e "$work/out.h5" ] || { echo "a refused sweep left a results file"; exit 1; }

echo "== data"
cp -r "$suite" "$work/suite"
printf '["person", "place"]' >"$work/suite/ASKS/quiz/labels.json"
spec 'quiz' "s#$suite#$work/suite#"

echo "== commands"
refused 'typo.store' "$SLAO" collect "$work/typo.h5"
[ ! -e "$work/typo.store" ] || { echo "collect made a store"; exit 1; }
refused 'swepp sweep' "$SLAO" swepp
refused '--outptu --output' "$SLAO" sweep "$work/good.json" --outptu x
refused '--model' "$SLAO" tokenize
refused '--max-new-tokens 2147483647' "$SLAO" generate --model "$SLAO_MODEL" --max-new-tokens 9223372036854775807 "Once upon"
refused 'bars' "$SLAO" sweep "$work/good.json" --progress bars
echo "$refused refused"
