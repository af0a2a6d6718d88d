"""The topics of the shipped bundle and their IPTC Media Topic codes
(https://cv.iptc.org/newscodes/mediatopic)."""

from __future__ import annotations

__all__ = ["MEDIA_TOPICS"]

MEDIA_TOPICS = {
    "politics": "medtop:11000000",
    "economy": "medtop:04000000",
    "sport": "medtop:15000000",
    "arts_culture_entertainment": "medtop:01000000",
    "science_technology": "medtop:13000000",
    "health": "medtop:07000000",
    "religion": "medtop:12000000",
}
"""Label -> qcode. A bundle with labels of its own has no codes for them."""
