#!/usr/bin/env bash
# Install into .venv; a stamp makes a repeat cost nothing.
set -euo pipefail
cd "$(dirname "$0")/.."
python="${PYTHON:-python3}"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    echo "ctcfish needs Python 3.11 or newer; found $("$python" --version). Set PYTHON to one." >&2
    exit 1
}
stamp=".venv/.stamp"
want="$(cat pyproject.toml constraints.txt | cksum) $(pwd)"
[ "$(cat "$stamp" 2>/dev/null || true)" = "$want" ] && exit 0
[ -x .venv/bin/python ] || "$python" -m venv .venv
echo "installing into .venv (a few minutes the first time)" >&2
.venv/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
echo "$want" > "$stamp"
