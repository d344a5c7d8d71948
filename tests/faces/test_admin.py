"""The admin: what its pages say, which clicks do what, and what no page may show."""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.contrib.contenttypes.models import ContentType
from django.contrib.messages import get_messages
from django.core.exceptions import FieldDoesNotExist
from django.db import connection
from django.db.models import CASCADE, PROTECT
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from example_project.quiz.models import Quiz
from ltiaas_django import models, sealing, signals
from ltiaas_django.admin import badges, cells, contexts
from ltiaas_django.admin import grades as grades_admin
from ltiaas_django.admin import keys as keys_admin
from ltiaas_django.admin import launches as launches_admin
from ltiaas_django.admin import platforms as platforms_admin
from ltiaas_django.admin import runs as runs_admin
from ltiaas_django.operations import waking
from ltiaas_django.testing import factories

pytestmark = pytest.mark.django_db

SECRETS = ("sealed", "ltik_sealed", "session_sealed", "ltik_digest")
FACTORIES = {
    models.Platform: factories.PlatformFactory,
    models.Context: factories.ContextFactory,
    models.ResourceLink: factories.ResourceLinkFactory,
    models.LtiUser: factories.LtiUserFactory,
    models.Membership: factories.MembershipFactory,
    models.Launch: factories.LaunchFactory,
    models.ServiceKey: factories.ServiceKeyFactory,
    models.LineItem: factories.LineItemFactory,
    models.OutgoingScore: factories.OutgoingScoreFactory,
    models.SyncRun: factories.SyncRunFactory,
}
SHOWN = pytest.mark.parametrize("model", FACTORIES, ids=lambda model: model.__name__)
STATES = models.OutgoingScore.State
OPERATORS = {"is_active": "on", "account_linking": "off"}
"""The fields that a platform's page must send."""


def page(model, name="changelist", *args):
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{name}", args=args)


def listed(response):
    """The rows on a list, in order."""
    return list(response.context["cl"].result_list)


def ask(client, row, action, confirmed=True, **more):
    """Choose an action for one or several rows and, where it asks first, say yes."""
    rows = row if isinstance(row, list) else [row]
    data = {"action": action, "_selected_action": [str(row.pk) for row in rows], **more}
    return client.post(page(type(rows[0])), {**data, "confirmed": "yes"} if confirmed else data)


def said(response):
    """The message of the last action."""
    return str(list(get_messages(response.wsgi_request))[-1])


@pytest.fixture
def operator(client):
    client.force_login(User.objects.create_superuser("operator"))
    return client


@pytest.fixture
def onlooker(client):
    """Staff who may look at everything of ours and change nothing."""
    user = User.objects.create_user("onlooker", is_staff=True)
    types = ContentType.objects.filter(app_label="ltiaas_django")
    user.user_permissions.set(Permission.objects.filter(content_type__in=types, codename__startswith="view_"))
    client.force_login(user)
    return client


@pytest.fixture
def woken(monkeypatch, django_capture_on_commit_callbacks):
    """The hints that a worker would get, once what is in the block is committed."""
    hints = []
    monkeypatch.setattr(waking, "wake", lambda *hint: hints.append((hint[0], tuple(hint[1]))))
    return hints


# --- every model ------------------------------------------------------------------------------------------------------


def test_every_row_but_the_attempts_has_a_page():
    ours = {model for model in admin.site._registry if model._meta.app_label == "ltiaas_django"}
    assert ours == set(FACTORIES)


@SHOWN
def test_a_list_and_a_page_show_their_row(operator, model):
    row = FACTORIES[model]()
    assert listed(operator.get(page(model))) == [row]
    response = operator.get(page(model, "change", row.pk))
    assert response.status_code == 200
    assert response.context["original"] == row


@SHOWN
def test_nothing_is_added_by_hand(operator, model):
    assert operator.get(page(model, "add")).status_code == 403


@SHOWN
def test_only_an_operators_fields_can_be_edited(operator, model):
    row = FACTORIES[model]()
    editable = {
        models.Platform: {"is_active", "account_linking", "frame_ancestors", "parallel_calls", "calls_per_second"},
        models.Context: {"is_active"},
    }.get(model, set())
    response = operator.get(page(model, "change", row.pk))
    assert set(response.context["adminform"].form.fields) == editable
    assert ('name="_save"' in response.content.decode()) == bool(editable)


@SHOWN
def test_a_row_without_fields_to_edit_takes_no_post(operator, model):
    row = FACTORIES[model]()
    expected = 302 if model in {models.Platform, models.Context} else 403
    assert operator.post(page(model, "change", row.pk), OPERATORS).status_code == expected


@SHOWN
def test_onlookers_see_rows_and_no_actions(onlooker, model):
    row = FACTORIES[model]()
    response = onlooker.get(page(model))
    assert listed(response) == [row]
    assert response.context["action_form"] is None
    html = onlooker.get(page(model, "change", row.pk)).content.decode()
    assert str(row._meta.verbose_name).lower() in html.lower()
    assert 'type="submit"' not in html.split('id="content"')[1].split("</form>")[0]


@pytest.mark.parametrize(
    ("model", "action", "field"),
    [
        (models.Platform, "stop", "is_active"),
        (models.Platform, "unpause", "paused_until"),
        (models.Context, "stop", "is_active"),
        (models.Context, "sync_now", "roster_due_at"),
        (models.Context, "confirm_departures", "roster_held"),
        (models.ServiceKey, "refuse", "refused_at"),
        (models.OutgoingScore, "send_open", "due_at"),
        (models.OutgoingScore, "send_again", "due_at"),
        (models.Context, "check_gradebook", "check_due_at"),
        (models.Context, "send_all", "check_due_at"),
        (models.LtiUser, "forget", "name"),
    ],
)
def test_onlookers_cannot_act_by_a_forged_form(onlooker, model, action, field):
    later = timezone.now() + timedelta(hours=1)
    start = {"paused_until": later, "roster_held": {"fingerprint": "f", "count": 9, "of": 10, "nights": 1}}
    row = FACTORIES[model](**{name: value for name, value in start.items() if name == field})
    if model is models.Context:
        factories.ServiceKeyFactory(context=row)
    before = getattr(row, field)
    ask(onlooker, row, action)
    row.refresh_from_db()
    assert getattr(row, field) == before


def test_onlookers_cannot_sync_from_a_courses_page(onlooker):
    key = factories.ServiceKeyFactory()
    response = onlooker.post(page(models.Context, "change", key.context.pk), {"is_active": "on", "_sync_now": "1"})
    assert response.status_code == 403
    key.context.refresh_from_db()
    assert key.context.roster_due_at is None


