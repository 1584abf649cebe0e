"""The loop: takes in what clients send, and carries sessions on until nothing is left to do."""
