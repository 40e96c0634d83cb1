"""What a client reads of the terms that hold for his accounts."""
