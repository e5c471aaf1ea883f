# shellcheck shell=bash disable=SC2154
# What tests of commands share: sourced once $work, a folder, is there.

fail() { echo "FAILED: $*" >&2; cat "$work/stderr" >&2; exit 1; }

# expect CODE COMMAND...: the exit code, within $seconds (120), or times SLAO_TEST_SLOWER of them; leaves output in
# $work/stdout and $work/stderr.
expect() {
  local wanted=$1 code=0
  shift
  timeout -k 2 $((${seconds:-120} * ${SLAO_TEST_SLOWER:-1})) "$@" >"$work/stdout" 2>"$work/stderr" || code=$?
  [ "$code" -eq "$wanted" ] || fail "exit code $code, not $wanted: $*"
}

# What slao sweep or slao collect has just told.
fingerprint() { sed -n 's/^fingerprint  *//p' "$work/stdout"; }
