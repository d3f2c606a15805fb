"""What users see of the wheels: the index, and the pipeline that fills it."""
