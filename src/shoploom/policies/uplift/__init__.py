"""Whom does a treatment move? Learners of the difference that it makes, by person.

======== ==========================================================================================
t        two models of the outcome, with and without treatment, and their difference
x        each person's own outcome against the other model's, learned anew (Kunzel and others 2019)
dr       pseudo-outcomes that are right if either the models or the chances are (Kennedy 2023)
forest   trees split where effects differ, on residuals (Athey, Tibshirani and Wager 2019)
stack    the others together, weighted on people they had not met (Han and Wu 2022)
response who does it anyway: the outcome with treatment; what targeting without uplift does
======== ==========================================================================================
"""

from shoploom.policies.uplift.learner import LEARNERS, Effect, UpliftLearner, effects_of_others

__all__ = ["LEARNERS", "Effect", "UpliftLearner", "effects_of_others"]
