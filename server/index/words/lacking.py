"""Finds memories by other words where the project lacks those of the question: by words that begin as they do."""

from collections.abc import Sequence

import numpy as np
from sqlmodel import Session

from server.index.words.protocol import TermMatches, WordIndex
from server.index.words.questions import beginning_of


def with_beginnings(
    session: Session, index: WordIndex, project_id: str, terms: Sequence[str], matches: TermMatches, at_most: int
) -> TermMatches:
    """Return the matches, and for the terms that the project lacks those of the words that begin with them."""
    lacking = np.flatnonzero(matches.counts == 0).tolist()
    begun = {place: beginning for place in lacking if (beginning := beginning_of(terms[place]))}
    if not begun:
        return matches
    return _added(matches, index.beginnings(session, project_id, [*begun.values()], at_most), [*begun], at_most)


def _added(matches: TermMatches, found: TermMatches, terms: Sequence[int], at_most: int) -> TermMatches:
    """Return the matches, and those that were found for these terms, if they are at most `at_most`."""
    fitting = found.fitting(at_most)
    places = np.array(terms, np.intp)
    counts = matches.counts.copy()
    counts[places[fitting]] = found.counts[fitting]
    kept = np.isin(found.terms, fitting)
    return TermMatches(
        np.concatenate([matches.terms, places[found.terms[kept]]]),
        np.concatenate([matches.numbers, found.numbers[kept]]),
        counts,
    )
