"""The proof of "nothing is lost": real workers on a real broker, broken while articles flow, then the books compared.

python -m tests.broker.faults [--scenario NAME ...] [--articles N] [--kills N] [--delivery ...] [--json FILE]
"""
