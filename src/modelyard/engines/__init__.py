"""Give places to run. `local` starts processes on this machine; `fake` pretends, for tests; `ports` says what all do.

Called by the controller alone. An engine's own truth is what it can observe, never what it was told.
"""
