"""Tests of the commands, through the real bot against an in-memory Discord."""
