import configparser
import io
import tomllib

config = configparser.ConfigParser(defaults={"base": "/srv"}, interpolation=configparser.ExtendedInterpolation())
config.read_string("""
[server]
host = example.org
port = 8080
debug = yes
root = ${base}/www
[client]
url = http://${server:host}:${server:port}/
""")
print(config.sections(), config.getint("server", "port"), config["server"].getboolean("debug"))
print(config["server"]["root"], config.get("client", "url"), config.get("client", "x", fallback="none"))
print("server" in config, config.has_option("server", "host"), dict(config.items("client")))
config["new"] = {"a": "1", "B": "2"}
config.set("new", "c", "3")
config.optionxform = str
config["new"]["Camel"] = "4"
out = io.StringIO()
config.write(out)
print(out.getvalue().splitlines()[-5:])
try:
    config.get("server", "missing")
except configparser.NoOptionError as error:
    print(error)
listing = configparser.ConfigParser(converters={"list": lambda text: text.split(",")})
listing.read_dict({"s": {"items": "a,b"}})
print(listing.getlist("s", "items"), listing["s"].getlist("items"))
data = tomllib.loads("""
title = "T"
[owner]
dob = 1979-05-27T07:32:00Z
[[point]]
x = 1
[[point]]
x = 2.5
""")
print(data["title"], data["owner"]["dob"].year, [p["x"] for p in data["point"]])
try:
    tomllib.loads("a = ")
except tomllib.TOMLDecodeError as error:
    print(error)
