"""What a yard adds to a training: from submitting a job that does nothing to its recorded finish, and between jobs."""
