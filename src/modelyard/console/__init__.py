"""The web console: pages rendered on the server, without a build and without anything from elsewhere.

Every page asks the yard through the sdk, in the same process and with the browser's own session, so it can show nothing
that the interface would refuse. Pages work in a thread, because the sdk's client blocks. Called by processes/control;
calls only sdk.
"""
