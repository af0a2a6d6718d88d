"""The proof of "nothing is lost": real workers on a real broker, broken while records flow, then the books compared.

python -m tests.broker.faults [--scenario NAME ...] [--agent ...] [--delivery ...] [--articles N] [--kills N]
"""
