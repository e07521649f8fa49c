"""connectorx in a process of its own: URL, table, connections and file in, seconds and peak memory in MiB out."""

from __future__ import annotations

import os
import resource
import sys
import time
from urllib.parse import quote

import connectorx
import pyarrow.parquet

from bench.lineitem import KEY

if __name__ == "__main__":
    url, table, connections, path = sys.argv[1:]
    password = quote(os.environ["PGPASSWORD"], safe="")
    url = url.replace("@", f":{password}@", 1)
    started = time.monotonic()
    query = f"SELECT * FROM {table}"  # noqa: S608 - our own name
    rows = connectorx.read_sql(url, query, partition_on=KEY, partition_num=int(connections), return_type="arrow")
    pyarrow.parquet.write_table(rows, path, compression="zstd")
    print(time.monotonic() - started, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
