"""Tests of what members read and of how messages reach Discord."""
