"""Streams text after a prompt: each part of the answer leaves as soon as it is written."""

import asyncio
import gzip
import json
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from characters import CharacterModel
from pydantic import BaseModel, Field

LENGTH_MAX = 5000


class Wish(BaseModel):
    """What is asked for; the console's form and the OpenAPI description are made from it."""

    prompt: str = Field("", max_length=LENGTH_MAX)
    length: int = Field(300, ge=1, le=LENGTH_MAX)
    temperature: float = Field(0.8, ge=0.1, le=2)
    seed: int = 0
    characters_per_second: float = Field(0, ge=0, description="no faster than this; 0 for as fast as it goes")


class Predictor:
    def __init__(self, config: dict[str, Any], model_dir: str) -> None:  # noqa: ARG002 (what every predictor is given)
        with gzip.open(Path(model_dir) / "characters.json.gz", "rt") as file:
            found: dict[str, Any] = json.load(file)
        counts: dict[str, Counter[str]] = {context: Counter(after) for context, after in found["counts"].items()}
        self.model = CharacterModel(found["order"], counts)

    async def predict(self, payload: Wish) -> AsyncIterator[str]:
        """A replica writes for many at once: while one waits for its next character, others get theirs."""
        pause_seconds = 1 / payload.characters_per_second if payload.characters_per_second else 0.0
        for character in self.model.write(payload.prompt, payload.length, payload.temperature, payload.seed):
            yield character
            await asyncio.sleep(pause_seconds)
