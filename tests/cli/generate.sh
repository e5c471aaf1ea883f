#!/usr/bin/env bash
# slao generate: a prompt as an argument and the same one on standard input give the same text.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$SLAO_SOURCE/build/python/bin/python" "$SLAO_SOURCE/tests/make_small_model.py" "$work/model"
generate() { "$SLAO" generate --model "$work/model" --max-new-tokens 8 "$@"; }
generate 'the note about the water' >"$work/argument"
echo 'the note about the water' | generate >"$work/line"
printf 'the note about the water' | generate >"$work/bytes"
echo 'a boat in the harbour' | generate >"$work/other"
cmp "$work/argument" "$work/line"
cmp "$work/argument" "$work/bytes"
[ "$(wc -c <"$work/argument")" -gt 1 ] || { echo "nothing was written"; exit 1; }
cmp -s "$work/argument" "$work/other" && { echo "the prompt on standard input is not read"; exit 1; }
for bad in '' 'a\0b'; do
  code=0
  printf "$bad" | generate >"$work/out" 2>"$work/err" || code=$?
  [ $code -eq 2 ] && grep -q 'prompt' "$work/err" || { echo "exit code $code, not 2"; cat "$work/err"; exit 1; }
done
