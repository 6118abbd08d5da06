"""The Celery worker and its isolates: runs tenants' code."""
