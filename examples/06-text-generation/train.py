"""Counts what follows what, and says how well the held-out text is foretold."""

import argparse
import gzip
import json
import math
import os
from pathlib import Path

from characters import CharacterModel
from modelyard_worker.metrics import log_metric

MEASURED_CHARACTERS = 20_000


def main(order: int) -> None:
    text = (Path(os.environ["SM_CHANNEL_TRAIN"]) / "text.txt").read_text()
    held_out = (Path(os.environ["SM_CHANNEL_TEST"]) / "text.txt").read_text()[:MEASURED_CHARACTERS]
    model = CharacterModel.learn(text, order)
    bits = model.bits_per_character(held_out)
    log_metric("test:bits_per_character", bits)
    nothing = math.log2(len(model.alphabet))
    print(f"held-out bits a character: {bits:.3f}; knowing nothing but the alphabet: {nothing:.3f}")
    with gzip.open(Path(os.environ["SM_MODEL_DIR"]) / "characters.json.gz", "wt") as file:
        json.dump({"order": order, "counts": model.counts}, file)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--order", type=int, default=5)
    main(parser.parse_args().order)