@SHOWN
def test_text_of_the_lms_is_escaped(operator, model):
    nasty = "<script>alert(1)</script>"
    platform = factories.PlatformFactory(name=nasty, product_family=nasty, pause_reason=nasty, paused_until=tomorrow())
    context = factories.ContextFactory(
        platform=platform, title=nasty, roster_error=nasty, roster_failures=1, types=[nasty], check_error=nasty
    )
    link = factories.ResourceLinkFactory(context=context, title=nasty, description=nasty)
    person = factories.LtiUserFactory(platform=platform, name=nasty, email=nasty)
    made = {
        models.Platform: platform,
        models.Context: context,
        models.ResourceLink: link,
        models.LtiUser: person,
        models.Membership: factories.MembershipFactory(context=context, lti_user=person, roles=[nasty]),
        models.Launch: factories.LaunchFactory(
            context=context, resource_link=link, lti_user=person, custom={"a": nasty}, return_url=f"javascript:{nasty}"
        ),
        models.ServiceKey: factories.ServiceKeyFactory(
            context=context, resource_link=link, last_error=nasty, refused_at=timezone.now()
        ),
        models.LineItem: factories.LineItemFactory(context=context, resource_link=link, label=nasty, tag=nasty),
    }
    made[models.OutgoingScore] = factories.OutgoingScoreFactory(
        line_item=made[models.LineItem], lti_user=person, comment=nasty, last_error=nasty, last_error_code=nasty,
        attempts=2,
    )  # fmt: skip
    factories.ScoreAttemptFactory(score=made[models.OutgoingScore], error=nasty, error_code=nasty)
    made[models.SyncRun] = factories.SyncRunFactory(platform=platform, error=nasty, counts={nasty: 1})
    urls = [page(model), page(model, "change", made[model].pk), page(model, "history", made[model].pk)]
    urls += [f"{page(model)}?course={context.pk}", f"{page(model)}?platform={platform.pk}"]
    pages = [operator.get(url).content.decode() for url in urls]
    for html in pages:
        assert "<script>alert" not in html
    for html in pages[:2]:
        assert "&lt;script&gt;alert(1)" in html


def tomorrow():
    return timezone.now() + timedelta(days=1)


# --- secrets ----------------------------------------------------------------------------------------------------------


def test_no_page_shows_a_secret(operator):
    secret, ltik, session = "top-secret-service-key", "top-secret-ltik", "top-secret-session"
    key = factories.ServiceKeyFactory(secret=secret, last_error="refused")
    launch = factories.LaunchFactory(
        context=key.context, resource_link=key.resource_link, ltik=ltik, ltik_sealed=sealing.seal(ltik),
        session_sealed=sealing.seal(session),
    )  # fmt: skip
    score = factories.OutgoingScoreFactory(line_item__context=key.context, lti_user=launch.lti_user)
    kept = [key.sealed, launch.ltik_sealed, launch.session_sealed, launch.ltik_digest]
    assert key.reveal() == secret
    rows = [
        key, launch, score, score.line_item, key.context, key.context.platform, key.resource_link, launch.lti_user,
        factories.MembershipFactory(context=key.context), factories.SyncRunFactory(platform=key.context.platform),
    ]  # fmt: skip
    assert {type(row) for row in rows} == set(FACTORIES)
    seen = ""
    for row in rows:
        model = type(row)
        urls = [page(model, name, row.pk) for name in ("change", "history", "delete")]
        for url in [page(model), page(model, "add"), f"{page(model)}?q=secret", *urls]:
            seen += operator.get(url).content.decode()
        for action in admin.site._registry[model].get_actions(operator.get(page(model)).wsgi_request):
            if action not in {"resume", "unpause", "sync_now", "send_open", "check_gradebook"}:
                seen += ask(operator, row, action, confirmed=False).content.decode()
    assert str(key.fingerprint) in seen
    assert len(seen) > 100_000
    for text in [secret, ltik, session, *kept]:
        assert text not in seen


def test_no_class_names_a_secret_even_to_search_in_it():
    for model, model_admin in admin.site._registry.items():
        if model._meta.app_label != "ltiaas_django":
            continue
        assert model_admin.fields or model_admin.fieldsets, "by default a page shows every field"
        named = str([model_admin.fields, model_admin.fieldsets, model_admin.list_display, model_admin.search_fields])
        for field in SECRETS:
            assert f"'{field}'" not in named
            assert f"__{field}" not in named


@pytest.mark.parametrize(
    ("model", "lookup"),
    [
        (models.ServiceKey, "sealed__startswith"),
        (models.Launch, "ltik_digest__startswith"),
        (models.Launch, "session_sealed__startswith"),
        (models.Launch, "ltik_sealed__startswith"),
    ],
)
def test_a_url_cannot_guess_at_a_secret(onlooker, model, lookup):
    """A lookup in the URL would tell a digest letter by letter, by whether the row is on the list."""
    row = FACTORIES[model]()
    secret = getattr(row, lookup.partition("__")[0])
    responses = [onlooker.get(page(model), {lookup: start}) for start in (secret[:3] or "x", "no such text")]
    assert [response.status_code for response in responses] == [400, 400]


# --- queries ----------------------------------------------------------------------------------------------------------


LIST_QUERIES = 8  # of a list, at most: session, user, count, rows, and two for the sidebar's values or a date's range


@SHOWN
def test_a_list_asks_as_often_for_fifty_rows_as_for_five(operator, model):
    def count():
        operator.get(page(model))  # content types and the like are remembered from here on
        with CaptureQueriesContext(connection) as queries:
            assert operator.get(page(model)).status_code == 200
        return len(queries)

    FACTORIES[model].create_batch(5, **variety(model))
    few = count()
    assert few <= LIST_QUERIES
    FACTORIES[model].create_batch(45, **variety(model))
    assert model.objects.count() == 50
    assert count() == few


def test_a_later_page_shows_what_comes_next_in_the_order_that_is_asked_for(operator):
    titles = [f"Course {number:03}" for number in range(120)]
    for title in titles:
        factories.ContextFactory(title=title)
    response = operator.get(page(models.Context), {"o": "1", "p": "3"})
    assert [context.title for context in listed(response)] == titles[100:]
    assert [context.title for context in listed(operator.get(page(models.Context), {"o": "-1", "p": "2"}))] == [
        *reversed(titles[20:70])
    ]


