"""Sign people in: which Django user a person of an LMS is, and the session that a launch begins."""

from __future__ import annotations

import copy
import secrets
from contextlib import suppress
from datetime import timedelta
from importlib import import_module
from typing import Any

from django.conf import settings as django_settings
from django.contrib import auth
from django.contrib.auth.models import AbstractBaseUser
from django.contrib.sessions.backends.base import SessionBase, UpdateError
from django.core.exceptions import FieldDoesNotExist
from django.db import models
from django.http import HttpRequest
from django.middleware.csrf import CSRF_SECRET_LENGTH, rotate_token
from django.utils import timezone
from django.utils.crypto import salted_hmac
from django.utils.module_loading import import_string
from django.utils.translation import gettext as _

from ltiaas_django import data, exceptions, sealing, signals, vocabulary
from ltiaas_django.conf import settings
from ltiaas_django.models import Launch, LtiUser, Platform
from ltiaas_django.operations import announcing

_BEGUN_BY_LAUNCH = "_ltiaas_launched"
FRAMED = "_ltiaas_framed"
"""In sessions that began in a frame: the origins that may frame them, parted by spaces; blank for any."""
REPLACED = "_ltiaas_replaced"
"""In sessions that the same person's next launch has replaced: the key of the session that did."""
_REPLACED_LASTS = timedelta(minutes=1)
_NO_MAIL_HOST = "lti.invalid"  # RFC 2606: never a real address


class SsoPolicy:
    """Finds or makes the Django user of a launch. Subclass it and name the subclass in LTIAAS["SSO_POLICY"].

    A person is (platform, LMS user id) and nothing else. Nothing here ever sets is_staff or is_superuser.
    """

    def user_for(self, lti_user: LtiUser, id_token: data.IdToken) -> AbstractBaseUser:
        """The user to sign in. Called inside the launch's transaction. Raises SsoRefused to turn the person away."""
        if lti_user.user is None or lti_user.is_provisional:
            # Two tabs may open at once for a person whom only the roster knew, or who is answering right now. Without
            # joins: a row that was waited for is read anew, and what was joined to it is not.
            known = LtiUser.objects.select_for_update().get(pk=lti_user.pk)
            lti_user.user, lti_user.is_provisional = known.user, known.is_provisional
            if known.user is None or known.is_provisional:
                self._settle(lti_user, id_token)
        user: Any = lti_user.user
        self.check(user)
        return user  # type: ignore[no-any-return]

    def _settle(self, lti_user: LtiUser, id_token: data.IdToken) -> None:
        """Give the person a user; it stays provisional until a question is answered, if there is one to ask."""
        user: Any = lti_user.user
        if user is None:
            user, lti_user.is_provisional = self.link(lti_user, id_token), False
        if user is None:
            user, lti_user.is_provisional = self.provision(lti_user, id_token), True
        lti_user.user = user
        if lti_user.is_provisional and not self.must_ask(lti_user, id_token):
            self.keep(lti_user)
        lti_user.save(update_fields=["user", "is_provisional"])

    def must_ask(self, lti_user: LtiUser, id_token: data.IdToken) -> bool:
        """Whether a person whose user would be a new one is asked first for the account that they may have here.

        Where the operator has turned it on for the platform; never the LMS's own test student.
        """
        asks: bool = lti_user.platform.account_linking == Platform.AccountLinking.ASK
        return asks and not vocabulary.is_test_user(id_token.user.roles)

    def keep(self, lti_user: LtiUser) -> None:
        """The user that was made for this person is theirs for good; the caller saves the row."""
        lti_user.is_provisional = False
        announcing.announce(signals.user_provisioned, auth.get_user_model(), user=lti_user.user, lti_user=lti_user)

    def link(self, lti_user: LtiUser, id_token: data.IdToken) -> AbstractBaseUser | None:
        """An existing user that this new person is, or None.

        By e-mail, and only where the operator has trusted the platform with it; never to staff, superusers or
        inactive users, never when two accounts share the address, never to a user whom this platform knows already.
        """
        if lti_user.platform.account_linking != Platform.AccountLinking.EMAIL or not id_token.user.email:
            return None
        model = auth.get_user_model()
        same = list(
            model._default_manager.filter(**{f"{model.get_email_field_name()}__iexact": id_token.user.email})[:2]
        )
        if len(same) != 1:
            return None
        [user] = same
        if not _is_same_address(getattr(user, model.get_email_field_name()), id_token.user.email):
            return None
        taken, privileged = is_taken(user, lti_user), is_privileged(user)
        return None if taken or privileged or not user.is_active else user

    def provision(self, lti_user: LtiUser, id_token: data.IdToken) -> AbstractBaseUser:
        """A new user with an unusable password, of whatever user model the project has.

        Where people are asked, it is deleted again if they have an account: return no user that was there before.
        """
        model = auth.get_user_model()
        user = model()
        values = {
            model.USERNAME_FIELD: self.username_for(lti_user, id_token),
            "first_name": id_token.user.given_name or id_token.user.name,
            "last_name": id_token.user.family_name,
        }
        email_field = model.get_email_field_name()
        if email_field != model.USERNAME_FIELD:
            values[email_field] = id_token.user.email
        for name, value in values.items():
            _set_if_it_fits(user, name, value)
        user.set_unusable_password()
        user.save()
        return user

    def username_for(self, lti_user: LtiUser, id_token: data.IdToken) -> str:
        """A name that nobody else has and that gives nothing away; an e-mail address where the model wants one."""
        name = f"lti-{sealing.digest(f'{lti_user.platform_id}:{lti_user.lti_id}')[:24]}"
        model = auth.get_user_model()
        if model._default_manager.filter(**{f"{model.USERNAME_FIELD}__startswith": name}).exists():
            name += f"-{secrets.token_hex(4)}"  # the person was unlinked from that user, and stays so
        wants_email = isinstance(model._meta.get_field(model.USERNAME_FIELD), models.EmailField)
        return f"{name}@{_NO_MAIL_HOST}" if wants_email else name

    def check(self, user: AbstractBaseUser) -> None:
        """Raises SsoRefused if the user must not be signed in."""
        if not user.is_active:
            raise exceptions.SsoRefused(
                _("This account has been switched off. Please ask the people who run this tool.")
            )

    def backend(self) -> str:
        """Dotted path of the authentication backend that the session is kept under."""
        backends = django_settings.AUTHENTICATION_BACKENDS
        usual = "django.contrib.auth.backends.ModelBackend"
        return usual if usual in backends else backends[0]


