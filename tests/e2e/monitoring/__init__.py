"""Ajil watched by real programs: Prometheus and Alertmanager look at workers and a gateway on a real Kafka.

Time is compressed (`compression.py`): what takes an operator minutes takes a test seconds.
"""
