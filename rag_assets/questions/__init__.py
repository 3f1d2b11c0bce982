"""What a question asks for, the plan that takes it apart, and the run of that plan."""
