from datetime import datetime, timedelta, timezone, date, UTC
import time, calendar
from zoneinfo import ZoneInfo
d = datetime.strptime("2024-02-29 13:45", "%Y-%m-%d %H:%M").replace(tzinfo=timezone.utc)
print(d.isoformat(), d + timedelta(days=1), d.strftime("%a %d %b"), d.astimezone(ZoneInfo("UTC")).tzname())
print(date(2024, 1, 31).replace(month=3), (date(2024, 3, 1) - date(2024, 2, 1)).days, d.timestamp())
print(calendar.monthrange(2024, 2), calendar.isleap(2023), time.strptime("2020", "%Y").tm_year, d.year)
print(datetime.fromisoformat("2024-01-01T00:00:00+02:00").astimezone(UTC), time.time() > 0, time.monotonic() > 0)
