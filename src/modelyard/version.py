"""The version that the command line, the API and the handshake state."""

VERSION = "0.1.0"
