"""The quiz as an HTML form."""

from __future__ import annotations

from typing import Any

from django import forms

from example_project.quiz.models import Answers, Question, Quiz


class AnswerForm(forms.Form):
    """One group of radio buttons for each question, all of which must be answered."""

    def __init__(self, quiz: Quiz, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.questions: dict[str, Question] = {f"question-{question.pk}": question for question in quiz.questions.all()}
        for name, question in self.questions.items():
            self.fields[name] = forms.ChoiceField(
                label=question.text,
                choices=[(text, text) for text in question.choice_texts()],
                widget=forms.RadioSelect,
                error_messages={
                    "required": "Please choose an answer.",
                    "invalid_choice": "Please choose one of these answers.",
                },
            )

    def answers(self) -> Answers:
        """What was chosen. To be asked of a valid form."""
        return {question.pk: self.cleaned_data[name] for name, question in self.questions.items()}
