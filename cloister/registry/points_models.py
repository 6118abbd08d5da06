"""The table of data points that Workers have written."""

from sqlalchemy import ForeignKey, Index, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from cloister.registry.models import Base


class PointBatch(Base):
    """What one executor got for one dataset in a moment."""

    __tablename__ = "point_batches"
    __table_args__ = (
        Index("point_batches_by_time", "account_id", "dataset", "written_at", "id"),
        Index("point_batches_by_size", "account_id", "written_at", "size"),
    )

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    dataset: Mapped[str] = mapped_column(String(100))
    written_at: Mapped[int]
    """Epoch milliseconds; no point of it is later."""
    points: Mapped[int]
    size: Mapped[int]
    """Of the body, in bytes."""
    body: Mapped[bytes] = mapped_column(LargeBinary)
    """A line of JSON for each point, compressed (zlib)."""
