from modelyard_worker.frames import CHUNK_BYTES, CREDIT, FRAME_BYTES_MAX, Decoder
from modelyard_worker.intake import HELD_BYTES_MAX, Intake


class Recording:
    """Stands in for a connection: adds up the credit that each stream is given."""

    def __init__(self) -> None:
        self.granted: dict[int, int] = {}

    def send(self, data: bytes) -> None:
        for frame in Decoder(FRAME_BYTES_MAX).feed(data):
            assert frame.type == CREDIT
            self.granted[frame.stream] = self.granted.get(frame.stream, 0) + int.from_bytes(frame.payload, "big")


def test_what_is_taken_is_granted_again() -> None:
    intake, connection = Intake(), Recording()
    intake.take((connection, 1), CHUNK_BYTES)
    intake.take((connection, 1), 10)
    assert connection.granted == {1: CHUNK_BYTES + 10}


def test_over_the_limit_only_the_oldest_is_granted_and_the_rest_when_there_is_room() -> None:
    intake, connection = Intake(), Recording()
    intake.take((connection, 1), HELD_BYTES_MAX)
    intake.take((connection, 2), 5)
    intake.take((connection, 3), 7)
    intake.take((connection, 1), 1)
    assert connection.granted == {1: HELD_BYTES_MAX + 1}
    intake.finish((connection, 1), 0)
    assert connection.granted[2] == 5  # it is the oldest now
    assert 3 not in connection.granted
    intake.release(HELD_BYTES_MAX + 1)
    assert connection.granted[3] == 7


def test_a_forgotten_body_is_owed_nothing_and_holds_nothing() -> None:
    intake, connection = Intake(), Recording()
    intake.take((connection, 1), HELD_BYTES_MAX + 1)
    intake.take((connection, 2), 5)
    intake.forget((connection, 1), HELD_BYTES_MAX + 1)
    assert connection.granted[2] == 5
    intake.forget((connection, 2), 5)
    intake.take((connection, 3), 9)
    assert connection.granted[3] == 9
