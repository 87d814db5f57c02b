"""Remembers. Databases, artifacts (files by digest), trees of them, logs; and an in-memory fake of each port.

`ports` says what every implementation does; one contract suite runs against all of them. Called by api and controller;
calls domain. Every writing transaction is BEGIN IMMEDIATE, short, without I/O inside.
"""
