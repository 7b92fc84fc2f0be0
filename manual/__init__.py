"""Man pages and shell completion, made of the program's own help and sample configuration."""
