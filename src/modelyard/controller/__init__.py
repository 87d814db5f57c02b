"""Makes wishes true. One loop (`loop`); one pass per noun (`endpoints`, `runs`, `models`): load, decide with `domain`,
apply, write the status. `table` publishes what gateways need; `server` is where they and the api knock.
"""
