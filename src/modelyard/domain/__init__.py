"""Nouns and every decision. Pure: no I/O, no clock, no third party. Every floor may call it; it calls only `errors`."""