def variety(model):
    """What makes a list show all that it can."""
    now = timezone.now()
    if model is models.OutgoingScore:
        read = {"drift": "overridden", "result_score": 3, "result_maximum": 10, "line_item__context__checked_at": now}
        return {"attempts": 2, "last_error": "no", "due_at": now, "line_item__label": "", **read}
    if model is models.SyncRun:
        return {"outcome": "running", "started_at": now - timedelta(days=1)}
    if model is models.LineItem:
        return {"label": ""}
    return {}


def test_a_courses_page_asks_as_often_for_thirty_rows_as_for_three(operator):
    context = factories.ContextFactory()

    def fill(number):
        factories.ServiceKeyFactory.create_batch(number, context=context)
        factories.OutgoingScoreFactory.create_batch(number, line_item__context=context)
        factories.SyncRunFactory.create_batch(number, platform=context.platform)

    def count():
        operator.get(page(models.Context, "change", context.pk))
        with CaptureQueriesContext(connection) as queries:
            operator.get(page(models.Context, "change", context.pk))
        return len(queries)

    fill(3)
    few = count()
    fill(27)
    assert count() == few


def test_a_scores_page_asks_as_often_for_thirty_attempts_as_for_three(operator):
    score = factories.OutgoingScoreFactory()

    def count(number):
        factories.ScoreAttemptFactory.create_batch(number, score=score)
        with CaptureQueriesContext(connection) as queries:
            html = operator.get(page(models.OutgoingScore, "change", score.pk)).content.decode()
        assert html.count("try again later") == score.history.count()
        return len(queries)

    count(1)
    assert count(2) == count(27)


def test_the_history_of_a_score_is_cut_off(operator):
    score = factories.OutgoingScoreFactory()
    factories.ScoreAttemptFactory.create_batch(60, score=score)
    html = operator.get(page(models.OutgoingScore, "change", score.pk)).content.decode()
    assert html.count("try again later") == 50
    assert "Older ones are not shown." in html


# --- filters and badges -----------------------------------------------------------------------------------------------


def hours(number):
    return timezone.now() + timedelta(hours=number)


SENDING = {"lease_token": "11111111-1111-1111-1111-111111111111", "lease_until": hours(1), "sending_revision": 1}
SCORES = {
    "due": ({"due_at": hours(-1)}, "due now", {"open", "due"}),
    "later": ({"due_at": hours(1)}, "due later", {"open"}),
    "night": ({}, "waiting for the night", {"open", "night"}),
    "launch": ({"state": STATES.WAITING}, "waiting for a launch", {"open", "launch"}),
    "failing": ({"attempts": 3, "due_at": hours(1)}, "failing ×3", {"open", "failing"}),
    "parked": ({"state": STATES.PARKED, "attempts": 8}, "parked", {"open", "parked"}),
    "unknown": ({"state": STATES.UNKNOWN, "due_at": hours(1)}, "outcome unknown", {"open", "unknown"}),
    "sending": ({"state": STATES.SENDING, **SENDING}, "sending", {"open", "sending"}),
    "stopped": ({"line_item__context__is_active": False, "due_at": hours(-1)}, "stopped", {"open", "stopped"}),
    "stopped LMS": (
        {"line_item__context__platform__is_active": False, "due_at": hours(-1)}, "stopped", {"open", "stopped"},
    ),
    "unconfirmed": (
        {"sent": True, "unconfirmed": "comment"}, "sent, unconfirmed", {"sent", "unconfirmed"},
    ),
    "sent": ({"sent": True}, "sent", {"sent"}),
}  # fmt: skip
ROSTERS = {
    "held": ({"roster_held": {"count": 9, "of": 10}, "roster_synced_at": hours(-1)}, "departures held", {"held"}),
    "failing": ({"roster_failures": 2, "roster_synced_at": hours(-1)}, "failing ×2", {"failing"}),
    "due": ({"roster_due_at": hours(-1), "roster_synced_at": hours(-2)}, "due now", {"due", "fresh"}),
    "stale": ({"roster_synced_at": hours(-40)}, "stale", {"stale"}),
    "never": ({}, "not offered", {"never"}),
    "fresh": ({"roster_synced_at": hours(-30)}, "in step", {"fresh"}),
}
KEYS = {
    "healthy": ({"used_at": hours(-1)}, "healthy", {"healthy"}),
    "unused": ({}, "not used yet", {"healthy", "unused"}),
    "refused": ({"refused_at": hours(-1)}, "refused", {"refused"}),
}
LAUNCHES = {
    "live": ({}, "live", {"live"}),
    "unclaimed": ({"claimed_at": None}, "cookie not back", {"unclaimed"}),
    "over": ({"expires_at": hours(-1)}, "over", {"over"}),
}
LINE_ITEMS = {
    "found": ({}, "found", {"found"}),
    "wanted": ({"lti_id": ""}, "not looked for yet", {"wanted"}),
    "gone": ({"gone_at": hours(-1)}, "gone", {"gone"}),
}
RUNS = {
    "ok": ({}, "all done", {"ok"}),
    "partial": ({"outcome": "partial"}, "some failed", {"partial", "trouble"}),
    "failed": ({"outcome": "failed"}, "nothing worked", {"failed", "trouble"}),
    "stopped": ({"outcome": "stopped"}, "stopped", {"stopped"}),
    "running": ({"outcome": "running"}, "running", {"running"}),
    "long": (
        {"outcome": "running", "started_at": hours(-1), "platform__lease_until": hours(1)}, "running", {"running"},
    ),
    "killed": ({"outcome": "running", "started_at": hours(-1)}, "broken off", {"broken", "trouble"}),
    "killed alone": (
        {"outcome": "running", "started_at": hours(-1), "platform": None}, "broken off", {"broken", "trouble"},
    ),
}  # fmt: skip


DRIFT = {
    "unread": ({"sent": True}, None, set()),
    "agrees": ({"sent": True, "line_item__context__checked_at": hours(1)}, "as sent", set()),
    "overridden": ({"sent": True, "drift": "overridden"}, "changed in the LMS", {"any", "overridden"}),
    "missing": ({"sent": True, "drift": "missing"}, "not in the gradebook", {"any", "missing"}),
    "gone": ({"sent": True, "drift": "column_gone"}, "column deleted", {"any", "column_gone"}),
}