def is_privileged(user: AbstractBaseUser) -> bool:
    """Whether this user may do more here than plain people: no LMS is trusted with such an account."""
    return bool(getattr(user, "is_staff", False) or getattr(user, "is_superuser", False))


def is_taken(user: AbstractBaseUser, lti_user: LtiUser) -> bool:
    """Whether the user is somebody else of the same platform already."""
    others = LtiUser.objects.filter(platform=lti_user.platform_id, user=user.pk)
    return others.exclude(pk=lti_user.pk).exists()


def _is_same_address(one: str, other: str) -> bool:
    """But for capitals of ASCII: to PostgreSQL a dotless i, too, is an I, and another mailbox (CVE-2019-19844)."""
    return one == other or (one.isascii() and other.isascii() and one.lower() == other.lower())


def _set_if_it_fits(user: AbstractBaseUser, name: str, value: str) -> None:
    """Set a field of a user model that we do not know: cut to its length, and left alone where it cannot be set."""
    try:
        field = user._meta.get_field(name)
    except FieldDoesNotExist:
        return
    if not isinstance(field, models.Field):
        return
    username_field = auth.get_user_model().USERNAME_FIELD
    value = value[: field.max_length] if field.max_length else value
    if field.unique and name != username_field:
        # Somebody else may hold the address already, and a blank one can be held once only.
        taken = not value or type(user)._default_manager.filter(**{name: value}).exists()
        if taken:
            if field.null:
                return
            value = f"{getattr(user, username_field)}@{_NO_MAIL_HOST}"
    setattr(user, name, value)


def policy() -> SsoPolicy:
    """The policy that the settings name."""
    try:
        found: Any = import_string(settings.SSO_POLICY)()
    except (ImportError, TypeError) as error:
        raise exceptions.ConfigurationError(f'LTIAAS["SSO_POLICY"] cannot be used: {error}') from error
    if not isinstance(found, SsoPolicy):
        raise exceptions.ConfigurationError('LTIAAS["SSO_POLICY"] must name a subclass of SsoPolicy.')
    return found


def began_by_launch(session: SessionBase | dict[str, Any]) -> bool:
    """Whether a launch began this session, and not its user with a password."""
    return bool(session.get(_BEGUN_BY_LAUNCH))


def would_replace_foreign_session(request: HttpRequest, user: AbstractBaseUser) -> bool:
    """Whether signing this user in would end a session of somebody else that no launch began (an operator's, say)."""
    current = request.user
    return current.is_authenticated and current.pk != user.pk and not request.session.get(_BEGUN_BY_LAUNCH)


def ancestors_of(launch: Launch) -> str:
    """The origins that may frame what the launch shows, parted by spaces; blank for any."""
    return " ".join(launch.lti_user.platform.frame_ancestors.split())


