#!/usr/bin/env bash
# Pre-train: tools/pretrain.sh CONFIG [GPUS] [options of `clasp-bench pretrain`]
#
#   tools/pretrain.sh configs/pretrain/clasp/CONFIG.py --data PHOTOS --labels LABELS
#   tools/pretrain.sh configs/pretrain/clasp/CONFIG.py 8 --data PHOTOS --labels LABELS     on 8 GPUs of this machine
#
# Without --work-dir it is work/pretrain/<name of the config>.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
if [ $# -lt 1 ] || [ "$1" = -h ] || [ "$1" = --help ]; then
  sed -n '2,7s/^# \{0,1\}//p' "$0"
  exit 0
fi
config=$1
shift
gpus=1
if [[ ${1:-} =~ ^[0-9]+$ ]]; then
  gpus=$1
  shift
fi
case " $* " in
  *" --work-dir"*) ;;
  *) set -- "$@" --work-dir "work/pretrain/$(basename "$config" .py)" ;;
esac
bash "$root/tools/install.sh"
if [ "$gpus" -gt 1 ]; then
  exec "$root/.venv/bin/torchrun" --standalone --nproc-per-node "$gpus" -m clasp_bench pretrain "$config" "$@"
fi
exec "$root/.venv/bin/clasp-bench" pretrain "$config" "$@"
