"""What happens in a run: the increment, the user's function chunk by chunk, the rows stored."""
