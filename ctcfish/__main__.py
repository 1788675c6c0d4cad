"""``python -m ctcfish`` is the same program."""

from ctcfish.cli import main

main()
