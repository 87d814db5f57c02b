"""`python -m modelyard.processes.controller --home PATH`: makes wishes true until it is told to stop."""

import argparse
import asyncio
import os
import signal
import sys
from pathlib import Path

from modelyard.clock import SystemClock
from modelyard.controller.loop import Controller
from modelyard.controller.server import Server
from modelyard.engines.local.engine import LocalEngine
from modelyard.log import start_log
from modelyard.settings import Home, care_from, mail_from, tracking_from
from modelyard.store.artifacts import FileArtifacts
from modelyard.store.sqlite import open_store


async def serve(home: Home) -> None:
    log = start_log("controller")
    store = open_store(home)
    care = care_from(os.environ)
    engine = LocalEngine(home, model_copies_bytes_max=care.model_copies_bytes_max)
    controller = Controller(
        home,
        store,
        FileArtifacts(home.artifacts),
        engine,
        SystemClock(),
        care,
        mail_from(os.environ),
        tracking_from(os.environ),
    )
    server = Server(
        controller.publisher,
        controller.wake,
        controller.stuck,
        controller.autoscaler,
        controller.metrics,
        controller.idleness,
        controller.access,
        controller.shadows,
    )
    loop = asyncio.get_running_loop()
    # A terminal's interrupt is the supervisor's to hear; it ends its children in order.
    loop.add_signal_handler(signal.SIGINT, lambda: None)
    loop.add_signal_handler(signal.SIGTERM, controller.stop)
    await server.listen(home.controller_socket)
    log.info("looking after %s", home.root)
    await controller.run()
    server.close()
    store.close()
    log.info("stopped")


def main() -> int:
    parser = argparse.ArgumentParser(prog="modelyard-controller")
    parser.add_argument("--home", type=Path, required=True)
    asyncio.run(serve(Home(parser.parse_args().home)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
