"""
How each kind of entry is told, a module for each part of the house.

Wording is evidence: a person "held custody", nobody "took" anything.
"""

from custody.sentences import authorisations, goods, handoffs, log, officers, people

SENTENCES = (
    handoffs.SENTENCES
    | goods.SENTENCES
    | people.SENTENCES
    | authorisations.SENTENCES
    | officers.SENTENCES
    | log.SENTENCES
)
