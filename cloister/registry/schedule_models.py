"""The table of cron triggers."""

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from cloister.cron import MAX_CHARACTERS
from cloister.registry.models import Base


class Schedule(Base):
    """A cron trigger of a script."""

    __tablename__ = "schedules"
    __table_args__ = (Index("schedules_by_time", "next_at"),)

    script_id: Mapped[str] = mapped_column(
        ForeignKey("scripts.id", ondelete="CASCADE"), primary_key=True
    )
    cron: Mapped[str] = mapped_column(String(MAX_CHARACTERS), primary_key=True)
    created_at: Mapped[int]
    modified_at: Mapped[int]
    next_at: Mapped[int]
    """When it fires next. Whoever moves it on, fires it."""