@pytest.mark.parametrize(
    ("model", "list_filter", "cases"),
    [
        (models.OutgoingScore, grades_admin.DeliveryFilter, SCORES),
        (models.OutgoingScore, grades_admin.DriftFilter, DRIFT),
        (models.Context, contexts.RosterFilter, ROSTERS),
        (models.ServiceKey, keys_admin.HealthFilter, KEYS),
        (models.Launch, launches_admin.LaunchStateFilter, LAUNCHES),
        (models.LineItem, grades_admin.LineItemStateFilter, LINE_ITEMS),
        (models.SyncRun, runs_admin.OutcomeFilter, RUNS),
    ],
    ids=["scores", "drift", "rosters", "keys", "launches", "line items", "runs"],
)
def test_each_filter_keeps_what_it_says_and_each_badge_says_the_same(operator, model, list_filter, cases):
    rows = {name: FACTORIES[model](**values) for name, (values, _badge, _filters) in cases.items()}
    named = {value for _values, _badge, values in cases.values() for value in values}
    assert named == set(list_filter.answers), "every value of the filter keeps one of the rows"
    for value in list_filter.answers:
        kept = set(listed(operator.get(page(model), {list_filter.parameter_name: value})))
        assert kept == {rows[name] for name, (_values, _badge, values) in cases.items() if value in values}, value
    for name, (_values, badge, _filters) in cases.items():
        html = operator.get(page(model), {"id__exact": rows[name].pk}).content.decode()
        if badge is not None:
            assert re.search(rf'<span class="lti-badge [^>]*>{re.escape(badge)}</span>', html), (name, badge)


def test_platforms_by_what_is_wrong_with_them(operator):
    wrong = {
        "stopped": factories.PlatformFactory(is_active=False),
        "paused": factories.PlatformFactory(paused_until=hours(1), pause_reason="The LMS said 429"),
        "keys": factories.ServiceKeyFactory(refused_at=hours(-1)).context.platform,
        "rosters": factories.ContextFactory(roster_failures=1).platform,
        "scores": factories.OutgoingScoreFactory(state=STATES.PARKED).line_item.context.platform,
    }
    factories.ServiceKeyFactory()
    factories.PlatformFactory(paused_until=hours(-1))
    assert set(wrong) == set(platforms_admin.PlatformStateFilter.answers)
    for value, platform in wrong.items():
        assert listed(operator.get(page(models.Platform), {"state": value})) == [platform]
    html = operator.get(page(models.Platform)).content.decode()
    assert 'title="The LMS said 429">paused</span>' in html
    assert re.search(r"goes on <time [^>]*>in ", html)
    assert ">stopped</span>" in html


def test_courses_by_their_keys_and_scores(operator):
    healthy = factories.ServiceKeyFactory(context=factories.ServiceKeyFactory(refused_at=hours(-1)).context).context
    refused = factories.ServiceKeyFactory(refused_at=hours(-1)).context
    parked = factories.OutgoingScoreFactory(state=STATES.PARKED).line_item.context
    sent = factories.OutgoingScoreFactory(sent=True).line_item.context
    waiting = factories.OutgoingScoreFactory().line_item.context
    expected = {
        ("keys", "healthy"): {healthy},
        ("keys", "refused"): {refused},
        ("keys", "none"): {parked, sent, waiting},
        ("scores", "open"): {parked, waiting},
        ("scores", "parked"): {parked},
    }
    offered = {("keys", value) for value in contexts.KeysFilter.answers}
    offered |= {("scores", value) for value in contexts.OpenScoresFilter.answers}
    assert offered == set(expected)
    for (parameter, value), rows in expected.items():
        assert set(listed(operator.get(page(models.Context), {parameter: value}))) == rows
    html = operator.get(page(models.Context)).content.decode()
    assert re.search(r">1 healthy</span> <span[^>]*>1 refused</span>", html)


def test_people_with_and_without_an_account(operator):
    launched, listed_only = factories.LaunchFactory().lti_user, factories.LtiUserFactory()
    assert listed(operator.get(page(models.LtiUser), {"account": "yes"})) == [launched]
    assert listed(operator.get(page(models.LtiUser), {"account": "no"})) == [listed_only]


def test_an_answer_that_is_not_offered_filters_nothing(operator):
    row = factories.OutgoingScoreFactory()
    assert listed(operator.get(page(models.OutgoingScore), {"delivery": "nonsense"})) == [row]


WITH_COURSE = [m for m in FACTORIES if m not in {models.Platform, models.Context, models.LtiUser, models.SyncRun}]


@pytest.mark.parametrize("model", WITH_COURSE, ids=lambda model: model.__name__)
def test_rows_of_one_course(operator, model):
    place = "line_item__context" if model is models.OutgoingScore else "context"
    one, _other = FACTORIES[model](), FACTORIES[model]()
    context = one.line_item.context if model is models.OutgoingScore else one.context
    response = operator.get(page(model), {"course": context.pk})
    assert listed(response) == list(model.objects.filter(**{place: context})) == [one]
    assert context.title in response.content.decode().split('id="changelist-filter"')[1]


@pytest.mark.parametrize("model", [m for m in FACTORIES if m is not models.Platform], ids=lambda m: m.__name__)
def test_rows_of_one_platform(operator, model):
    one, _other = FACTORIES[model](), FACTORIES[model]()
    platform = one
    for step in ("line_item", "context", "platform"):
        platform = getattr(platform, step, platform)
    assert listed(operator.get(page(model), {"platform": platform.pk})) == [one]


@pytest.mark.parametrize("chosen", ["0", "x", "9" * 30, "١"])
def test_a_course_that_is_not_there_filters_nothing_out(operator, chosen):
    response = operator.get(page(models.ServiceKey), {"course": chosen}, follow=True)
    assert response.status_code == 200


# --- search, order, dates ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "values", "words"),
    [
        (models.Platform, {"name": "North", "guid": "g-77"}, ["north", "g-77"]),
        (models.Context, {"title": "Botany", "lti_id": "crs-9"}, ["botan", "crs-9"]),
        (models.ResourceLink, {"title": "Leaves", "context__title": "Botany"}, ["leaves", "botany"]),
        (models.LtiUser, {"name": "Ada", "email": "ada@n.example", "lti_id": "u77"}, ["ada", "ada@n.example", "u77"]),
        (models.Membership, {"lti_user__name": "Ada", "context__title": "Botany"}, ["ada", "botany"]),
        (models.Launch, {"lti_user__name": "Ada", "context__title": "Botany"}, ["ada", "botany"]),
        (models.ServiceKey, {"secret": "findme", "context__title": "Botany"}, ["{fingerprint}", "botany"]),
        (models.LineItem, {"label": "Leaf test", "lti_id": "https://n.example/77"}, ["leaf", "n.example/77"]),
        (
            models.OutgoingScore,
            {"lti_user__email": "ada@n.example", "line_item__context__title": "Botany", "last_error_code": "not_found"},
            ["ada@n", "botany", "not_found"],
        ),
        (models.SyncRun, {"platform__name": "North", "error": "LTIAAS said 500"}, ["north", "said 500"]),
    ],
)
def test_search(operator, model, values, words):
    wanted = FACTORIES[model](**values)
    FACTORIES[model]()
    for word in words:
        found = listed(operator.get(page(model), {"q": word.format(fingerprint=getattr(wanted, "fingerprint", ""))}))
        assert found == [wanted], word


