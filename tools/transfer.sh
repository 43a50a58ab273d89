#!/usr/bin/env bash
# Fine-tune weights on a task, score them and write the record.
#   tools/transfer.sh TASK --weights FILE|random [options of `clasp-bench transfer`]
#   tools/transfer.sh reid --weights runs/clasp/backbone.safetensors --data universe
set -euo pipefail
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
if [[ ! -x "$root/.venv/bin/python" ]]; then
    echo "error: $root/.venv is not there; set it up with tools/install.sh" >&2
    exit 2
fi
exec "$root/.venv/bin/python" -m clasp_bench transfer "$@"
