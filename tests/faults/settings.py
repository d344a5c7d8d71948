"""The example project in a hurry: short leases, deadlines and waits, so that a minute shows what a night would."""

from example_project.settings import *  # noqa: F403
from example_project.settings import LTIAAS as _EXAMPLE
from tests.faults import plan

DEBUG = False  # or Django remembers every query
ALLOWED_HOSTS = ["localhost"]
LTIAAS = {
    **_EXAMPLE,
    "SEND": "on_commit",
    "CALL_DEADLINE": plan.DEADLINE,
    "LEASE": plan.LEASE,
    "RETRY_BASE": 0.5,
    "RETRY_CAP": 4.0,
    "MAX_ATTEMPTS": 1000,  # nobody is there to resend what would be parked
}
