#!/usr/bin/env bash
# The monitor of eight observations, end to end. Needs `absint` on the path: `make demo` sees to that.
#
#     examples/monitor/demo.sh [folder for what it writes; out/demo by default]
set -euo pipefail

out=${1:-out/demo}
here=$(dirname "${BASH_SOURCE[0]}")
model=$here/monitor_8.onnx
source "$here/../expect.sh"
mkdir -p "$out"

echo
echo "A network that writes: it reads eight observations, a running severity after each, a verdict."
echo "1. The verdict is ALERT exactly where it should be, for all 10^8 prompts: proved, and checked."
expect 0 absint verify "$model" --region "$here/safe_8.yaml" --certificate "$out/monitor.cert"
expect 0 absint check "$out/monitor-verdict.cert" --model "$model" --region "$here/safe_8.yaml"

printf '\n2. A demand that it does not meet: a prompt, and what the network writes after it.\n'
expect 1 absint verify "$model" --region "$here/unsafe.yaml" \
  --certificate "$out/crash.cert" --counterexample "$out/crash"
expect 1 absint replay "$out/crash" --model "$model" --region "$here/unsafe.yaml"

printf '\n3. The proof, state by state, as a page for a browser.\n'
expect 0 absint explain "$out/monitor-verdict.cert" --format html --output "$out/monitor.html"
printf '\nWritten to %s: monitor-verdict.cert, monitor-never-launch.cert, crash.json, monitor.html\n' "$out"
