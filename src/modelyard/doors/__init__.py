"""Other people's protocols: what `api` does for our own, each for clients that were there before us.

A file per protocol. Each keeps its own paths, its own way to present the key, and its own error shape, in one table
from the errors' codes. Called by processes/control. Calls store, protocol, domain.
"""
