"""The tree of errors, by its codes."""

from modelyard.errors import StartFailed, error_types


def test_a_code_means_the_most_general_error_that_has_it() -> None:
    class Particular(StartFailed):
        """A start that failed in its own way."""

    assert Particular.code == "start_failed"
    assert error_types()["start_failed"] is StartFailed
