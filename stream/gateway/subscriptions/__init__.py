"""Alerts to people and programs: who wants which, when, and where to. docs/subscriptions.md tells it to users.

::

    file -> Destination            file.py: one TOML file, checked; one destination of one subscription
    news.alerts -> Inbox           inbox.py: a consumer group for each destination, what it was told, what is committed
    Alert -> wanted?               filters.py
    when?                          schedule.py: quiet hours and digests
    Sender                         webhook.py (addresses.py guards it), services.py (Apprise); message.py has the words
    retried, given up              circuit.py, undelivered.py
    Delivery                       delivery.py: the loop of one destination
    Subscriptions                  supervisor.py: all of them, reloaded when the file changes
"""

from stream.gateway.subscriptions.supervisor import Subscriptions

__all__ = ["Subscriptions"]
