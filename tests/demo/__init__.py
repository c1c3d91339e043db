"""Tests of the local Discord that `conch demo` and the process tests run on."""
