"""Benchmarks: `python scripts/bench.py NAME …` runs `scripts/bench_NAME.py`."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def names() -> list[str]:
    """Benchmarks there are."""
    return sorted(path.stem.removeprefix("bench_") for path in HERE.glob("bench_*.py"))


def main(argv: list[str]) -> int:
    """Run the benchmark named first with the arguments after it."""
    if not argv or argv[0] not in names():
        print(f"usage: bench.py {{{','.join(names())}}} …", file=sys.stderr)
        return 2
    sys.path.insert(0, str(HERE))
    importlib.import_module(f"bench_{argv[0]}").main(argv[1:])
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
