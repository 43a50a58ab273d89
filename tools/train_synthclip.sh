#!/usr/bin/env bash
# Trains SynthCLIP, the teacher that ships with the package, from nothing: renders its own SynthPed universes (16 seeds from 9001 to 9151
# to learn from, 9002 to watch), which no benchmark uses, trains, and puts the weights into the package.
# Rendering takes about 75 seconds of two cores a universe. Training takes a GPU: minutes, 4 GB of its memory and 5 cores that draw batches.
# It runs without one too, but for some 14 hours of one core. Killed, the same command goes on where it was.
#
#   tools/train_synthclip.sh [WORK_FOLDER] [STEPS]
set -euo pipefail
cd "$(dirname "$0")/.."
work=${1:-work/synthclip}
steps=${2:-8000}
bin=.venv/bin

learn=()
for seed in $(seq 9001 10 9151); do
  "$bin/clasp-bench" synth "$work/universe-$seed" --scale quick --seed "$seed" --layouts lip
  learn+=("$work/universe-$seed")
done
"$bin/clasp-bench" synth "$work/universe-9002" --scale quick --seed 9002 --layouts lip
"$bin/python" -m clasp_bench.teacher.synthclip.train "${learn[@]}" --validation "$work/universe-9002" --out "$work/run" --steps "$steps"
cp "$work/run/open_clip_model.safetensors" clasp_bench/teacher/synthclip/
echo "clasp_bench/teacher/synthclip/open_clip_model.safetensors is written; judge it with: clasp-bench label UNIVERSE/photos --out LABELS --evaluate"
