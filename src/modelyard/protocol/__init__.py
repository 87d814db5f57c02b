"""What crosses a process border: routes, the error shape, the table, messages on the controller's socket.

The frames between gateway and replica are in `modelyard_worker.frames`, because the worker stands alone. No I/O here.
"""
