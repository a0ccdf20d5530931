"""What had to be inspected, and the tasks that see to it."""
