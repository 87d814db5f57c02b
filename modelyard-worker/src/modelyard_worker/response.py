"""What a predictor returns where a plain value does not say enough."""

from typing import Any, Dict, Mapping, Optional


class Response:
    """An answer with a status, headers or a content type of its own.

    `body` is anything that a predictor may return, a generator included. With `content_type`, text and bytes are sent
    as they are and everything else as JSON under that type; without it the caller's `Accept` decides.
    """

    __slots__ = ("body", "content_type", "headers", "status")

    def __init__(
        self,
        body: Any,
        status: int = 200,
        headers: Optional[Mapping[str, str]] = None,
        content_type: Optional[str] = None,
    ) -> None:
        """Raises ValueError where the status is not one that an answer can have (200 to 599)."""
        if not 200 <= status <= 599:
            raise ValueError(f"cannot answer with status {status}: it must be from 200 to 599")
        self.body = body
        self.status = status
        self.headers: Dict[str, str] = {str(name): str(value) for name, value in (headers or {}).items()}
        self.content_type = content_type
