"""Class-based views that only make sense under a launch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from asgiref.sync import sync_to_async
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponseBase
from django.views import View

from ltiaas_django.decorators import Requirement, check_requirements, refusal

if TYPE_CHECKING:
    Base = View
else:
    Base = object  # among the bases of a view, as Django's own mixins are


class LtiRequiredMixin(Base):
    """The class's form of `lti_required` and `role_required`; it comes first among the bases.

    class GradeBook(LtiRequiredMixin, ListView):
        required_roles = [Role.INSTRUCTOR, Role.TEACHING_ASSISTANT]
    """

    required_roles: ClassVar[Sequence[Requirement]] = ()
    """One of them is needed: roles in the launch's context, or predicates; empty: everybody who has launched."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        check_requirements(cls.required_roles)

    @classmethod
    def as_view(cls, **initkwargs: Any) -> Callable[..., HttpResponseBase]:
        """The view, which a middleware that asks everybody to sign in leaves to `dispatch`."""
        return login_not_required(super().as_view(**initkwargs))

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Refuse, or let the view's own method answer."""
        if self.view_is_async:
            return self._dispatch_async(request, *args, **kwargs)  # type: ignore[return-value]
        return refusal(request, self.required_roles) or super().dispatch(request, *args, **kwargs)

    async def _dispatch_async(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        refused = await sync_to_async(refusal)(request, self.required_roles)
        return refused or await super().dispatch(request, *args, **kwargs)  # type: ignore[misc]
