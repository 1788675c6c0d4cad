#!/usr/bin/env bash
# The trial from images to its report: simulate a small study, score it, read how well it repeats, report every endpoint.
#   scripts/trial.sh FOLDER
set -euo pipefail
out=${1:?give a folder to make}
cd "$(dirname "$0")/.."
ctcfish=${CTCFISH:-.venv/bin/ctcfish}
"$ctcfish" simulate cohort data_samples/trial.toml --out "$out/study"
"$ctcfish" batch "$out/study" --out "$out/run"
"$ctcfish" qc reproduce "$out/run" --out "$out/qc"
"$ctcfish" trial simulate "$out/run" --out "$out/clinical"
"$ctcfish" trial run "$out/run" --clinical "$out/clinical" --protocol configs/trial/circe.toml --qc "$out/qc" --out "$out/trial"
