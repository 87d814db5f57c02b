"""Processes on this machine.

`processes` starts, watches and signals one; `templates` keeps what replicas are forked from; `probe` asks a replica
whether it predicts; `engine` puts it together and remembers all in folders, across a controller's death.
"""
