"""The message files, one for each language; `make words` brings them up to date with the code."""
