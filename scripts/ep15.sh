#!/usr/bin/env bash
# A study of precision from images to the report: simulate 25 scans of one slide, score them, compare them.
#   scripts/ep15.sh FOLDER
set -euo pipefail
out=${1:?give a folder to make}
cd "$(dirname "$0")/.."
ctcfish=${CTCFISH:-.venv/bin/ctcfish}
"$ctcfish" simulate replicates data_samples/ep15.toml --out "$out/study"
"$ctcfish" batch "$out/study" --out "$out/run"
"$ctcfish" batch "$out/study" --out "$out/again"
"$ctcfish" qc reproduce "$out/run" --out "$out/ep15"
"$ctcfish" qc reproduce "$out/run" "$out/again" --out "$out/same_images"