@SHOWN
def test_every_column_sorts(operator, model):
    FACTORIES[model].create_batch(2)
    columns = len(admin.site._registry[model].list_display)
    for column in range(1, columns + 1):
        assert len(listed(operator.get(page(model), {"o": f"-{column}"}))) == 2


def test_a_day_of_the_log_can_be_chosen(operator):
    old, _new = factories.SyncRunFactory(started_at=hours(-24 * 400)), factories.SyncRunFactory()
    assert listed(operator.get(page(models.SyncRun), {"started_at__year": old.started_at.year})) == [old]


def test_the_exact_time_stands_behind_how_long_ago(operator):
    at = timezone.now() - timedelta(hours=3, minutes=5)
    factories.ServiceKeyFactory(used_at=at)
    html = operator.get(page(models.ServiceKey)).content.decode().replace("\xa0", " ")
    assert f'title="{at:%Y-%m-%d %H:%M:%S} UTC">3 hours ago</time>' in html


@pytest.mark.parametrize(
    ("distance", "text"),
    [(timedelta(0), "just now"), (timedelta(hours=5, seconds=9), "in 5 hours"), (timedelta(days=-2), "2 days ago")],
)
def test_how_long_ago_and_how_long_until(distance, text):
    at = timezone.now() + distance
    assert f">{text}</time>" in cells.ago(at).replace("\xa0", " ")


def test_amounts_are_shown_without_trailing_zeros(operator):
    factories.OutgoingScoreFactory(given=Decimal("7.50000"), maximum=Decimal("100.00000"))
    factories.OutgoingScoreFactory(given=None, maximum=None)
    factories.OutgoingScoreFactory(given=0)
    html = operator.get(page(models.OutgoingScore)).content.decode()
    html = html.replace("\xa0", " ")
    for text in ("7.5 / 100", ">cleared<", "0 / 10"):
        assert text in html


def test_a_run_says_how_long_it_took_and_what_it_did(operator):
    started = timezone.now() - timedelta(minutes=10)
    factories.SyncRunFactory(
        started_at=started, finished_at=started + timedelta(seconds=75), counts={"sent": 12, "failed": 0, "parked": 2}
    )
    html = operator.get(page(models.SyncRun)).content.decode().replace("\xa0", " ")
    assert "1:15 min" in html
    assert "sent 12, parked 2" in html


# --- the page of a course ---------------------------------------------------------------------------------------------


def test_a_course_at_a_glance(operator):
    context = factories.ContextFactory(
        launched_at=hours(-3), roster_synced_at=hours(-40), roster_held={"count": 9, "of": 12, "nights": 1}
    )
    item = factories.LineItemFactory(context=context)
    factories.OutgoingScoreFactory.create_batch(2, line_item=item)
    factories.OutgoingScoreFactory(line_item=item, state=STATES.PARKED)
    factories.OutgoingScoreFactory(state=STATES.PARKED)
    factories.ServiceKeyFactory(context=context, used_at=hours(-5))
    factories.ServiceKeyFactory(context=context, refused_at=hours(-1))
    factories.SyncRunFactory(platform=context.platform, outcome="partial", started_at=hours(-6))
    html = operator.get(page(models.Context, "change", context.pk)).content.decode().replace("\xa0", " ")
    panel = html.split('id="lti-glance"')[1].split("_sync_now")[0]
    for text in (
        "3 hours ago", "departures held", "9 of 12 people would leave", "1 day ago", "1 healthy", "1 refused",
        "5 hours ago", "some failed", "6 hours ago",
    ):  # fmt: skip
        assert text in panel, text
    score_links = dict(re.findall(r'href="([^"]*outgoingscore[^"]*state__exact[^"]*)">(\d+)<', panel))
    assert sorted(score_links.values()) == ["1", "2"]
    for url, number in score_links.items():
        assert len(listed(operator.get(url.replace("&amp;", "&")))) == int(number)


def test_the_links_of_the_panel_lead_to_rows_of_this_course_alone(operator):
    launch = factories.LaunchFactory()
    context = launch.context
    factories.ServiceKeyFactory(context=context)
    factories.MembershipFactory(context=context)
    factories.OutgoingScoreFactory(line_item__context=context, line_item__resource_link=launch.resource_link)
    for factory in (factories.LaunchFactory, factories.ServiceKeyFactory, factories.OutgoingScoreFactory):
        factory()
    html = operator.get(page(models.Context, "change", context.pk)).content.decode()
    urls = re.findall(rf'href="([^"]*\?course={context.pk})"', html)
    assert len(urls) == 6
    for url in urls:
        rows = listed(operator.get(url))
        assert rows
        for row in rows:
            assert (row.line_item if isinstance(row, models.OutgoingScore) else row).context == context


def test_a_course_is_synced_from_its_page(operator, woken, django_capture_on_commit_callbacks):
    key = factories.ServiceKeyFactory()
    with django_capture_on_commit_callbacks(execute=True):
        response = operator.post(
            page(models.Context, "change", key.context.pk), {"is_active": "on", "_sync_now": "1"}, follow=True
        )
    assert "1 course is synced" in response.content.decode()
    key.context.refresh_from_db()
    assert key.context.roster_due_at is not None
    assert woken == [(key.context.platform_id, ("grades",)), (key.context.platform_id, ("rosters",))]


# --- editing ----------------------------------------------------------------------------------------------------------


def test_saving_a_platform_leaves_what_a_worker_wrote_meanwhile(operator, monkeypatch):
    platform = factories.PlatformFactory()
    token = "22222222-2222-2222-2222-222222222222"
    read = admin.ModelAdmin.get_object

    def read_and_be_overtaken(self, *args, **kwargs):
        row = read(self, *args, **kwargs)
        models.Platform.objects.filter(pk=platform.pk).update(lease_token=token, lease_until=hours(1))
        return row

    monkeypatch.setattr(admin.ModelAdmin, "get_object", read_and_be_overtaken)
    operator.post(page(models.Platform, "change", platform.pk), {**OPERATORS, "parallel_calls": "2"})
    platform.refresh_from_db()
    assert platform.parallel_calls == 2
    assert str(platform.lease_token) == token


