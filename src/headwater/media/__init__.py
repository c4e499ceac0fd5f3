"""Inputs and results that are images, sounds and videos."""
