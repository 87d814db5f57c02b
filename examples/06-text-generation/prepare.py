"""Writes the text to learn from and the text to be measured on: `prepare.py [--into FOLDER]`.

Tiny Shakespeare where it lies in `shared/data` beside the checkout, or below the folder that MODELYARD_DATA names; else
Python's own reference, which every Python carries for `help("for")`. The last tenth is held out.
"""

import argparse
import os
from pathlib import Path
from pydoc_data.topics import topics

HERE = Path(__file__).parent.resolve()
TEST_SHARE = 0.1


def shared_data(name: str) -> Path | None:
    """Where real data lies, if it does."""
    folders = [Path(os.environ["MODELYARD_DATA"])] if "MODELYARD_DATA" in os.environ else []
    folders += [parent / "shared" / "data" for parent in HERE.parents]
    return next((folder / name for folder in folders if (folder / name).exists()), None)


def read_text() -> tuple[str, str]:
    """What it is called, and the text."""
    place = shared_data("tinyshakespeare/input.txt")
    if place is not None:
        return "Tiny Shakespeare", place.read_text()
    text = "\n".join(topics[name] for name in sorted(topics))
    return "Python's reference, in place of Tiny Shakespeare", text.encode("ascii", "ignore").decode()


def main(into: Path) -> None:
    called, text = read_text()
    cut = round(len(text) * (1 - TEST_SHARE))
    for name, part in (("train", text[:cut]), ("test", text[cut:])):
        folder = into / "data" / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "text.txt").write_text(part)
    print(f"prepare: {called}: {cut} characters to learn from, {len(text) - cut} held out")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--into", type=Path, default=HERE)
    main(parser.parse_args().into)
