"""Grafana's dashboard and provisioning files, made from the tables that they read.

``python -m spanlore.grafana`` writes ``deploy/grafana``; the files are committed.
"""
