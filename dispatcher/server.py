"""The dispatcher under gunicorn: ``gunicorn -c python:dispatcher.server dispatcher.server:app``.

gunicorn's lower-case settings are below; ``app`` is what it serves.
"""

from cloister.settings import Settings
from dispatcher.app import create_app

_settings = Settings.from_env()

app = create_app(_settings)

bind = _settings.dispatch_bind
workers = _settings.dispatcher_processes
worker_class = "asgi"
asgi_lifespan = "on"
http_parser = "python"

# A client that leaves cancels its request at once; the executor is told.
asgi_disconnect_grace_period = 0
keepalive = 75
timeout = 60
graceful_timeout = 30

# 16 KiB of URL and 128 KiB of headers; what is over is refused with a page in dispatcher.intake.
limit_request_line = 16 * 1024 + 128
limit_request_field_size = 128 * 1024
limit_request_fields = 512

# Who is a proxy is dispatcher.intake's to say.
forwarded_allow_ips = ""
# X_Real_IP would be X-Real-IP to a WSGI or CGI application behind us: such names are dropped.
header_map = "drop"

control_socket_disable = True
accesslog = None
proc_name = "cloister-dispatcher"
