"""One run of two slides, read by every test of the exports and changed by none."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from tests import runs


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Slides ``a`` and ``b``; ``c`` failed with a message that names a folder of the machine."""
    folder = tmp_path_factory.mktemp("exported") / "run"
    message = (
        f"unexpected: [Errno 5] Input/output error: '{folder.parent}/scans/c/fish/f.tif'; run.log holds the details"
    )
    failures = pd.DataFrame([{"slide_id": "c", "cause": "OSError", "message": message}])
    second = runs.changed(runs.result("b", (2, 2)), if_exclusion_cell=[0.5, 7.0, None])
    return runs.write(folder, runs.result("a"), second, failures=failures)


def names_no_folder(out: Path, run: Path) -> None:
    """No file of an export names the folder of the run or of the export."""
    for file in (p for p in out.rglob("*") if p.is_file()):
        content = file.read_bytes()
        for folder in (run.parent, out.parent):
            assert str(folder).encode() not in content, file.name
