"""What a wheel has to show before it is published: audit, smoke run, acceptance. No wheel is changed."""
