#!/usr/bin/env bash
# Builds and installs slao on Debian 12, for container images: Dockerfile and slao.def run it on the files that both name.
#   build.sh SOURCE PREFIX
# SLAO_GIT_COMMIT names the commit that the files are of, for slao --version and results files.
set -euo pipefail
source=$(realpath "$1") prefix=$2
# shellcheck source-path=SCRIPTDIR source=../../experiments/setup.sh
. "$source/experiments/setup.sh"
setup_packages "${BUILD_PACKAGES[@]}"
cmake --preset release -S "$source" --install-prefix "$prefix"
cmake --build "$source/build/release"
cmake --install "$source/build/release"
"$prefix/bin/slao" --version
