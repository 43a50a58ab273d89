#!/usr/bin/env bash
# Fine-tune weights on a task, score them and write the record: tools/transfer.sh TASK --weights FILE|random [options of `clasp-bench transfer`]
#
#   tools/transfer.sh reid --weights work/synthped-quick/pretrain/CLASP/backbone.safetensors
#   tools/transfer.sh attribute --weights random --data UNIVERSE --seed 1
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
if [ $# -lt 1 ] || [ "$1" = -h ] || [ "$1" = --help ]; then
  sed -n '2,5s/^# \{0,1\}//p' "$0"
  exit 0
fi
bash "$root/tools/install.sh"
exec "$root/.venv/bin/clasp-bench" transfer "$@"