@pytest.mark.parametrize(
    ("field", "value"), [("parallel_calls", "0"), ("calls_per_second", "0"), ("calls_per_second", "x")]
)
def test_a_pace_of_nothing_is_refused(operator, field, value):
    platform = factories.PlatformFactory()
    response = operator.post(page(models.Platform, "change", platform.pk), {**OPERATORS, field: value})
    assert response.status_code == 200
    assert field in response.context["adminform"].form.errors


# --- actions ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("factory", [factories.PlatformFactory, factories.ContextFactory])
def test_stop_asks_first_and_resume_does_not(operator, factory):
    working, stopped = factory(), factory(is_active=False)
    both = [working, stopped]
    question = ask(operator, both, "stop", confirmed=False)
    assert "Stop them?" in question.content.decode()
    assert str(working) in question.content.decode()
    working.refresh_from_db()
    assert working.is_active

    assert said(ask(operator, both, "stop")) == "1 was stopped. 1 was stopped already."
    assert not type(working).objects.filter(is_active=True, pk__in=[row.pk for row in both]).exists()
    assert said(ask(operator, both, "resume", confirmed=False)) == "2 were resumed."
    assert type(working).objects.filter(is_active=True, pk__in=[row.pk for row in both]).count() == 2
    assert sorted(LogEntry.objects.values_list("object_id", "change_message")) == sorted(
        [(str(working.pk), "Stopped."), (str(working.pk), "Resumed."), (str(stopped.pk), "Resumed.")]
    )
    assert "Stopped." in operator.get(page(type(working), "history", working.pk)).content.decode()


def test_the_question_leads_to_the_deed_with_what_it_sends(operator):
    """The form on the page is filled in as a browser would."""
    platforms = factories.PlatformFactory.create_batch(25)
    url = page(models.Platform) + "?o=1"
    data = {"action": ["stop", ""], "index": "0", "_selected_action": [platforms[0].pk], "select_across": "1"}
    html = operator.post(url, data).content.decode()
    assert "25 rows" in html
    assert "and 5 more" in html
    form = html.split('<form method="post">')[1]
    sent: dict = {}
    for tag in re.findall(r"<input [^>]*>", form):
        attributes = dict(re.findall(r'(name|value)="([^"]*)"', tag))
        sent.setdefault(attributes["name"], []).append(attributes["value"])
    response = operator.post(url, sent)
    assert said(response) == "25 were stopped."
    assert not models.Platform.objects.filter(is_active=True).exists()


def test_a_paused_platform_goes_on(operator):
    paused = factories.PlatformFactory(paused_until=hours(1), pause_reason="429")
    awake = factories.PlatformFactory(paused_until=hours(-1), pause_reason="long ago")
    assert said(ask(operator, [paused, awake], "unpause")) == "1 platform goes on now. 1 was not paused."
    paused.refresh_from_db()
    assert (paused.paused_until, paused.pause_reason) == (None, "")


def test_sync_now_asks_for_the_roster_only_where_a_key_offers_it(operator, woken, django_capture_on_commit_callbacks):
    both = factories.ServiceKeyFactory().context
    grades_only = factories.ServiceKeyFactory(offers_roster=False).context
    stopped = factories.ServiceKeyFactory(context__is_active=False).context
    lms_stopped = factories.ServiceKeyFactory(context__platform__is_active=False).context
    night = factories.OutgoingScoreFactory(line_item__context=both)
    with django_capture_on_commit_callbacks(execute=True):
        response = ask(operator, [both, grades_only, stopped, lms_stopped], "sync_now", confirmed=False)
    assert said(response) == "2 courses are synced as soon as a worker is free. 2 were left alone: stopped."
    due = models.Context.objects.filter(roster_due_at__isnull=False)
    assert list(due) == [both]
    night.refresh_from_db()
    assert night.due_at is not None
    assert sorted(woken) == sorted(
        [
            (both.platform_id, ("grades",)), (both.platform_id, ("rosters",)),
            (grades_only.platform_id, ("grades",)),
        ]
    )  # fmt: skip


def test_thousands_of_courses_are_left_to_the_night(operator, monkeypatch):
    monkeypatch.setattr(contexts, "_AT_ONCE", 2)
    keys = factories.ServiceKeyFactory.create_batch(3)
    response = ask(operator, [key.context for key in keys], "sync_now")
    assert said(response).startswith("Nothing was done: at most 2 courses")
    assert not models.Context.objects.filter(roster_due_at__isnull=False).exists()


def test_held_departures_are_confirmed(operator):
    held = factories.ContextFactory(roster_held={"fingerprint": "f", "count": 9, "of": 10, "nights": 1})
    calm = factories.ContextFactory()
    question = ask(operator, [held, calm], "confirm_departures", confirmed=False)
    assert "lose their membership" in question.content.decode()
    held.refresh_from_db()
    assert "confirmed" not in held.roster_held
    response = ask(operator, [held, calm], "confirm_departures")
    assert said(response).startswith("The departures of 1 course are carried out")
    assert said(response).endswith("1 holds no departures.")
    held.refresh_from_db()
    assert held.roster_held["confirmed"] is True
    assert held.roster_due_at <= timezone.now()
    assert "(confirmed)" in operator.get(page(models.Context)).content.decode()


def test_a_key_is_marked_as_refused(operator, django_capture_on_commit_callbacks):
    heard = []

    def hear(sender, key, **kwargs):
        heard.append(key.pk)

    signals.key_refused.connect(hear)
    try:
        key, refused = (
            factories.ServiceKeyFactory(),
            factories.ServiceKeyFactory(refused_at=hours(-1), last_error="401"),
        )
        assert "until a launch brings new ones" in ask(operator, key, "refuse", confirmed=False).content.decode()
        key.refresh_from_db()
        assert key.is_healthy
        with django_capture_on_commit_callbacks(execute=True):
            response = ask(operator, [key, refused], "refuse")
    finally:
        signals.key_refused.disconnect(hear)
    assert said(response) == "1 key was marked as refused. 1 was refused already."
    key.refresh_from_db()
    refused.refresh_from_db()
    assert not key.is_healthy
    assert "by hand" in key.last_error
    assert refused.last_error == "401"
    assert heard == [key.pk]


