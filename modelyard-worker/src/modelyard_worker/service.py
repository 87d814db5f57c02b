"""What all connections of one replica share."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any, Callable, Optional, Set

from modelyard_worker.batching import Batcher, start
from modelyard_worker.intake import Intake
from modelyard_worker.orders import ReplicaOrder
from modelyard_worker.request import Metas
from modelyard_worker.servable import Servable, max_in_flight


class Service:
    """Made on the running loop. `changed` is called when a connection has gone."""

    def __init__(self, order: ReplicaOrder, servable: Servable, changed: Callable[[], None]) -> None:
        self.order = order
        self.servable = servable
        self.max_in_flight = order.max_in_flight or max_in_flight(servable, order.max_batch_size, order.threads)
        self.batcher: Batcher = start(
            servable, order.max_batch_size, order.threads, order.max_in_flight, order.max_body_bytes
        )
        self.intake = Intake()
        self.metas = Metas()
        self.connections: Set[Any] = set()
        self.visited = False
        """A gateway has sent requests here, so one may come back that has not heard that this replica leaves."""
        self.leaving = False
        self._changed = changed
        self._steps: Optional[ThreadPoolExecutor] = None

    @property
    def steps(self) -> ThreadPoolExecutor:
        """Where plain generators run, as many at a time as calls may. Made when the first one comes."""
        if self._steps is None:
            self._steps = ThreadPoolExecutor(self.order.threads, "parts")
        return self._steps

    def gone(self, connection: Any) -> None:
        self.connections.discard(connection)
        self._changed()

    def close(self) -> None:
        """Lets go of threads and tasks."""
        self.batcher.close()
        if self._steps is not None:
            self._steps.shutdown(wait=False)
