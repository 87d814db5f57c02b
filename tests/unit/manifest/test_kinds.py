from modelyard.api.kinds import CHECKS
from modelyard.domain.names import RESOURCE_KINDS
from modelyard.manifest.yard_file import READERS


def test_every_kind_that_a_deploy_wishes_is_known_on_every_floor():
    deployed = set(READERS) - {"endpoint", "function", "app", "tuning"}
    assert deployed == set(CHECKS) == set(RESOURCE_KINDS)
