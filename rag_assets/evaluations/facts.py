"""Whether a fact stands in an answer: how golden questions, with their numbers, are judged.

Unlike SQuAD's normal form (``text_scores``) it keeps what tells numbers apart: 14:30, 3.5, 40 %.
"""

import re
import unicodedata


def folded(text: str) -> str:
    """Without case, punctuation and typography: "1,240 Tons." becomes "1240 tons"."""
    text = unicodedata.normalize("NFKC", text).casefold()
    text = re.sub(r"(?<=\d)[,\u202f\xa0 ](?=\d{3}\b)", "", text)
    return " ".join(re.sub(r"[^\w.:%+-]+|(?<!\d)[.:]|[.:](?!\d)", " ", text).split())


def holds(answer: str, form: str) -> bool:
    """Whether an accepted spelling stands in the answer as whole words ("42" is not in "1428")."""
    return f" {folded(form)} " in f" {folded(answer)} "
