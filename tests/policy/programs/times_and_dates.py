import calendar
import time
from datetime import UTC, date, datetime, timedelta, timezone
from email.utils import format_datetime, parsedate_to_datetime
from zoneinfo import ZoneInfo

moment = datetime(2024, 2, 29, 13, 5, 9, tzinfo=UTC)
print(moment.isoformat(), moment.strftime("%a %d %b %Y %H:%M:%S %z %j %U"), moment.timestamp())
print(datetime.strptime("2024-03-01 10:20", "%Y-%m-%d %H:%M"), datetime.fromisoformat("2024-03-01T10:20:30+02:00"))
berlin = moment.astimezone(ZoneInfo("Europe/Berlin"))
print(berlin, berlin.tzname(), berlin.utcoffset(), ZoneInfo("America/New_York").key)
print(moment + timedelta(days=1, hours=2), (date(2024, 12, 25) - date(2024, 2, 29)).days, timedelta(seconds=90061))
print(timezone(timedelta(hours=-3)), date(2024, 1, 1).isocalendar(), calendar.monthrange(2024, 2), calendar.isleap(2100))
print(time.strptime("01 Feb 2024", "%d %b %Y").tm_yday, time.strftime("%Y", time.gmtime(0)), calendar.timegm((1970, 1, 2, 0, 0, 0)))
print(format_datetime(moment), parsedate_to_datetime("Thu, 29 Feb 2024 13:05:09 +0000") == moment)
print(sorted([date(2024, 5, 1), date(2023, 5, 1)])[0], moment.replace(hour=0).date(), max(moment, moment + timedelta(1)))
started = time.perf_counter()
print(time.monotonic() >= 0, time.perf_counter() >= started, time.time() > 1_700_000_000, datetime.now(UTC).tzinfo)
print(calendar.TextCalendar().formatmonth(2024, 2).splitlines()[0].strip())
