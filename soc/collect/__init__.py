"""Collectors: files, EVTX, syslog and HTTP in, `RawRecord`s with exact receipts out, on bus topic soc.raw.

`wire` says how a record travels on the bus; `framing` how bytes become records; `open` reads files as they are;
`base` runs the collectors of a configuration; `ingest` sends given files once; `state` holds positions and counts.
"""
