"""The embedded ClickHouse: chDB in its own process behind ClickHouse's HTTP protocol.

Run it with ``python -m spanlore.store_server --data-dir D --port P``. It alone owns
``D/store``; everything else reaches the data through its HTTP port.
"""
