"""EPCIS 2.0 and CBV 2.0 (GS1, JSON binding): documents checked, captured, kept and queried. See docs/epcis.md."""
