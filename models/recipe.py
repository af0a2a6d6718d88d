"""How a topic model is taught, step by step; each step can be switched off to see what it is worth."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["ABLATION", "Recipe"]


class Recipe(NamedTuple):
    """The numbers are the best found on outlets left out of training (docs/model.md has the table)."""

    stemming: bool = True
    """Light stemming (`models.text.stem`)."""

    balance: bool = True
    """Equal mass for each label and, within a label, for each outlet."""

    naive_bayes: float = 0.75
    """Share of Complement Naive Bayes in the mixed weights; .3 is as good on full articles, far worse on titles."""

    C: float = 0.3
    """Of the SVM; smaller is smoother."""

    titles: float = 0.3
    """Every article is also taught by its title alone, with this share of its weight."""

    relabel: bool = True
    """A desk that mixes two topics is taken apart by a model trained on the others."""

    desks: bool = True
    """Rows without a topic are taught with the label that their desk and a first model agree on."""

    cap: int = 1500
    """Rows an outlet may give a label: more rows of one outlet hurt the others."""

    desk_cap: int = 500
    """The same for rows labelled by agreement."""

    desk_weight: float = 0.5
    """What such a row weighs, a labelled one being 1."""


ABLATION = {
    "word 1-2 grams, linear SVM": Recipe(False, False, 0, 1.0, 0, False, False),
    "+ light stemming": Recipe(True, False, 0, 1.0, 0, False, False),
    "+ equal mass per label and outlet": Recipe(True, True, 0, 1.0, 0, False, False),
    "+ Naive Bayes, 0.3 of the mix": Recipe(True, True, 0.3, 1.0, 0, False, False),
    "+ Naive Bayes 0.75, smoother SVM": Recipe(True, True, 0.75, 0.3, 0, False, False),
    "+ titles as examples of their own": Recipe(True, True, 0.75, 0.3, 0.3, False, False),
    "+ mixed desks relabelled": Recipe(True, True, 0.75, 0.3, 0.3, True, False),
    "+ desk rows labelled by agreement": Recipe(),
}
"""The recipe, one step more in each row."""
