"""Bounds that every implementation of the store keeps alike."""

EVENTS_MAX = 10_000
"""Events that are remembered; beyond it the oldest go."""

DECISIONS_PER_ENDPOINT_MAX = 500
"""Decisions of autoscaling that are remembered of one endpoint."""

LOADS_PER_ENDPOINT_MAX = 20_000
"""Records of load that are remembered of one endpoint: at one each five seconds, the last day."""

METRIC_RECORDS_MAX = 2_000_000
"""Records of what endpoints did, of all together; beyond it the oldest go, whatever their age."""

CONDENSED_AT_ONCE_MAX = 5000
"""Records that one transaction adds up to fewer."""

CHANGES_PER_ALARM_MAX = 200
"""Changes of state that are remembered of one alarm."""

DELIVERIES_MAX = 1000
"""Messages of alarms that are remembered, sent or not; beyond it the oldest go."""

SENTENCE_LENGTH_MAX = 2048
"""Characters of an event's sentence; what is longer is cut."""

LINKS_MAX = 100
"""One-time links that wait to be taken; beyond it those that expire first go."""

SESSIONS_MAX = 1000
"""Sessions of browsers; beyond it those that expire first go."""

CHILDREN_MAX = 100
"""Versions of models that one is shown to have been trained into."""

NAMES_COMPARED_MAX = 1000
"""Names that a mistyped one is compared with, newest first."""

POINTS_OF_A_RUN_MAX = 200_000
"""Values of metrics that are kept of one run; its last values go on being recorded."""

POINTS_MAX = 2_000_000
"""Values of metrics of all runs together, about 150 MB; beyond it those of the runs that began first go."""
