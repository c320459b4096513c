"""What the tests stand on: servers, external or our own, and fixtures around them."""
