"""Fronts everything on one port.

`connection` parses HTTP and keeps the order of answers; `router` finds the lane. Predictions go the fast lane:
`prediction` -> `service` (queue, deadline, retry) -> `balancer` -> `target` (frames to one replica). Everything else
goes to control through `proxy`. `follower` keeps the table. Never opens the database; calls protocol and the worker's
frames.
"""
