#!/usr/bin/env bash
# Trains SynthCLIP, the teacher that ships with the package, from nothing: renders its own SynthPed universes (16 seeds from 9001 to 9151
# to learn from, 9002 to watch), which no benchmark uses, trains, and puts the weights into the package.
# Rendering takes about 75 seconds of two cores a universe, training the convolutional tower about 40 minutes of them. The ViT takes a GPU
# (minutes, 4 GB of its memory and 5 cores that draw batches), or 14 hours of one core. Killed, the same command goes on where it was.
#
#   tools/train_synthclip.sh [synthclip|synthclip-vit] [WORK_FOLDER]
set -euo pipefail
cd "$(dirname "$0")/.."
teacher=${1:-synthclip}
work=${2:-work/synthclip}
bin=.venv/bin

case $teacher in
  synthclip) package=clasp_bench/teacher/synthclip/convnet ;;
  synthclip-vit) package=clasp_bench/teacher/synthclip/vit ;;
  *) echo "$teacher: is no tower of SynthCLIP; give synthclip or synthclip-vit" >&2; exit 2 ;;
esac
learn=()
for seed in $(seq 9001 10 9151); do
  "$bin/clasp-bench" synth "$work/universe-$seed" --scale quick --seed "$seed" --layouts lip
  learn+=("$work/universe-$seed")
done
"$bin/clasp-bench" synth "$work/universe-9002" --scale quick --seed 9002 --layouts lip
"$bin/python" -m clasp_bench.teacher.synthclip.train "${learn[@]}" --teacher "$teacher" --validation "$work/universe-9002" --out "$work/$teacher"
cp "$work/$teacher/open_clip_model.safetensors" "$package/"
echo "$package/open_clip_model.safetensors is written; judge it with: clasp-bench label UNIVERSE/photos --out LABELS --teacher $teacher --evaluate"
