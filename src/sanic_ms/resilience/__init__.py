"""Values that decide how long and how often: no I/O."""

from sanic_ms.resilience.deadline import Deadline, current_deadline, deadline_scope

__all__ = ["Deadline", "current_deadline", "deadline_scope"]
