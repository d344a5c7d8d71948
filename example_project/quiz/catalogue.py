"""The quizzes that there are. A teacher adds some to a course, where each becomes a quiz of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Template:
    """What a new quiz is made of."""

    title: str
    description: str
    questions: tuple[tuple[str, int, str], ...]
    """Text, points and choices of each; the right choice begins with a star."""

    def maximum(self) -> int:
        """The points that can be had."""
        return sum(points for _text, points, _choices in self.questions)


CATALOGUE: Mapping[str, Template] = {
    "averages": Template(
        "Averages",
        "Mean, median and mode.",
        (
            ("What is the mean of 2, 4 and 9?", 2, "4\n* 5\n6\n9"),
            ("What is the median of 1, 3, 3, 8 and 20?", 2, "* 3\n7\n8\n20"),
            ("What is the mode of 4, 7, 7 and 9?", 3, "4\n6.75\n* 7\n9"),
            (
                "One very large value joins many small ones. Which average moves most?",
                3,
                "* the mean\nthe median\nthe mode",
            ),
        ),
    ),
    "spread": Template(
        "Spread",
        "Range, variance and standard deviation.",
        (
            ("What is the range of 3, 5 and 11?", 2, "5\n6.33\n* 8\n11"),
            ("All values are the same. What is their variance?", 3, "* 0\n1\nthe mean"),
            ("The variance is 16. What is the standard deviation?", 3, "2\n* 4\n8\n256"),
        ),
    ),
    "chance": Template(
        "Chance",
        "Coins, dice and independence.",
        (
            ("Two fair coins are thrown. How probable are two heads?", 2, "1/2\n1/3\n* 1/4"),
            ("A die has shown three sixes. How probable is a six next?", 3, "* 1/6\nless than 1/6\nmore than 1/6"),
        ),
    ),
}
FIRST = "averages"
"""The quiz of an activity that names none."""
