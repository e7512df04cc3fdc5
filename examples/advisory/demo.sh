#!/usr/bin/env bash
# The advisory example, end to end. Needs `absint` on the path: `make demo` sees to that.
#
#     examples/advisory/demo.sh [folder for what it writes; out/demo by default]
set -euo pipefail

out=${1:-out/demo}
here=$(dirname "${BASH_SOURCE[0]}")
model=$here/advisory.onnx
source "$here/../expect.sh"
mkdir -p "$out"

echo "1. Crossing traffic, up to 52 m/s: proved, and the proof is checked again on its own."
expect 0 absint verify "$model" --region "$here/safe.yaml" --certificate "$out/safe.cert"
expect 0 absint check "$out/safe.cert" --model "$model" --region "$here/safe.yaml"

printf '\n2. The same traffic, up to 54 m/s: a counterexample, replayed on onnxruntime.\n'
expect 1 absint verify "$model" --region "$here/unsafe.yaml" \
  --certificate "$out/unsafe.cert" --counterexample "$out/counterexample"
expect 1 absint replay "$out/counterexample" --model "$model" --region "$here/unsafe.yaml"

printf '\n3. The certified partition as a picture, with the counterexample beyond its border.\n'
expect 0 absint plot "$out/safe.cert" --model "$model" --region "$here/safe.yaml" \
  --counterexample "$out/counterexample" --output "$out/partition.svg"
printf '\nWritten to %s: safe.cert, counterexample.npz and .json, partition.svg\n' "$out"
