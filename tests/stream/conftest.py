# Runs under `make fuzz` alone: it needs Atheris, which is no dependency of ours.
collect_ignore = ["fuzz_decode.py"]
