"""Link a person of an LMS to the account that they have here already, if they say so; and undo it.

The question is about one launch, which waits meanwhile: nobody is signed in, and nothing is served under it. Its two
tokens are parted, so that the one which travels through the site's own log-in page cannot answer for the person.
"""

from __future__ import annotations

import dataclasses
import logging
from typing import Any

from django.contrib import auth
from django.contrib.auth.models import AbstractBaseUser
from django.core import signing
from django.db import IntegrityError, connection, transaction
from django.db.models import ProtectedError, RestrictedError
from django.utils import timezone
from django.utils.translation import gettext as _

from ltiaas_django import exceptions
from ltiaas_django.models import Launch, LtiUser
from ltiaas_django.operations import groups, sso

logger = logging.getLogger(__name__)

_ASKED = "ltiaas_django.link_account"
_SIGNING_IN = "ltiaas_django.link_account.confirm"
_LASTS = 600  # seconds that each token serves


@dataclasses.dataclass(frozen=True, slots=True)
class Question:
    """Whether the person of a launch has an account here already."""

    launch: Launch
    clean_url: str
    """Where the launch goes on."""
    created: bool
    """Whether the person was not known before."""

    @property
    def is_open(self) -> bool:
        """Whether nobody has answered yet."""
        return must_answer(self.launch)

    def token(self) -> str:
        """For the page that asks: whoever holds it may go on as the person, once."""
        return self._sign(_ASKED)

    def account_token(self) -> str:
        """For the tab in which the person signs in: good for nothing but to link the account that is signed in."""
        return self._sign(_SIGNING_IN)

    def _sign(self, salt: str) -> str:
        return signing.dumps([str(self.launch.pk), self.clean_url, self.created], salt=salt)


def must_answer(launch: Launch) -> bool:
    """Whether the launch has to wait for its person's answer."""
    return launch.lti_user.is_provisional


def get_asked(token: str) -> Question | None:
    """The question that the page asks; None if the token is not ours, too old, or the launch is over."""
    return _question(token, _ASKED)


def get_account_question(token: str) -> Question | None:
    """The same, by the token of the tab in which the person signs in."""
    return _question(token, _SIGNING_IN)


def _question(token: str, salt: str) -> Question | None:
    try:
        launch_id, clean_url, created = signing.loads(token, salt=salt, max_age=_LASTS)
    except (signing.BadSignature, UnicodeError):
        return None
    launches = Launch.objects.live().select_related("lti_user__platform", "context", "user")
    launch = launches.filter(pk=launch_id).first()
    return Question(launch, clean_url, created) if launch is not None else None


def get_waiting(launch: Launch) -> Launch | None:
    """The launch, locked within a transaction, if nobody has been signed in by it yet."""
    waiting = Launch.objects.live().filter(claimed_at=None, session_sealed="").select_for_update(of=("self",))
    return waiting.select_related("user", "lti_user__platform").filter(pk=launch.pk).first()


# --- the answers ------------------------------------------------------------------------------------------------------


def go_on_without(launch: Launch) -> bool:
    """The person has no account here: the new user is theirs. False if the question was answered before.

    To be called in one transaction with the sign-in.
    """
    person = _lock(launch)
    if person is None or not person.is_provisional:
        return False
    sso.policy().keep(person)
    person.save(update_fields=["is_provisional"])
    groups.follow([person.user_id])
    return True


def check_account(account: AbstractBaseUser, person: LtiUser) -> None:
    """Raises SsoRefused, in words for the person, if they cannot be linked to this account."""
    if sso.is_privileged(account):
        raise exceptions.SsoRefused(_("This account belongs to the people who run this tool: it cannot be linked."))
    if sso.is_taken(account, person):
        raise exceptions.SsoRefused(_("This account is linked to somebody else of the same learning platform already."))
    sso.policy().check(account)


@transaction.atomic
def link(launch: Launch, account: AbstractBaseUser) -> bool:
    """From now on the person of this launch is that account. False if the question was answered before.

    The user that was made for the person is deleted; their launches that wait are the account's. Raises SsoRefused.
    """
    person = _lock(launch)
    if person is None or not person.is_provisional:
        return False
    light = connection.features.has_select_for_no_key_update
    # Two people who answer at once with one account: the second one finds it taken.
    account = auth.get_user_model()._default_manager.select_for_update(no_key=light).get(pk=account.pk)
    check_account(account, person)
    former: Any = person.user
    person.user, person.is_provisional, person.linked_at = account, False, timezone.now()
    person.save(update_fields=["user", "is_provisional", "linked_at"])
    if former is not None:
        Launch.objects.filter(lti_user=person, user=former).update(user=account.pk)
        _drop(former)
    groups.follow([account.pk])
    return True


def _lock(launch: Launch) -> LtiUser | None:
    # Without joins: a row that was waited for is read anew, and what was joined to it is not.
    return LtiUser.objects.select_for_update().filter(pk=launch.lti_user_id).first()


def _drop(user: Any) -> None:
    """Delete the user that was made for a person, unless somebody has used it or the tool's own rows need it."""
    is_used = getattr(user, "last_login", None) is not None or user.has_usable_password()
    if is_used or sso.is_privileged(user) or LtiUser.objects.filter(user=user.pk).exists():
        return
    try:
        with transaction.atomic():
            user.delete()
    except (ProtectedError, RestrictedError, IntegrityError):
        logger.warning("Django user %s has never been signed in, and stays: rows of the tool protect it.", user.pk)


# --- undone by staff --------------------------------------------------------------------------------------------------


@transaction.atomic
def unlink(person: LtiUser) -> bool:
    """Part a person from their Django user: the next launch makes a new one, or asks. False if they had none.

    Their launches are over, and sessions that launches began for that user end. What the user has here stays theirs.
    """
    person = LtiUser.objects.select_for_update().get(pk=person.pk)
    if person.user_id is None:
        return False
    former = person.user_id
    person.user, person.is_provisional, person.linked_at = None, False, None
    person.save(update_fields=["user", "is_provisional", "linked_at"])
    now = timezone.now()
    # Kept, for their digests tell a replay; over, and claimed, so that no ltik starts them anew.
    Launch.objects.filter(lti_user=person, claimed_at=None).update(claimed_at=now, session_sealed="")
    Launch.objects.live().filter(lti_user=person).update(expires_at=now)
    groups.follow([former])
    _end_launched_sessions(former)
    return True


def _end_launched_sessions(user_id: Any) -> None:
    """Where Django keeps sessions in the database, all are looked through: no index says whose they are."""
    store: Any = sso.session_store()
    if not hasattr(store, "get_model_class"):
        return  # in a cache or a cookie nobody can look for them
    rows: Any = store.get_model_class()._default_manager.filter(expire_date__gt=timezone.now())
    for row in rows.iterator():
        session = row.get_decoded()
        if session.get(auth.SESSION_KEY) == str(user_id) and sso.began_by_launch(session):
            store().delete(row.session_key)
