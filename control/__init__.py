"""The management API and dashboard: decides what is deployed."""
