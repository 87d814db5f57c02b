"""The command line: commands as typed, a file per noun. It calls only the sdk, and starts processes by name.

Nothing heavy is imported before a command needs it, because people feel the start of every one of them.
"""