def sign_in(request: HttpRequest, launch: Launch) -> None:
    """Begin a fresh session for the launch's person, and save the launch; a different person's session here ends.

    Their own session of before lasts another minute: the other frames of a page, and other tabs, may be on their way.
    The session key is remembered, sealed, until its cookie comes back: a second start of the launch ends it.
    Raises IntegrityError, with the request's session as it was, if the ltik of a new launch has been used meanwhile.
    """
    user, backend = launch.user, policy().backend()
    is_same = request.user.is_authenticated and request.user.pk == user.pk
    newest = _newest(request.session)
    former = newest or request.session
    # Their own session that they began with a password stays one that no launch of somebody else may end unasked.
    is_launched = not is_same or _BEGUN_BY_LAUNCH in former
    # Browsers keep the cookies of a frame and of a tab apart: the other one's session stays as it is.
    goes_on = is_same and newest is not None and (FRAMED in newest) == launch.framed
    if not is_same:
        for ended in {former, request.session}:
            copy.copy(ended).flush()  # the request keeps its own until the launch is stored
    session = type(former)()
    if goes_on:
        session.update(dict(former.items()))
    # All that Django's `login` would write is there before the session gets its key: it is stored once, not thrice.
    session[auth.SESSION_KEY] = user._meta.pk.value_to_string(user)
    session[auth.BACKEND_SESSION_KEY] = backend
    session[auth.HASH_SESSION_KEY] = user.get_session_auth_hash()
    if is_launched:
        session[_BEGUN_BY_LAUNCH] = True
    if launch.framed:
        session[FRAMED] = ancestors_of(launch)
    else:
        session.pop(FRAMED, None)
    session.cycle_key()
    launch.session_sealed = sealing.seal(session.session_key or "")
    launch.save(update_fields=None if launch._state.adding else ["session_sealed"])
    _save_only_changes(session)
    request.session, request.user = session, user
    if goes_on:
        _let_run_out(former, session)
    # Forms in the person's other tabs hold the present token. Kept in sessions, it is that session's own.
    keeps_token = is_same and (goes_on or not django_settings.CSRF_USE_SESSIONS) and request.META.get("CSRF_COOKIE")
    if not keeps_token:
        rotate_token(request)
        # Frames of one page begin at once, with no cookie yet, and one's cookie stays: all are given the same token.
        request.META["CSRF_COOKIE"] = _first_csrf_secret(user)
    auth.user_logged_in.send(sender=type(user), request=request, user=user)


def _let_run_out(session: SessionBase, successor: SessionBase) -> None:
    """End a session that has a successor, but not at once: requests that bring its cookie were sent before."""
    session[REPLACED] = successor.session_key
    session.set_expiry(_REPLACED_LASTS)
    with suppress(UpdateError):  # it ended meanwhile
        session.save()


def _newest(session: SessionBase) -> SessionBase | None:
    """This session, or the one that has replaced it last; None if that was ended meanwhile, by a sign-out, say."""
    while REPLACED in session:
        session = type(session)(session[REPLACED])
        if not session.keys():
            return None
    return session


def renew_replaced(request: HttpRequest) -> None:
    """Give a browser that came with a replaced session the newest one: answers may arrive in another order."""
    newest = _newest(request.session)
    if newest is not None and newest is not request.session:
        _save_only_changes(newest)
        newest.modified = True  # so that Django's middleware sends its cookie
        request.session = newest


def _first_csrf_secret(user: AbstractBaseUser) -> str:
    """The same for all sign-ins of a day, and known to nobody without the site's SECRET_KEY."""
    about = f"{user.pk}:{user.get_session_auth_hash()}:{timezone.now():%Y-%m-%d}"
    return salted_hmac("ltiaas_django.csrf", about, algorithm="sha256").hexdigest()[:CSRF_SECRET_LENGTH]


def _save_only_changes(session: SessionBase) -> None:
    """Django's middleware saves each session that it sends a cookie for; this one has been saved with its launch."""
    serializer, save = session.serializer(), session.save
    saved = serializer.dumps(dict(session.items()))

    def save_changes(must_create: bool = False) -> None:
        if must_create or serializer.dumps(dict(session.items())) != saved:
            save(must_create=must_create)

    session.save = save_changes  # type: ignore[method-assign]


def session_store() -> type[SessionBase]:
    """Where the site keeps its sessions."""
    store: type[SessionBase] = import_module(django_settings.SESSION_ENGINE).SessionStore
    return store


def end_session_of(launch: Launch) -> None:
    """End the session that an earlier start of this launch began, if its cookie has not come back yet."""
    if not launch.session_sealed:
        return
    try:
        session_store()().delete(sealing.unseal(launch.session_sealed))
    except exceptions.SealError:
        pass  # the sealing keys were changed within the minute: there is no telling which session it was
