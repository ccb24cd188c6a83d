"""Estimates the mean of a model's vectors, which says nothing about a text.

The vectors of many models share a direction: with multilingual-e5-small, two unrelated texts have a cosine of 0.8. The
mean of a large project's vectors shows that direction. A project of a few memories needs the model's own mean, or
every question would seem to be answered (Mu and Viswanath 2018 describe the common mean of word vectors).
"""

import numpy as np

from server.index.model.protocol import Model
from server.index.types import Vector

SAMPLES = (
    "The weather will be better tomorrow.",
    "Die Bibliothek schließt um sechs.",
    "Elle a acheté du pain et du lait.",
    "El puente viejo fue reparado el año pasado.",
    "Ele lê o jornal todas as manhãs.",
    "I nostri vicini hanno un grande giardino.",
    "De film was te lang.",
    "Stäng fönstret, tack.",
    "Jutro pogoda będzie lepsza.",
    "Knihovna zavírá v šest.",
    "Ea a cumpărat pâine și lapte.",
    "A régi hidat tavaly javították meg.",
    "Hän lukee sanomalehteä joka aamu.",
    "Komşularımızın büyük bir bahçesi var.",
    "Bộ phim quá dài.",
    "Tolong tutup jendelanya.",
    "Завтра погода будет лучше.",
    "Бібліотека зачиняється о шостій.",
    "Αγόρασε ψωμί και γάλα.",
    "הגשר הישן תוקן בשנה שעברה.",
    "يقرأ الجريدة كل صباح.",
    "همسایه‌های ما باغ بزرگی دارند.",
    "फिल्म बहुत लंबी थी।",
    "দয়া করে জানালা বন্ধ করুন।",
    "நாளை வானிலை நன்றாக இருக்கும்.",
    "ห้องสมุดปิดหกโมงเย็น",
    "她买了面包和牛奶。",
    "古い橋は去年修理されました。",
    "그는 매일 아침 신문을 읽는다.",
)
"""Sentences about nothing in particular, each in another language."""


def mean_of(model: Model) -> Vector:
    """Return the mean of the model's vectors, shape (dimensions,). Raises ModelAway.

    Even unrelated vectors have a mean that is not zero, if there are few of them. So the mean of the samples is
    multiplied by the part of its squared length that is not by chance.
    """
    vectors = model.encode([model.prompts.passage + text for text in SAMPLES])
    mean = vectors.mean(axis=0)
    square = float(mean @ mean)
    mean_cosine = (len(vectors) * square - 1) / (len(vectors) - 1)
    return np.asarray(mean * max(mean_cosine, 0.0) / square, np.float32)
