#!/usr/bin/env bash
# Set up, simulate one slide, score it, and say where the report lies.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/setup.sh
out="${1:-demo}"
rm -rf "$out"
mkdir -p "$out"
.venv/bin/ctcfish simulate slide data_samples/demo.toml --out "$out/study"
.venv/bin/ctcfish score "$out/study/demo" --out "$out/result"
