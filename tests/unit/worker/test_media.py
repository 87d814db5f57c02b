import pytest
from modelyard_worker.media import choose, media_type

OFFERED = ("application/json", "text/csv", "application/x-npy")


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        ("", "application/json"),
        ("*/*", "application/json"),
        ("text/csv", "text/csv"),
        ("TEXT/CSV", "text/csv"),
        ("text/*", "text/csv"),
        ("text/html, */*;q=0.1", "application/json"),
        ("application/json;q=0.5, text/csv;q=0.9", "text/csv"),
        ("text/csv, application/json", "application/json"),
        ("application/json;q=0, */*", "text/csv"),
        ("application/json; q=nonsense, text/csv", "text/csv"),
        ("image/png", None),
        ("*/*;q=0", None),
    ],
)
def test_the_best_liked_offer_is_chosen_and_earlier_offers_win_ties(accept: str, chosen: str | None) -> None:
    assert choose(accept, OFFERED) == chosen


def test_a_media_type_is_compared_without_parameters_and_case() -> None:
    assert media_type(" Text/CSV ; charset=utf-8") == "text/csv"
