"""The REST interface: checks what is asked, reads the store, writes wishes. Nothing is made true here.

A file per noun holds its routes and its view; `errors` is the one place that knows which error has which status;
`access` decides who may ask. Called by processes/control, and by the console through the sdk. Calls store, packaging,
protocol, domain.
"""
