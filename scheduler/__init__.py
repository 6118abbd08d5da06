"""What has to happen at a time: any number of these processes, of which one is at work."""
