"""What the official instrumentors drop, put back on their spans: one small file a gap.

Each file amends an instrumentor or an SDK at one named place; where a version has no such place
nothing is amended and nothing fails. What is regained is snapshotted by
``tests/instrumentation/coverage``, also the day it comes from upstream and a file can go.
"""
