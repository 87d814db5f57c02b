"""Writes and reads Parquet for the tests, by pyarrow: `tables.py write PATH ROWS GROUP_ROWS`, `tables.py read PATH`.

The table has the columns `id`, `area` and `rooms`; what is read is printed as JSON, a list a column.
"""

# Run in the guest's environment; pyarrow is not in the one that is checked.
# pyright: reportMissingImports=false, reportAttributeAccessIssue=false

import json
import sys

import pyarrow as pa
import pyarrow.parquet as pq


def main(verb, path, *numbers):
    if verb == "write":
        rows, group_rows = map(int, numbers)
        columns = {
            "id": range(rows),
            "area": [row / 2 for row in range(rows)],
            "rooms": [row % 5 for row in range(rows)],
        }
        pq.write_table(pa.table({name: list(values) for name, values in columns.items()}), path, group_rows)
    else:
        print(json.dumps(pq.read_table(path).to_pydict()))


main(*sys.argv[1:])
