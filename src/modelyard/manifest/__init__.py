"""The yard file: text -> located problems -> values that the floors above can send.

`yard_file.read_yard_file` is the door. Every problem of a file is found at once and says where it is, what was found,
what is allowed and which spelling is near.
"""
