from pathlib import Path

import pytest

from modelyard.errors import InvalidValue
from modelyard.manifest.yard_file import read_yard_file


def read(tmp_path: Path, apis: str, kind: str = "traffic_splitter") -> object:
    path = tmp_path / "modelyard.yaml"
    path.write_text(f"- name: both\n  kind: {kind}\n  apis: {apis}\n")
    return read_yard_file(path).others[0].spec


@pytest.mark.parametrize("kind", ["traffic_splitter", "TrafficSplitter"])
def test_members_are_read_with_their_shares_and_names(tmp_path: Path, kind: str) -> None:
    spec = read(tmp_path, "[{name: One, weight: 100}, {name: two, shadow: true, variant: dark}]", kind)
    assert spec == {
        "members": [
            {"endpoint": "One", "weight": 100.0, "variant": "one", "shadow": False, "owned": False},
            {"endpoint": "two", "weight": 0.0, "variant": "dark", "shadow": True, "owned": False},
        ]
    }


@pytest.mark.parametrize(
    ("apis", "said"),
    [
        ("[{name: a, weight: 60}, {name: b, weight: 50}]", "sum to 100 but found 110"),
        ("[{name: a, weight: 100}, {name: A, weight: 0}]", "two members have the same endpoint"),
        ("[{name: a, shadow: true}]", "cannot split between 1 endpoints"),
        ("[{name: a, weight: 101}]", "at most 100"),
        ("[]", "both.apis"),
    ],
)
def test_what_cannot_be_split_is_refused_with_its_line(tmp_path: Path, apis: str, said: str) -> None:
    with pytest.raises(InvalidValue, match=r"modelyard\.yaml:3: both\.apis") as refused:
        read(tmp_path, apis)
    assert said in refused.value.message
