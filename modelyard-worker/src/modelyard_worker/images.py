"""Images as Pillow has them."""

import io
from typing import Any

from modelyard_worker import bodies, media
from modelyard_worker.request import unreadable

_FORMATS = {media.PNG: "PNG", media.JPEG: "JPEG"}


def read_image(body: bytes) -> Any:
    """A PIL image, decoded. Raises Refusal where it is none, or has more pixels than Pillow trusts."""
    image = bodies.library("PIL.Image", "an image")
    try:
        found = image.open(io.BytesIO(body))
        found.load()
    except (OSError, ValueError, SyntaxError, image.DecompressionBombError) as error:
        raise unreadable(f"cannot read the body as an image: {error}") from error
    return found


def write_image(value: Any, content_type: str) -> bytes:
    target = io.BytesIO()
    if content_type == media.JPEG and value.mode not in ("L", "RGB", "CMYK"):
        value = value.convert("RGB")
    value.save(target, _FORMATS[content_type])
    return target.getvalue()
