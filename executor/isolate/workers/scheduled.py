"""What ``scheduled(controller, env, ctx)`` is given."""

from cloister.events import Scheduled


class ScheduledController:
    """A cron trigger that fires."""

    __slots__ = ("_event",)

    def __init__(self, event: Scheduled) -> None:
        self._event = event

    @property
    def cron(self) -> str:
        """The expression, as it was configured."""
        return self._event.cron

    @property
    def scheduledTime(self) -> int:
        """The time for which it was meant, in epoch milliseconds."""
        return self._event.scheduled_time

    scheduled_time = scheduledTime

    @property
    def type(self) -> str:
        """That it is no other kind of event."""
        return "scheduled"

    def noRetry(self) -> None:
        """Ask for no second try. There is none: a firing is at most once."""

    no_retry = noRetry
