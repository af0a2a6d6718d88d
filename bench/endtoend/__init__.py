"""Ajil's worker beside bare client loops and other frameworks, on a real Kafka, all doing the same work.

A way is a process that reads raw articles, calls `work.Work` and writes what comes back: the enriched article and its
signal. Offsets are committed only once those are delivered, in every way. `make bench-kafka` runs them in turns.
"""
