"""
From photo bytes to a descriptor and a distance: no database, no settings, of Django the translations alone.

Photos are untrusted; the models' files are trusted by digest, and the thresholds by the calibration file beside them.
"""
