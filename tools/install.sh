#!/usr/bin/env bash
# Sets up .venv with the exact pins of requirements.txt. Run again, it returns at once unless the pins changed.
#
#   tools/install.sh                      everything it needs
#   PYTHON=python3.12 tools/install.sh    with that Python (3.10, 3.11 or 3.12)
#   CLASP_BENCH_WHEELS=/a:/b              folders to look in for a built wheel of onedl-mmcv (default: ../shared/wheels, where it exists)
#
# onedl-mmcv ships as source only. Without a wheel for this Python and torch it is compiled (about 10 minutes on 2 idle cores) and the wheel is
# kept in ~/.cache/clasp-bench, so that the next set-up on this machine does not compile again.
set -euo pipefail
cd "$(dirname "$0")/.."

UV_VERSION=0.13.9
PINS=requirements.txt
STAMP=.venv/.installed-pins
WHEELS=${CLASP_BENCH_WHEELS-$([ -d ../shared/wheels ] && echo ../shared/wheels || true)}

say() { printf '[install] %s\n' "$*"; }
fail() { printf '[install] error: %s\n' "$*" >&2; exit 2; }
pin() { sed -n "s/^$1==\([^ ;]*\).*/\1/p" "$PINS" | head -1; }

find_python() {
  local candidate
  for candidate in ${PYTHON:-python3.11 python3.12 python3.10 python3}; do
    if "$candidate" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 12))' 2>/dev/null; then
      command -v "$candidate"
      return
    fi
  done
  fail "no Python 3.10 to 3.12 found${PYTHON:+ at $PYTHON}; install one, or name it: PYTHON=/path/to/python3.11 $0"
}

# OpenMMLab's own packages and the maintained forks install the same modules: whichever came last would win, by halves.
refuse_upstream() {
  local found
  found=$(.venv/bin/python - <<'PY'
from importlib.metadata import distributions
names = {"mmcv", "mmcv-full", "mmcv-lite", "mmengine", "mmdet", "mmsegmentation", "mmpretrain"}
print(" ".join(sorted({d.metadata["Name"] for d in distributions() if (d.metadata["Name"] or "").lower() in names})))
PY
)
  [ -z "$found" ] || fail "conflict: this environment holds upstream $found, which install the same modules as the onedl-* packages we use;" \
    "mend it with: .venv/bin/python -m pip uninstall -y $found, then run $0 again"
}

fingerprint() {
  { cat "$PINS" setup.cfg tools/install.sh; .venv/bin/python -V; pwd; } | sha256sum | cut -d' ' -f1
}

ops_work() {
  .venv/bin/python -W ignore - <<'PY' 2>/dev/null
import torch
from mmcv.ops import nms
for device in ["cpu"] + (["cuda"] if torch.cuda.is_available() else []):
    boxes = torch.tensor([[0., 0, 2, 2], [0, 0, 2, 2.1], [5, 5, 6, 6]], device=device)
    assert nms(boxes, torch.tensor([.9, .8, .7], device=device), 0.5)[1].tolist() == [0, 2]
PY
}

# Compile onedl-mmcv into $1, showing that it is alive.
compile_mmcv() {
  local log=.venv/onedl-mmcv.log started=$SECONDS job
  say "compiling onedl-mmcv $(pin onedl-mmcv): no wheel for this Python, torch and device; about 10 minutes on 2 idle cores (log: $log)"
  command -v c++ >/dev/null || fail "compiling needs a C++ compiler; on Debian: apt-get install g++ python3-dev"
  CFLAGS=-g0 MAX_JOBS=$(nproc) PATH="$PWD/.venv/bin:$PATH" .venv/bin/python -m pip wheel --no-build-isolation --no-deps --no-cache-dir \
    --no-binary onedl-mmcv -v -w "$1" "onedl-mmcv==$(pin onedl-mmcv)" >"$log" 2>&1 &
  job=$!
  trap 'kill $job 2>/dev/null' INT TERM
  while kill -0 $job 2>/dev/null; do
    sleep 1
    if (( (SECONDS - started) % 20 == 0 )); then
      say "  still compiling, $((SECONDS - started)) s: $(grep -oE '^ *\[[0-9]+/[0-9]+\]' "$log" | tail -1 | tr -d '[]' || true) files"
    fi
  done
  wait $job || fail "onedl-mmcv did not compile; the reason is at the end of $log"
  say "compiled in $((SECONDS - started)) s"
}

install_mmcv() {
  local version cache folder tag
  version=$(pin onedl-mmcv)
  tag=$(.venv/bin/python -c 'import sys, torch; print("cp%d%d" % sys.version_info[:2], "cuda" if torch.cuda.is_available() else "cpu")')
  cache=${XDG_CACHE_HOME:-$HOME/.cache}/clasp-bench/wheels/torch-$(pin torch)-${tag#* }
  for folder in $cache ${WHEELS//:/ }; do
    for wheel in "$folder"/onedl_mmcv-"$version"-"${tag% *}"-*.whl; do
      [ -f "$wheel" ] || continue
      "${UV[@]}" -q --no-deps --reinstall-package onedl-mmcv "$wheel"
      if ops_work; then
        say "onedl-mmcv $version from $wheel"
        return
      fi
      say "passing over $wheel: its compiled operations do not run here (another torch, or no CUDA in it)"
    done
  done
  if [ "${tag#* }" = cuda ] && ! command -v nvcc >/dev/null; then
    say "a CUDA device but no nvcc: compiling for the CPU only; detection then needs CUDA_VISIBLE_DEVICES= (nothing), or nvcc and this script again"
  fi
  mkdir -p "$cache"
  compile_mmcv "$cache"
  "${UV[@]}" -q --no-deps --reinstall-package onedl-mmcv "$cache"/onedl_mmcv-"$version"-"${tag% *}"-*.whl
  ops_work || say "warning: onedl-mmcv's operations do not run on every device here; \`clasp-bench doctor\` says which"
}

if [ -x .venv/bin/clasp-bench ] && [ -f "$STAMP" ] && [ "$(cat "$STAMP")" = "$(fingerprint)" ]; then
  exit 0
fi

if [ ! -x .venv/bin/python ]; then
  python=$(find_python)
  say "creating .venv with $("$python" -V)"
  "$python" -m venv .venv || {
    rm -rf .venv # half made, and it would be taken for a whole one
    fail "$python cannot make virtual environments; on Debian: apt-get install python3-venv"
  }
fi
refuse_upstream
.venv/bin/python -m pip install -q --disable-pip-version-check "uv==$UV_VERSION"
UV=(.venv/bin/uv pip install --python .venv/bin/python)

say "1/4 torch and build tools (about 5 GB with its CUDA libraries)"
"${UV[@]}" -q -c "$PINS" setuptools wheel ninja cython psutil numpy torch torchvision
say "2/4 everything else"
"${UV[@]}" -q --no-deps --no-binary xtcocotools --no-build-isolation-package chumpy --no-build-isolation-package xtcocotools \
  -r <(grep -v '^onedl-mmcv==' "$PINS")
say "3/4 onedl-mmcv"
install_mmcv
say "4/4 clasp-bench itself"
"${UV[@]}" -q --no-deps --no-build-isolation -e .
.venv/bin/python -W ignore -c 'import cv2, mmcv.ops, xtcocotools.mask' || fail "the environment does not import; remove .venv and run $0 again"
fingerprint >"$STAMP"
say "ready: .venv/bin/clasp-bench --help"
