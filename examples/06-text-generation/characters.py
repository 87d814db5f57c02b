"""A character model: which character follows the last few, counted, with shorter contexts where longer were never seen.

The probability of a character after a context is that after the context without its first character, mixed with what
was counted after the context itself; the more often that was seen, the more it weighs (Witten and Bell, 1991).
"""

import math
import random
from collections import Counter
from collections.abc import Iterator


class CharacterModel:
    """Contexts of at most `order` characters, each with how often which character followed."""

    def __init__(self, order: int, counts: dict[str, Counter[str]]) -> None:
        self.order = order
        self.counts = counts
        self.alphabet = sorted(counts[""])

    @classmethod
    def learn(cls, text: str, order: int) -> "CharacterModel":
        counts: dict[str, Counter[str]] = {}
        for length in range(order + 1):
            for place in range(length, len(text)):
                counts.setdefault(text[place - length : place], Counter())[text[place]] += 1
        return cls(order, counts)

    def probabilities(self, context: str) -> dict[str, float]:
        """Of each character of the alphabet."""
        found = dict.fromkeys(self.alphabet, 1 / len(self.alphabet))
        for length in range(min(self.order, len(context)) + 1):
            seen = self.counts.get(context[len(context) - length :])
            if seen is None:
                break
            total, kinds = seen.total(), len(seen)
            found = {one: (seen[one] + kinds * before) / (total + kinds) for one, before in found.items()}
        return found

    def bits_per_character(self, text: str) -> float:
        """How badly it foretells a text; log2 of the alphabet's size is knowing nothing."""
        bits = 0.0
        for place, one in enumerate(text):
            bits -= math.log2(self.probabilities(text[max(0, place - self.order) : place]).get(one, 1e-6))
        return bits / len(text)

    def write(self, prompt: str, length: int, temperature: float, seed: int) -> Iterator[str]:
        """So many characters after the prompt, one by one."""
        chance = random.Random(seed)
        context = prompt
        for _ in range(length):
            found = self.probabilities(context[-self.order :])
            weights = [value ** (1 / temperature) for value in found.values()]
            one = chance.choices(list(found), weights)[0]
            context = context[-self.order :] + one
            yield one
