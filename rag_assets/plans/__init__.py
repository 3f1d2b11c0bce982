"""What a refresh would do, what that would take, and how far earlier plans were right."""
