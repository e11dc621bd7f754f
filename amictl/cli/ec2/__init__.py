"""What EC2 and its neighbours have and amictl has not, each with the reason or what to use."""
