"""`make compose-test`: the containers, built and run for real. It needs an engine, so it stands apart."""
