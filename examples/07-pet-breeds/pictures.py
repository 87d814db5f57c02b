"""Images as the network takes them."""

# Pillow lives in the environment of the lesson; NumPy's values get their types only as they run.
# pyright: reportMissingImports=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false

from pathlib import Path
from typing import Any

import numpy as np
from network import SIDE
from PIL import Image


def pixels(image: Image.Image) -> Any:
    """The middle square of an image, 32 by 32, numbers from 0 to 1."""
    edge = min(image.size)
    left, top = (image.width - edge) // 2, (image.height - edge) // 2
    square = image.convert("RGB").crop((left, top, left + edge, top + edge))
    return np.asarray(square.resize((SIDE, SIDE), Image.Resampling.BOX), np.float32) / 255


def read_folder(folder: Path) -> tuple[list[str], Any, Any]:
    """Names of the breeds, images, and the number of each image's breed. A folder below has the images of a breed."""
    breeds = sorted(place.name for place in folder.iterdir())
    files = [(place, number) for number, breed in enumerate(breeds) for place in sorted((folder / breed).iterdir())]
    images = np.stack([pixels(Image.open(place)) for place, _ in files])
    return breeds, images, np.array([number for _, number in files])
