"""What stands in front of people and programs, beside the same thing without it, in one run: apps behind the proxy
lane, WebSockets, sites beside nginx, functions behind an API gateway, predictions behind a policy."""
