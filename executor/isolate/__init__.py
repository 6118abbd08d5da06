"""What runs inside the cell. Imports nothing of Flask, Celery, SQLAlchemy or Redis."""
