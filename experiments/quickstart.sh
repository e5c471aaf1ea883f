#!/usr/bin/env bash
# From a bare Debian machine to figures: installs what is missing, builds, fetches the default model, runs a small real
# sweep with mpirun (SLAO under three schedules against SeqLoRA, two orders, five tasks, SmolLM2-135M), draws its
# figures, prints its table and writes a report. A second call does only what is missing.
#   experiments/quickstart.sh [OPTIONS OF slao sweep...]
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
cd "$SLAO_ROOT"
started=$SECONDS

setup_packages "${BUILD_PACKAGES[@]}"
setup_build release
setup_analysis
setup_model
setup_mpi

ranks=$(nproc)
progress=lines
[ -t 2 ] && progress=bar # mpirun's ranks cannot see the terminal themselves
output=results/quickstart.h5
say "running the sweep on $ranks ranks (stop it at any time: the same command goes on)"
mpirun -n "$ranks" --bind-to none build/release/slao sweep experiments/quickstart/spec.json \
  -o "$output" --progress "$progress" "$@"

say "drawing the figures"
build/python/bin/slao-analysis all "$output" -o results/quickstart --most 2 >/dev/null
say "writing the report"
build/python/bin/slao-analysis report "$output" -o results/quickstart/report.html --most 2 >/dev/null

printf '\n'
cat results/quickstart/table.md
printf '\n'
build/python/bin/slao-analysis compare "$output"
cat <<EOF

results   $SLAO_ROOT/$output  (h5ls -r, h5py, pandas)
figures   $SLAO_ROOT/results/quickstart/  ($(find results/quickstart -name '*.png' | wc -l) figures as PNG and PDF; tables as Markdown, LaTeX and CSV)
report    $SLAO_ROOT/results/quickstart/report.html  (one page with all of it, for a browser)
adapters  $SLAO_ROOT/results/quickstart.store/adapters/  (PEFT folders)
took      $(((SECONDS - started) / 60)) min $(((SECONDS - started) % 60)) s
EOF
