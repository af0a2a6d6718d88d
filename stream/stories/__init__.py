"""Signals -> stories -> alerts."""

from stream.stories.life import LIFETIME, MAX_STORIES, Stories, Told
from stream.stories.storm import Limit

__all__ = ["LIFETIME", "MAX_STORIES", "Limit", "Stories", "Told"]
