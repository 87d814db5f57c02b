"""What `make demo` runs: a yard in .demo, a model trained and put live in it, predictions beside the truth.

`DATA=houses.csv TARGET=price make demo` does the same with a table of one's own. Running it again goes on with the same
yard: the training registers the next version, the endpoint is updated to it.
"""

import json
import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent.resolve()
CHECKOUT = HERE.parents[1]
MODELYARD = Path(sys.executable).with_name("modelyard")
EXAMPLE = "diabetes"


@dataclass(frozen=True, slots=True)
class Demo:
    """What is trained and where. `folder` holds modelyard.yaml and data/."""

    home: Path
    folder: Path
    endpoint: str
    preparation: list[str]
    """Arguments of prepare.py."""
    environment: Mapping[str, str]


def main() -> int:
    began = time.monotonic()
    demo = plan(os.environ)
    steps = (
        ("prepare the data", [sys.executable, HERE / "prepare.py", *demo.preparation]),
        ("start a yard", [MODELYARD, "up", "--detach", "--port", "0"]),
        ("train", [MODELYARD, "train", "-f", demo.folder / "modelyard.yaml"]),
        ("deploy", [MODELYARD, "deploy", demo.folder / "modelyard.yaml"]),
        ("predict rows that the training has not seen", [sys.executable, HERE / "show.py", demo.endpoint, demo.folder]),
    )
    for number, (what, command) in enumerate(steps, start=1):
        print(f"\n[{number}/{len(steps)}] {what}", flush=True)
        code = run_indented(command, demo.environment)
        if code != 0:
            print(f"\ncannot go on: step {number} ({what}) ended with {code}", file=sys.stderr)
            return 1
    print(farewell(demo, time.monotonic() - began))
    return 0


def run_indented(command: Sequence[str | Path], environment: Mapping[str, str]) -> int:
    """Shows what a step prints as it comes, indented, so that only what is there to be pasted begins a line."""
    process = subprocess.Popen(
        command, env=environment, cwd=CHECKOUT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert process.stdout is not None
    with process.stdout as lines:
        for line in lines:
            print(f"      {line}" if line.strip() else line, end="", flush=True)
    return process.wait()


def plan(environment: Mapping[str, str]) -> Demo:
    """The example as it is, or a copy of it below .demo for the table that DATA and TARGET name."""
    home = CHECKOUT / ".demo"
    # These two would point the command line at another yard.
    kept = {name: value for name, value in environment.items() if name not in ("MODELYARD_URL", "MODELYARD_API_KEY")}
    kept |= {"MODELYARD_HOME": str(home), "PYTHONUNBUFFERED": "1"}
    data, target = environment.get("DATA", ""), environment.get("TARGET", "")
    if not data and not target:
        return Demo(home, HERE, EXAMPLE, [], kept)
    if not data or not target:
        sys.exit("cannot tell what to learn: give both, DATA=file.csv TARGET=column")
    endpoint = re.sub(r"[^a-z0-9]+", "-", target.lower())[:40].strip("-") or "own"
    folder = home / "projects" / endpoint
    folder.mkdir(parents=True, exist_ok=True)
    yard_file = (HERE / "modelyard.yaml").read_text()
    (folder / "modelyard.yaml").write_text(re.sub(rf"\b{EXAMPLE}\b", endpoint, yard_file))
    preparation = ["--data", str(Path(data).expanduser().resolve()), "--target", target, "--into", str(folder)]
    return Demo(home, folder, endpoint, preparation, kept)


def farewell(demo: Demo, seconds: float) -> str:
    """What to do next. The lines that begin with `export` and `curl` are there to be pasted."""
    url = str(json.loads((demo.home / "yard.json").read_text())["url"]).rstrip("/")
    _, *features = (demo.folder / "data" / "test.csv").read_text().splitlines()[0].split(",")
    body = json.dumps([[None if text == "" else float(text) for text in features]])
    home = shlex.quote(str(demo.home))
    return f"""
Done in {seconds:.0f} s. The yard stays up at {url}

Predict from anywhere on this machine:

curl -H 'content-type: application/json' -d '{body}' {url}/endpoints/{demo.endpoint}/invocations

Point the command line at this yard, then look around, and stop it when you are done:

export MODELYARD_HOME={home}
{shlex.quote(str(MODELYARD))} get
{shlex.quote(str(MODELYARD))} open
{shlex.quote(str(MODELYARD))} down"""


if __name__ == "__main__":
    sys.exit(main())
