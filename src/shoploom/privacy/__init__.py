"""What must not leave: personal data in texts is found and covered."""

from shoploom.privacy.scrub import scrub

__all__ = ["scrub"]