def test_send_open_leaves_alone_what_is_sent_or_on_its_way(operator):
    made = {
        name: factories.OutgoingScoreFactory(**SCORES[name][0]) for name in ("night", "launch", "parked", "failing")
    }
    left = {name: factories.OutgoingScoreFactory(**SCORES[name][0]) for name in ("sent", "sending", "unknown")}
    response = ask(operator, [*made.values(), *left.values()], "send_open", confirmed=False)
    assert said(response).startswith("4 scores are due now. 3 were left alone")
    due = set(models.OutgoingScore.objects.due())
    assert due == set(made.values())
    for name, row in left.items():
        row.refresh_from_db()
        assert row.state == SCORES[name][0].get("state", STATES.SENT)
        assert row.revision == 1


def test_send_again_sends_what_was_sent_under_a_new_revision(operator):
    sent, night = factories.OutgoingScoreFactory(sent=True), factories.OutgoingScoreFactory()
    assert "a teacher has changed" in ask(operator, sent, "send_again", confirmed=False).content.decode()
    sent.refresh_from_db()
    assert sent.state == STATES.SENT
    assert said(ask(operator, [sent, night], "send_again")) == "2 scores are due now."
    sent.refresh_from_db()
    assert (sent.state, sent.revision, sent.sent_revision) == (STATES.DUE, 2, 1)


def test_a_thousand_scores_are_sent_again_in_steps(operator, monkeypatch):
    monkeypatch.setattr(grades_admin, "_CHUNK", 2)
    scores = factories.OutgoingScoreFactory.create_batch(5, state=STATES.PARKED)
    assert said(ask(operator, scores, "send_open")) == "5 scores are due now."
    assert models.OutgoingScore.objects.due().count() == 5
    assert LogEntry.objects.count() == 5


# --- the gradebook, and sending again ---------------------------------------------------------------------------------


OVERRIDDEN = {"sent": True, "drift": "overridden"}


def test_sent_and_held_stand_side_by_side(operator):
    factories.OutgoingScoreFactory(**OVERRIDDEN, given=8, result_score=Decimal("9.50"), result_maximum=10)
    factories.OutgoingScoreFactory(**OVERRIDDEN, given=7)
    html = operator.get(page(models.OutgoingScore)).content.decode().replace("\xa0", " ")
    for text in ("8 / 10", "9.5 / 10", "no value"):
        assert text in html


def test_gradebooks_are_checked_for_the_courses_that_are_chosen(operator, woken, django_capture_on_commit_callbacks):
    one, stopped = factories.ContextFactory(), factories.ContextFactory(is_active=False)
    with django_capture_on_commit_callbacks(execute=True):
        response = ask(operator, [one, stopped], "check_gradebook", confirmed=False)
    assert said(response) == "The gradebook of 1 course is read as soon as a worker is free. 1 was left alone: stopped."
    assert list(models.Context.objects.filter(check_due_at__isnull=False)) == [one]
    assert woken == [(one.platform_id, ("check",))]


def test_a_gradebook_is_checked_from_the_page_of_its_course(operator):
    context = factories.ContextFactory(check_error="The LMS said 503", checked_at=hours(-5))
    factories.OutgoingScoreFactory.create_batch(2, **OVERRIDDEN, line_item__context=context)
    url = page(models.Context, "change", context.pk)
    html = operator.get(url).content.decode().replace("\xa0", " ")
    panel = html.split('id="lti-glance"')[1].split("_sync_now")[0]
    for text in ("5 hours ago", "The LMS said 503", "changed in the LMS"):
        assert text in panel
    [link] = re.findall(r'href="([^"]*drift=overridden[^"]*)">2<', panel)
    assert len(listed(operator.get(link.replace("&amp;", "&")))) == 2
    response = operator.post(url, {"is_active": "on", "_check_gradebook": "1"})
    assert (response.status_code, response.url) == (302, url)
    context.refresh_from_db()
    assert context.check_due_at is not None


def test_sending_all_again_asks_leaves_out_what_was_overridden_and_leads_to_it(operator):
    context = factories.ContextFactory(checked_at=hours(-1))
    item = factories.LineItemFactory(context=context)
    sent, lost = factories.OutgoingScoreFactory(line_item=item, sent=True), factories.OutgoingScoreFactory(
        line_item=item, sent=True, drift="missing"
    )  # fmt: skip
    kept = factories.OutgoingScoreFactory(line_item=item, **OVERRIDDEN)
    elsewhere = factories.OutgoingScoreFactory(sent=True)
    html = operator.get(page(models.Context, "change", context.pk)).content.decode()
    [button] = re.findall(r'<button[^>]*name="action"[^>]*>', html)
    assert f'formaction="{page(models.Context)}"' in button
    assert 'value="send_all"' in button
    assert f'name="_selected_action" value="{context.pk}"' in html
    assert "a teacher has changed" in ask(operator, context, "send_all", confirmed=False).content.decode()
    assert not models.OutgoingScore.objects.due().exists()
    response = ask(operator, context, "send_all")
    assert set(models.OutgoingScore.objects.due()) == {sent, lost}
    assert said(response) == "2 scores are due now."
    [left_out] = [str(m) for m in get_messages(response.wsgi_request) if "left out" in str(m)]
    [link] = re.findall(r'href="([^"]*)"', left_out)
    assert listed(operator.get(link.replace("&amp;", "&"))) == [kept]
    for row in (kept, elsewhere):
        row.refresh_from_db()
        assert row.state == STATES.SENT


@pytest.mark.parametrize("checked_at", [None, hours(-30)])
def test_what_a_teacher_may_have_changed_is_looked_up_before_all_is_sent_again(operator, checked_at):
    score = factories.OutgoingScoreFactory(sent=True, line_item__context__checked_at=checked_at)
    response = ask(operator, score.line_item.context, "send_all")
    assert said(response).endswith("The gradebook of 1 course is read first; please come back when that is done.")
    score.refresh_from_db()
    assert score.state == STATES.SENT
    score.line_item.context.refresh_from_db()
    assert score.line_item.context.check_due_at is not None


@pytest.mark.parametrize(
    ("query", "across", "is_sent"), [("", "0", True), ("", "1", False), ("?drift=any", "1", False),
                                     ("?drift=overridden", "1", True)],
)  # fmt: skip
def test_an_overridden_grade_is_sent_again_only_if_it_is_chosen(operator, query, across, is_sent):
    kept, other = factories.OutgoingScoreFactory(**OVERRIDDEN), factories.OutgoingScoreFactory(
        sent=True, drift="missing"
    )  # fmt: skip
    url = f"{page(models.OutgoingScore)}{query}"
    data = {
        "action": "send_again", "select_across": across, "confirmed": "yes",
        "_selected_action": [str(kept.pk), str(other.pk)],
    }  # fmt: skip
    response = operator.post(url, data)
    kept.refresh_from_db()
    assert (kept.state == STATES.DUE) == is_sent
    texts = [str(message) for message in get_messages(response.wsgi_request)]
    assert any("1 grade was left out" in text for text in texts) != is_sent
    other.refresh_from_db()
    assert (other.state == STATES.DUE) == (query != "?drift=overridden")


