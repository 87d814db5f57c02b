"""A delivery is signed as Standard Webhooks has it, and is tried again for a while."""

import pytest

from modelyard.domain.webhooks import RETRY_SECONDS, check_webhook_url, retry_at, webhook_headers
from modelyard.errors import InvalidValue


def test_the_signature_is_the_one_of_the_specification_s_example() -> None:
    headers = webhook_headers(
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1614265330.7,
        b'{"test": 2432232314}',
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    )
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert headers["webhook-timestamp"] == "1614265330"


def test_without_a_secret_nothing_is_signed() -> None:
    assert "webhook-signature" not in webhook_headers("a", 1.0, b"{}", None)


def test_it_is_tried_again_later_and_later_and_then_given_up() -> None:
    times = [retry_at(attempts, 100.0) for attempts in range(1, len(RETRY_SECONDS) + 2)]
    assert times == [*(100.0 + one for one in RETRY_SECONDS), None]


@pytest.mark.parametrize(
    "url", ["ftp://x/", "https://", "https://x/a b", "http://x:0/", "x", "https://x/\n", "a" * 3000]
)
def test_what_cannot_be_posted_to_is_refused(url: str) -> None:
    assert check_webhook_url("https://hooks.example.com/a?b=c")
    with pytest.raises(InvalidValue, match=r"^cannot post"):
        check_webhook_url(url)
