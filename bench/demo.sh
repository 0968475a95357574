#!/usr/bin/env bash
# ./x demo: compiles the model of the repository in two formats, shows what became of it, and lets it write a story.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
set -euo pipefail

case ${1:-} in -h | --help)
  cat <<'TEXT'
./x demo
  Installs what is missing, builds, compiles the small model of the repository (test/data/stories260k, 260 thousand
  parameters) as it is and with int8 weights; prints bits, sizes and tokens/s; writes a story. Output: build/demo.
TEXT
  exit 0 ;;
esac

cd "$(dirname "${BASH_SOURCE[0]}")/.."
tools=$(realpath "${1:-build}/bin")
output=${1:-build}/demo
mkdir -p "$output"

say() { printf '\n\033[1m$ %s\033[0m\n' "$*"; }
show() { say "$*"; PATH=$tools:$PATH "$@"; }

show qopt-compile test/data/stories260k -o "$output/stories.qopt"
show qopt-compile test/data/stories260k --weights int8 -o "$output/stories-int8.qopt"
show qopt-inspect "$output/stories-int8.qopt"
for model in stories stories-int8; do
  show qopt-bench "$output/$model.qopt" --prompt 256 --context 128 --tokens 64 --bandwidth-mib 256
done
show qopt-run "$output/stories.qopt" --prompt "Once upon a time" --max-tokens 200
