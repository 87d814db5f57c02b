"""Names for things that got none, from the files that they come from."""

import re
from pathlib import Path

from modelyard.domain.names import NAME_LENGTH_MAX


def label_from(text: str, otherwise: str) -> str:
    """`text` mended to a DNS label: `My model_v2` is `My-model-v2`. `otherwise` where nothing of it is left."""
    mended = re.sub(r"-{2,}", "-", re.sub(r"[^A-Za-z0-9-]", "-", text)).strip("-")
    return mended[:NAME_LENGTH_MAX].strip("-") or otherwise


def project_of(folder: Path) -> str:
    """A project is called as its folder is."""
    return label_from(folder.absolute().name, "project")
