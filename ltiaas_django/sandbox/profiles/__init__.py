"""How LMSs differ: what each calls things, whom its rosters list, which scores it takes, and what it says when not."""

from __future__ import annotations

from collections.abc import Mapping

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

__all__ = ["PROFILES", "Profile", "Quirk", "make"]


def make(name: str) -> Profile:
    """A profile by its name, with nothing changed yet; raises BadRequest for a name that there is not."""
    try:
        return PROFILES[name]()
    except KeyError:
        raise errors.BadRequest(f"A profile is one of {', '.join(PROFILES)}.") from None
