"""Sends what is queued: a process of its own, started when there is something and gone when there is nothing.

`loop` is the one loop; `sending` asks the gateway, as a client does, on a socket that only the yard's own processes
reach (`asking`); `following` hears of replicas and tells of the backlog; `webhooks` tells of ends. Calls store,
protocol, domain.
"""
