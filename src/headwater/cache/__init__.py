"""Answers that are kept: whole answers to requests that repeat, in a file that several processes share."""
