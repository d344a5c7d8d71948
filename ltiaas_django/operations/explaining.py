"""What went wrong with a call that a person waits for, in words for that person."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.utils.translation import gettext as _

from ltiaas_django import exceptions
from ltiaas_django.operations import connecting


@contextmanager
def in_words_for_the_person() -> Iterator[None]:
    """A call with an ltik that fails inside the block raises LaunchExpired or LaunchUnavailable."""
    try:
        yield
    except exceptions.Refused as error:
        if connecting.api_key_is_refused(error):
            raise exceptions.LaunchUnavailable(
                _(
                    "This tool is not set up correctly: LTIAAS does not accept its API key. "
                    "Please tell the people who run it."
                )
            ) from error
        raise exceptions.LaunchExpired(
            _("This launch has expired or is not known. Please open the activity from your course again.")
        ) from error
    except exceptions.InvalidResponse as error:
        raise exceptions.LaunchUnavailable(
            _(
                "Your learning platform's launch data could not be read (%(detail)s). "
                "Please tell the people who run this tool."
            )
            % {"detail": error.detail}
        ) from error
    except exceptions.ApiError as error:
        raise exceptions.LaunchUnavailable(
            _("The launch service cannot be reached just now. Please try again in a moment.")
        ) from error
