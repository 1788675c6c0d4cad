"""Make the small slide of data_samples/ again: the same bytes from the same specification.

    python scripts/make_sample.py [--out FOLDER]

Writes FOLDER/sample and FOLDER/SHA256SUMS; an existing FOLDER/sample is replaced.
"""

import argparse
import hashlib
import shutil
from pathlib import Path

from ctcfish.synth import read_spec, simulate_slide

SAMPLES = Path(__file__).resolve().parent.parent / "data_samples"


def make_sample(out: Path) -> Path:
    """Simulate the sample slide into a folder and list the checksums of its files there."""
    spec = read_spec(SAMPLES / "sample.toml")
    shutil.rmtree(out / spec.slide_id, ignore_errors=True)
    slide = simulate_slide(spec, out)
    sums = out / "SHA256SUMS"
    sums.write_text(checksums(slide, out), encoding="utf-8")
    return sums


def checksums(slide: Path, root: Path) -> str:
    """Lines ``sha256  path`` of every file of the slide, in the order of their paths."""
    files = sorted(p for p in slide.rglob("*") if p.is_file())
    return "".join(f"{hashlib.sha256(p.read_bytes()).hexdigest()}  {p.relative_to(root).as_posix()}\n" for p in files)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=SAMPLES, help="folder to write into (default: data_samples)")
    print(make_sample(parser.parse_args().out))
