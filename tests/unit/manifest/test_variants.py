"""Variants are written once and read as the endpoints and the splitter that they stand for."""

from pathlib import Path

import pytest

from modelyard.errors import InvalidValue
from modelyard.manifest.yard_file import YardFile, read_yard_file

FILE = """
- name: price
  predictor: {path: price.py, config: {currency: EUR}, python_path: "."}
  compute: {cpu: 100m, mem: 1Gi}
  access: key
  variants:
    - {name: champion, weight: 3}
    - name: challenger
      predictor: {config: {currency: USD}}
      compute: {cpu: 200m}
    - {name: dark, shadow: true, timeout: 5s}
"""


def read(tmp_path: Path, text: str) -> YardFile:
    (tmp_path / "price.py").touch()
    (tmp_path / "modelyard.yaml").write_text(text)
    return read_yard_file(tmp_path / "modelyard.yaml")


def test_a_variant_is_the_endpoint_with_its_own_fields_over_it(tmp_path: Path) -> None:
    champion, challenger, dark = read(tmp_path, FILE).endpoints
    assert [one.name for one in (champion, challenger, dark)] == ["price-champion", "price-challenger", "price-dark"]
    assert champion.predictor is not None
    assert challenger.predictor == {**champion.predictor, "config": {"currency": "USD"}}
    assert champion.settings == {"cpu_millis": 100, "memory_bytes": 2**30}
    assert challenger.settings == {"cpu_millis": 200, "memory_bytes": 2**30}
    assert dark.settings == {**champion.settings, "timeout_seconds": 5.0}
    assert all(one.access == champion.access for one in (challenger, dark))
    assert (champion.line, challenger.line) == (7, 8)


def test_the_splitter_between_them_has_the_shares_that_weights_come_to(tmp_path: Path) -> None:
    (splitter,) = read(tmp_path, FILE).others
    assert (splitter.kind, splitter.name) == ("traffic_splitter", "price")
    assert [(one["endpoint"], one["variant"], one["weight"], one["shadow"]) for one in splitter.spec["members"]] == [
        ("price-champion", "champion", 75.0, False),
        ("price-challenger", "challenger", 25.0, False),
        ("price-dark", "dark", 0.0, True),
    ]
    assert all(one["owned"] for one in splitter.spec["members"])


@pytest.mark.parametrize(
    ("variants", "said"),
    [
        ("[{name: a, weight: -1}]", ":3: price.variants[0].weight: found -1"),
        ("[{name: a, weight: 0}]", ":3: price.variants: cannot split: no variant has a weight"),
        ("[{name: a}, {name: A}]", ":3: price.variants: cannot split: two members have the same endpoint"),
        ("[{name: a, shadow: true}]", ":3: price.variants: cannot split: no variant has a weight"),
        ("[{name: a, compute: {cpu: much}}]", ":3: price-a.compute.cpu: found 'much'"),
        ("[{name: a, colour: red}]", ":3: price-a.colour: unknown field"),
        ("[{name: a, kind: async}]", ":3: price.variants[0]: found a map; allowed: a variant without kind"),
        ("[{name: a, variants: []}]", ":3: price.variants[0]: found a map; allowed: a variant without variants"),
        ("[]", ":3: price.variants"),
        ("two", ":3: price.variants: found 'two'"),
    ],
)
def test_what_cannot_be_is_refused_with_its_own_line(tmp_path: Path, variants: str, said: str) -> None:
    with pytest.raises(InvalidValue) as refused:
        read(tmp_path, f"- name: price\n  predictor: {{path: price.py}}\n  variants: {variants}\n")
    assert f"modelyard.yaml{said}" in refused.value.message


def test_queued_endpoints_and_names_of_the_yard_have_no_variants(tmp_path: Path) -> None:
    with pytest.raises(InvalidValue, match=r"price\.kind: found 'async'"):
        read(tmp_path, "- {name: price, kind: async, predictor: {path: price.py}, variants: [{name: a}]}\n")
    with pytest.raises(InvalidValue, match=r"api\.name"):
        read(tmp_path, "- {name: api, predictor: {path: price.py}, variants: [{name: a}]}\n")


def test_a_variant_and_an_endpoint_of_the_same_name_are_two(tmp_path: Path) -> None:
    with pytest.raises(InvalidValue, match=r"price-a\.name: found twice"):
        read(tmp_path, "- {name: price, model: m, variants: [{name: a}]}\n- {name: Price-A, model: m}\n")


def test_an_alarm_names_a_variant_as_the_file_does(tmp_path: Path) -> None:
    watching = """
- name: price-errors
  kind: alarm
  endpoint: price
  variant: challenger
  metric: error_rate
  comparison: ">"
  threshold: 0.1
"""
    alarm = next(one for one in read(tmp_path, FILE + watching).others if one.kind == "alarm")
    assert alarm.spec["endpoint"] == "price-challenger"
