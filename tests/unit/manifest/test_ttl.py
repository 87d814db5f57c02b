"""What a yard file can say of an endpoint is taken by the interface."""

from modelyard.api.deployments import Spec
from modelyard.manifest.endpoints import _settings
from modelyard.manifest.schema import EndpointFields


def test_a_ttl_of_the_yard_file_is_a_field_of_a_deployment() -> None:
    fields = EndpointFields.model_validate({"name": "iris", "model": "iris", "ttl": "7d"})
    assert Spec.model_validate(_settings(fields)).ttl_seconds == 7 * 86400.0
