#!/usr/bin/env bash
# The build steps of the container recipes, run in a clean folder: NOT in a container, for there is no container engine
# here. What is tested is that Dockerfile and slao.def copy the same files, that these are enough to build with, that both
# run the one build script, and that the program it installs runs a sweep with the scripts that lie beside it.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../small_sweep.sh
. "$(dirname "${BASH_SOURCE[0]}")/../small_sweep.sh"
recipes=$jobs/container
copied=$(sed -n 's/^COPY //p' "$recipes/Dockerfile")
[ -n "$copied" ] || fail "the Dockerfile copies nothing"
[ "$copied" = "$(sed -n '/^%files/,/^$/s/^    //p' "$recipes/slao.def")" ] || fail "Dockerfile and slao.def copy different files"
steps='/opt/slao/jobs/container/build.sh /opt/slao /usr/local && rm -r /opt/slao/build /opt/slao/src'
for recipe in Dockerfile slao.def; do grep -qF " $steps" "$recipes/$recipe" || fail "$recipe does not run: $steps"; done

while read -r from to; do
  mkdir -p "image$(dirname "$to")"
  cp -r "$SLAO_SOURCE/$from" "image$to"
done <<<"$copied"
steps=$(sed "s|/opt|$work/image/opt|g; s|/usr|$work/image/usr|g" <<<"$steps")
SLAO_GIT_COMMIT=abc123 bash -c "$steps" >build.log 2>&1 || fail "the build"
unset SLAO SLAO_JOBS
PATH=$work/image/usr/local/bin:$PATH
slao --version >version.log
grep -q "commit abc123" version.log || fail "the commit is not known: $(cat version.log)"
image/opt/slao/jobs/local.sh spec.json --set 'sweep.method=["seqlora"]' >local.log 2>&1 || fail "local.sh: $?"
last_line local.log | grep -q "small: done: steps" || fail "the last line"
grep -q " $work/image/usr/local/bin/slao sweep spec.json" local.log || fail "another slao ran"
echo "container recipes, outside a container: ok"
