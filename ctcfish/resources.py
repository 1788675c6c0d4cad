"""Where the files that travel with the program lie (weights, presets)."""

from importlib import resources
from pathlib import Path


def resource_dir(name: str) -> Path:
    """Folder of shipped files.

    Parameters
    ----------
    name : {"models", "configs"}
        The folder; inside the package in a wheel, beside it in a checkout.

    Returns
    -------
    Path
    """
    package = Path(str(resources.files("ctcfish")))
    inside = package / name
    return inside if inside.is_dir() else package.parent / name