# --- forgetting -------------------------------------------------------------------------------------------------------


def test_people_are_forgotten_and_the_history_keeps_the_line_without_the_name(operator):
    launch = factories.LaunchFactory(lti_user__name="Kim Forgotten")
    unsent = factories.OutgoingScoreFactory()
    person = launch.lti_user
    assert "its roster brings them back" in ask(operator, person, "forget", confirmed=False).content.decode()
    assert models.LtiUser.objects.count() == 2
    response = ask(operator, [person, unsent.lti_user], "forget")
    assert said(response).startswith(f"1 person was erased. #{unsent.lti_user.pk}: 1 grades have not reached the LMS")
    assert list(models.LtiUser.objects.all()) == [unsent.lti_user]
    lines = LogEntry.objects.filter(object_id=str(person.pk))
    assert [(line.object_repr, line.change_message) for line in lines] == [("(erased)", "Asked to be erased.")]
    assert User.objects.filter(pk=launch.user_id).exists()


@pytest.mark.parametrize(("permission", "may"), [("change_ltiuser", False), ("delete_ltiuser", True)])
def test_only_who_may_delete_people_may_forget_them(client, permission, may):
    user = User.objects.create_user("clerk", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=["view_ltiuser", permission]))
    client.force_login(user)
    person = factories.LtiUserFactory()
    ask(client, person, "forget")
    assert models.LtiUser.objects.exists() != may


# --- deleting ---------------------------------------------------------------------------------------------------------


DELETABLE = {models.Platform, models.Context, models.Launch, models.ServiceKey, models.SyncRun}


@SHOWN
def test_what_may_be_deleted(operator, model):
    row = FACTORIES[model]()
    assert ("delete_selected" in dict(operator.get(page(model)).context["action_form"].fields["action"].choices)
            if operator.get(page(model)).context["action_form"] else False) == (model in DELETABLE)  # fmt: skip
    response = operator.post(page(model, "delete", row.pk), {"post": "yes"})
    assert response.status_code == (302 if model in DELETABLE else 403)
    assert model.objects.filter(pk=row.pk).exists() == (model not in DELETABLE)


@pytest.mark.parametrize("in_list", [True, False])
def test_deleting_a_course_counts_what_goes_along(operator, in_list):
    score = factories.OutgoingScoreFactory()
    context = score.line_item.context
    factories.OutgoingScoreFactory(line_item=score.line_item, sent=True)
    factories.ScoreAttemptFactory(score=score)
    if in_list:
        html = ask(operator, context, "delete_selected", confirmed=False).content.decode()
    else:
        html = operator.get(page(models.Context, "delete", context.pk)).content.decode()
    counts = dict(re.findall(r"<li>([\w ]+): (\d+)</li>", html))
    assert counts["Scores"] == "2"
    assert counts["Scores that the LMS does not have yet"] == "1"
    assert counts["Score attempts"] == "1"
    assert counts["Launches"] == "0"
    if in_list:
        ask(operator, context, "delete_selected", post="yes")
    else:
        operator.post(page(models.Context, "delete", context.pk), {"post": "yes"})
    assert not models.OutgoingScore.objects.exists()
    assert models.LtiUser.objects.count() == 2, "people belong to the platform"


def quiz_of_a_course():
    quiz = Quiz.objects.create(resource_link=factories.ResourceLinkFactory.create())
    quiz.submissions.create(user=User.objects.create_user("learner"), points=1)
    return quiz


def test_the_tools_own_rows_that_go_along_are_counted_too(operator):
    quiz = quiz_of_a_course()
    Quiz.objects.create(resource_link=factories.ResourceLinkFactory.create())
    html = operator.get(page(models.Context, "delete", quiz.resource_link.context.pk)).content.decode()
    counts = dict(re.findall(r"<li>([\w ]+): (\d+)</li>", html))
    assert (counts["Quizzes"], counts["Submissions"]) == ("1", "1")


def test_the_tools_own_rows_need_their_own_permission(client):
    user = User.objects.create_user("deleter", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=["view_platform", "delete_platform"]))
    client.force_login(user)
    platform = quiz_of_a_course().resource_link.context.platform
    url = page(models.Platform, "delete", platform.pk)
    assert "permission to delete" in client.get(url).content.decode()
    assert client.post(url, {"post": "yes"}).status_code == 403
    Quiz.objects.all().delete()
    assert client.post(url, {"post": "yes"}).status_code == 302


def test_the_tools_own_rows_can_protect_a_course(operator, monkeypatch):
    quiz = quiz_of_a_course()
    monkeypatch.setattr(Quiz._meta.get_field("resource_link").remote_field, "on_delete", PROTECT)
    url = page(models.Context, "delete", quiz.resource_link.context.pk)
    assert f"quiz: {quiz}".lower() in operator.get(url).content.decode().lower()
    assert operator.post(url, {"post": "yes"}).status_code == 200
    assert models.Context.objects.filter(pk=quiz.resource_link.context.pk).exists()


def test_deleting_a_platform_counts_everything_that_points_to_it():
    """A relation that is added later must be counted too."""
    for model in (models.Platform, models.Context):
        counted = {rows().model for _name, rows, _path in admin.site._registry[model].going_along}
        reached: set = set()
        new: set = {model}
        while new:
            reached |= new
            relations = [relation for one in new for relation in one._meta.related_objects]
            new = {r.related_model for r in relations if r.on_delete is CASCADE} - reached
            new = {one for one in new if one._meta.app_label == "ltiaas_django"}
        assert counted == reached - {model}


# --- the site's checks ------------------------------------------------------------------------------------------------


def test_every_shown_name_exists():
    """Fields of forms are not checked by Django before a page is asked for."""
    for model in FACTORIES:
        model_admin = admin.site._registry[model]
        for name in model_admin.operator_fields:
            try:
                model._meta.get_field(name)
            except FieldDoesNotExist:
                pytest.fail(f"{model.__name__}.{name}")


def test_badges_have_a_tone_for_every_state_and_outcome():
    assert set(badges._STATE_TONES) == set(STATES)
    assert set(badges._OUTCOME_TONES) == set(models.SyncRun.Outcome)
