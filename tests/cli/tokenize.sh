#!/usr/bin/env bash
# slao tokenize and the tokenizer behind it give the ids of the Python package tokenizers, for the default model and for
# its vocabulary under every pre-tokenizer that slao knows; and what cannot be read is refused.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python=$SLAO_SOURCE/build/python/bin/python
programs=$(dirname "$SLAO")/tests
"$python" "$SLAO_SOURCE/tests/cli/compare_tokens.py" "$SLAO" "$programs/tokenize_texts" "$SLAO_MODEL" "$work"

refuses() { # STATUS PART COMMAND...: the command fails with the status and says the part
  local wanted=$1 part=$2 status=0
  shift 2
  "$@" >"$work/out" 2>"$work/message" </dev/null || status=$?
  if [ "$status" -ne "$wanted" ] || ! grep -qF -- "$part" "$work/message"; then
    echo "$*: status $status (wanted $wanted), message (wanted \"$part\"):" >&2
    cat "$work/message" >&2
    exit 1
  fi
  [ ! -s "$work/out" ] || { echo "$*: printed something all the same" >&2; exit 1; }
}
refuses 2 "--model is missing" "$SLAO" tokenize
refuses 2 "$work/none.gguf" "$SLAO" tokenize --model "$work/none.gguf"
refuses 2 "$work/none" "$SLAO" tokenize --model "$SLAO_MODEL" "$work/none"
mkdir "$work/empty"
refuses 2 "tokenizer.json" "$SLAO" tokenize --model "$work/empty"
mkdir "$work/hostile"
"$python" -c 'print("{\"model\":" * 1000000)' >"$work/hostile/tokenizer.json"
refuses 2 "$work/hostile/tokenizer.json:1:" "$SLAO" tokenize --model "$work/hostile"
echo '{"model": {"vocab": {"a": -5}, "merges": []}, "decoder": {"type": "ByteLevel"}}' >"$work/hostile/tokenizer.json"
refuses 2 "$work/hostile/tokenizer.json: model.vocab: the id -5" "$SLAO" tokenize --model "$work/hostile"

# A word of 200 KB of one letter, and a line of 3 MB, within the time of a test.
"$python" -c 'print("a" * 200000); print("word and 123 words " * 160000)' | timeout 20 "$SLAO" tokenize --model "$SLAO_MODEL" | wc -l | grep -qx 2
