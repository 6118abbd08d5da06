"""What runs in the process of an object's storage."""
