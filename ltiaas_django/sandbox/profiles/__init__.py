"""How LMSs differ: what each calls things, whom its rosters list, which scores it takes, and what it says when not."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping

from .. import errors
from .blackboard import Blackboard
from .brightspace import Brightspace
from .canvas import AnonymousCanvas, Canvas, UnpublishedCanvas
from .moodle import Moodle
from .openedx import OpenEdx
from .profile import Profile, Quirk
from .sakai import Sakai
from .schoology import Schoology
from .strict import GenericStrict

PROFILES: Mapping[str, type[Profile]] = {
    profile.name: profile
    for profile in (
        Profile,
        Canvas,
        AnonymousCanvas,
        UnpublishedCanvas,
        Moodle,
        Blackboard,
        Brightspace,
        Sakai,
        Schoology,
        OpenEdx,
        GenericStrict,
    )
}
"""All there are, by name."""

__all__ = ["PROFILES", "Profile", "Quirk", "make", "overview"]


def make(name: str) -> Profile:
    """A profile by its name, with nothing changed yet; raises BadRequest for a name that there is not."""
    try:
        return PROFILES[name]()
    except KeyError:
        raise errors.BadRequest(f"A profile is one of {', '.join(PROFILES)}.") from None


def overview(width: int = 100) -> str:
    """All profiles with their quirks and where each is known from, as text of so many columns."""
    return "\n\n".join("\n".join(_lines(profile, width)) for profile in PROFILES.values()) + "\n"


def _lines(profile: type[Profile], width: int) -> Iterator[str]:
    yield f"{profile.name}: {profile.title}"
    for quirk in profile.quirks:
        text = f"{quirk.text} [{quirk.source}]"
        yield from textwrap.wrap(
            text, width, initial_indent=f"  {quirk.id:<19}", subsequent_indent=" " * 21, break_on_hyphens=False
        )
