"""Measure the program: ``python scripts/bench.py NAME [options]`` runs ``scripts/bench_NAME.py``."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def names() -> list[str]:
    """Benches that stand beside this script."""
    return sorted(path.stem.removeprefix("bench_") for path in HERE.glob("bench_*.py"))


def main(arguments: list[str]) -> int:
    """Run one bench; the rest of the command line is its own."""
    if not arguments or arguments[0] not in names():
        print(f"usage: python scripts/bench.py {{{','.join(names())}}} [options]", file=sys.stderr)
        return 2
    sys.path.insert(0, str(HERE))
    sys.argv = [f"bench.py {arguments[0]}", *arguments[1:]]
    importlib.import_module(f"bench_{arguments[0]}").main()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
