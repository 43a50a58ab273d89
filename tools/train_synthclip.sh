#!/usr/bin/env bash
# Trains SynthCLIP, the teacher that ships with the package, from nothing: renders its own SynthPed universes (seeds 9001 and 9011 to
# 9051 to learn from, 9002 to watch), which no benchmark uses, trains, and puts the weights into the package.
# It took 75 minutes of one core that shared its processor with other work. Killed, the same command goes on where it was.
#
#   tools/train_synthclip.sh [WORK_FOLDER] [STEPS]
set -euo pipefail
cd "$(dirname "$0")/.."
work=${1:-work/synthclip}
steps=${2:-5000}
bin=.venv/bin

for seed in 9001 9011 9021 9031 9041 9051 9002; do
  "$bin/clasp-bench" synth "$work/universe-$seed" --scale quick --seed "$seed" --layouts lip
done
"$bin/python" -m clasp_bench.teacher.synthclip.train "$work"/universe-90{01,11,21,31,41,51} --validation "$work/universe-9002" \
  --out "$work/run" --steps "$steps"
cp "$work/run/open_clip_model.safetensors" clasp_bench/teacher/synthclip/
echo "clasp_bench/teacher/synthclip/open_clip_model.safetensors is written; judge it with: clasp-bench label UNIVERSE/photos --out LABELS --evaluate"
