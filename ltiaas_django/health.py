"""`/lti/health/`: how things stand, as numbers, for monitors that know LTIAAS["HEALTH_TOKEN"].

    GET /lti/health/
    Authorization: Bearer <the token>

200: {"status": "ok", "attention" or "stopped", ...}; 503: the same with "failing", or the database cannot be asked;
401: the token is missing or wrong; 404: no token is set. Names, texts of an LMS and secrets are in none of them.
"""

from __future__ import annotations

import logging
import secrets

from django.db import DatabaseError, transaction
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from ltiaas_django.conf import settings
from ltiaas_django.operations import status

logger = logging.getLogger(__name__)


@require_safe
@never_cache
@transaction.non_atomic_requests  # so that a database that cannot be reached is an answer, and no error page
def health(request: HttpRequest) -> HttpResponse:
    """How things stand. Asks neither for a session nor for a user."""
    refusal = refuse(request)
    if refusal is not None:
        return refusal
    try:
        standing = status.look()
    except DatabaseError as error:
        logger.error("The health of the deliveries cannot be told: %s", error)
        return JsonResponse({"status": "failing", "failures": ["database"]}, status=503)
    said = {
        "status": standing.level,
        "failures": standing.failures,
        "attention": standing.attention,
        "at": standing.at,
        **standing.numbers(),
    }
    return JsonResponse(said, status=503 if standing.level == "failing" else 200)


def refuse(request: HttpRequest) -> HttpResponse | None:
    """The answer to who does not know the token; None for who does. Raises Http404 where no token is set."""
    token = settings.HEALTH_TOKEN
    if not token:
        raise Http404
    scheme, _space, given = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not secrets.compare_digest(given.strip().encode(), token.encode()):
        return JsonResponse({"error": "unauthorized"}, status=401, headers={"WWW-Authenticate": "Bearer"})
    return None
