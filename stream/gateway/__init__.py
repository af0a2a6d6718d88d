"""The gateway: articles in by HTTP, alerts out as server-sent events, stories, feedback and the live page.

docs/gateway.md is its contract.

::

    POST /v1/articles -> ingest -> producer -> Kafka
    Kafka -> reader -> history -> fanout -> every open stream
    Kafka -> reader -> stories -> GET /v1/stories
"""
