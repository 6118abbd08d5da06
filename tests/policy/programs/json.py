import json
from datetime import datetime
from decimal import Decimal
class Enc(json.JSONEncoder):
    def default(self, o):
        return o.isoformat() if isinstance(o, datetime) else super().default(o)
print(json.dumps({"d": datetime(2020, 1, 2), "l": [1, None, True]}, cls=Enc, sort_keys=True, indent=1))
print(json.loads('{"a": [1.5, "x"]}', parse_float=Decimal), json.dumps({1}, default=list))
try: json.loads("{bad")
except json.JSONDecodeError as e: print(e.msg, e.pos, e.lineno)
try: json.dumps(object())
except TypeError as e: print(e)
print(json.loads('{"x": 1}', object_hook=lambda d: tuple(d.items())))
